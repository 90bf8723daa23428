"""Plays the exchange of an AudioSocket call: speaks into a gateway, and hears what it says."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from voicebot.events import Pcm
from voicebot.telephony.asterisk.audiosocket_frames import (
    RATES,
    FrameParser,
    Kind,
    SocketFrame,
    write_frame,
)


def read_wav(path: Path) -> tuple[Pcm, int]:
    """A mono recording at 8 or 16 kHz: samples, and Hz."""
    pcm, rate = soundfile.read(path, dtype="int16", always_2d=True)
    return np.ascontiguousarray(pcm[:, 0]), int(rate)


@dataclass
class SocketPeer:
    """The exchange's end of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    reference: str
    frames: list[SocketFrame] = field(default_factory=list)
    """what came from the gateway"""

    @classmethod
    async def connect(cls, port: int, reference: str = "", host: str = "127.0.0.1") -> SocketPeer:
        reader, writer = await asyncio.open_connection(host, port)
        return cls(reader, writer, reference or str(uuid.uuid4()))

    def name(self) -> None:
        self.send(Kind.UUID, uuid.UUID(self.reference).bytes)

    def send(self, kind: Kind, payload: bytes = b"") -> None:
        self.writer.write(write_frame(kind, payload))

    async def speak(self, pcm: Pcm, rate: int = 8000, pace: float = 1.0) -> None:
        """Send frames of 20 ms; ``pace`` 2 is twice as fast as speech, 0 all at once."""
        kind = next(kind for kind, hertz in RATES.items() if hertz == rate)
        loop = asyncio.get_running_loop()
        start, size = loop.time(), rate // 50
        for number, at in enumerate(range(0, len(pcm), size)):
            if pace:
                await asyncio.sleep(start + number * 0.02 / pace - loop.time())
            self.send(kind, pcm[at : at + size].astype("<i2").tobytes())
            await self.writer.drain()

    async def listen(self) -> bool:
        """Read until the gateway closes; True if it said hang-up before."""
        parser = FrameParser()
        try:
            while data := await self.reader.read(4096):
                self.frames += parser.feed(data)
        except ConnectionResetError:
            pass
        return any(frame.kind == Kind.HANGUP for frame in self.frames)

    def heard(self) -> Pcm:
        """What the gateway has said."""
        data = b"".join(frame.payload for frame in self.frames if frame.kind in RATES)
        return np.frombuffer(data, "<i2").astype(np.int16)

    async def close(self) -> None:
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()


async def feed(path: Path, port: int, *, pace: float = 1.0, reference: str = "") -> SocketPeer:
    """Play a recording as a call, hang up, and return what was heard meanwhile."""
    pcm, rate = read_wav(path)
    peer = await SocketPeer.connect(port, reference)
    listening = asyncio.create_task(peer.listen())
    peer.name()
    await peer.speak(pcm, rate, pace)
    peer.send(Kind.HANGUP)
    await peer.writer.drain()
    await listening
    await peer.close()
    return peer
