"""Calls from Asterisk's AudioSocket: audio both ways over one TCP connection a call.

The first frame carries the call's UUID, and nothing else is said about the call; so a queue is
told apart by the port, and the rate by the first frame of audio.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, Self

import numpy as np
import structlog
from pydantic import model_validator

from voicebot.events import Leg, Pcm
from voicebot.params import Params, key
from voicebot.telephony.audiosocket_frames import (
    RATES,
    FrameError,
    FrameParser,
    Kind,
    SocketFrame,
    write_frame,
)
from voicebot.telephony.faults import Faults
from voicebot.telephony.line import (
    Briefing,
    Ear,
    LineError,
    MediaFigures,
    Offer,
    Reception,
    RefusedError,
    Transferred,
    TransferResult,
)
from voicebot.telephony.pbx_transfer import PbxTransfer

_log = structlog.get_logger(__name__)


_FRAME_SECONDS: Final = 0.02
_SEND_BUFFER: Final = 3200
"""bytes that wait here for a slow peer: what is said should be heard now or not at all"""
_DIGITS: Final = frozenset("0123456789*#ABCD")


@dataclass(frozen=True, slots=True)
class Door:
    """Where one queue's calls come in."""

    queue: str
    host: str
    port: int


_DOOR: Final = re.compile(r"(?:([\w.+-]{1,64})=)?(\[[0-9a-fA-F:.]+\]|[\w.-]+):([0-9]{1,5})")


def read_door(text: str) -> Door:
    """Read ``[QUEUE=]HOST:PORT``.

    Raises:
        ValueError: something else.
    """
    match = _DOOR.fullmatch(text)
    if match is None or int(match[3]) > 65535:
        raise ValueError(f"{text!r}: write HOST:PORT or QUEUE=HOST:PORT")
    return Door(match[1] or "", match[2].strip("[]"), int(match[3]))


class AudioSocketParams(Params):
    """Calls from Asterisk's AudioSocket (docs/integrations/asterisk-audiosocket.md)."""

    enabled: bool = key(False, "Whether calls are taken this way.")
    listen: list[str] = key(
        ["127.0.0.1:9092"],
        "Where to listen: HOST:PORT, or QUEUE=HOST:PORT for calls of one queue, since the protocol "
        "does not say which number was dialled. It is not encrypted: keep it on one machine or in "
        "a private network.",
    )
    allow: list[str] = key(
        ["127.0.0.0/8", "::1/128"],
        "Networks (CIDR) of the exchanges that may connect; others are cut off at once.",
    )
    max_connections: int = key(
        200, "Connections at once, calls that are not yet taken included.", ge=1, le=10000
    )
    first_seconds: float = key(
        5.0, "The UUID must have come after so long, and audio after it.", unit="s", gt=0, le=60
    )
    idle_seconds: float = key(
        30.0, "A connection without a frame for so long is closed.", unit="s", gt=0, le=3600
    )
    write_seconds: float = key(
        5.0, "A peer that takes no audio for so long is cut off.", unit="s", gt=0, le=60
    )
    ahead_seconds: float = key(
        5.0,
        "How much more audio a peer may send than time has passed, before it is read slower.",
        unit="s", ge=0.1, le=60,
    )  # fmt: skip

    @model_validator(mode="after")
    def _readable(self) -> Self:
        self.doors()
        self.networks()
        if self.enabled and not self.listen:
            raise ValueError("listen names no address")
        return self

    def doors(self) -> list[Door]:
        """:attr:`listen`, read."""
        return [read_door(text) for text in self.listen]

    def networks(self) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
        """:attr:`allow`, read."""
        return [ipaddress.ip_network(text, strict=False) for text in self.allow]


class AudioSocketGateway:
    """Listens for AudioSocket connections; each is one call.

    Args:
        params: ...
        reception: Takes the calls.
        transfer: Hands a call over by its UUID, such as :class:`AriTransfer`; None: calls cannot
            be transferred.
    """

    def __init__(
        self, params: AudioSocketParams, reception: Reception, transfer: PbxTransfer | None = None
    ) -> None:
        self.params = params
        self.reception = reception
        self.transfer = transfer
        self.faults = Faults(self.name)
        self.references: set[str] = set()
        """UUIDs of the open connections"""
        self._networks = params.networks()
        self._servers: list[asyncio.Server] = []
        self._calls: dict[asyncio.Task[None], AudioSocketLine] = {}

    @property
    def name(self) -> str:
        """``audiosocket``."""
        return "audiosocket"

    @property
    def counters(self) -> Mapping[str, int]:
        """``audiosocket_truncated``, ``audiosocket_unknown_kind``, ..."""
        return self.faults.counters

    @property
    def ports(self) -> list[int]:
        """The ports that are listened on, in the order of the parameter ``listen``."""
        return [int(server.sockets[0].getsockname()[1]) for server in self._servers]

    async def start(self) -> None:
        """Listen.

        Raises:
            LineError: a port is taken or an address not ours.
        """
        for door in self.params.doors():
            try:
                server = await asyncio.start_server(
                    partial(self._connected, door.queue), door.host, door.port
                )
            except OSError as error:
                await self.close()
                raise LineError(
                    f"audiosocket.listen {door.host}:{door.port}: {error.strerror or error}",
                    "choose a free port and an address of this machine",
                ) from None
            self._servers.append(server)

    async def close(self) -> None:
        """Stop listening, hang up what is left."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for line in list(self._calls.values()):
            await line.hang_up("shutdown")
        if self._calls:
            await asyncio.gather(*self._calls, return_exceptions=True)

    def _connected(
        self, queue: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        peername = writer.get_extra_info("peername") or ("", 0)
        host, port = str(peername[0]), int(peername[1])
        fault = ""
        if not self._allowed(host):
            fault = "audiosocket_forbidden"
        elif len(self._calls) >= self.params.max_connections:
            fault = "audiosocket_too_many"
        if fault:
            self.faults.count(fault, peer=host)
            writer.transport.abort()
            return
        line = AudioSocketLine(self, queue, f"{host}:{port}", reader, writer)
        task = asyncio.get_running_loop().create_task(line.run(), name="audiosocket")
        self._calls[task] = line
        task.add_done_callback(self._calls.pop)

    def _allowed(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._networks)


class AudioSocketLine:
    """One connection, and so one call.

    Args:
        gateway: Whose parameters, reception and counters it uses.
        queue: Of the port that it came to.
        peer: ``host:port``.
        reader: ...
        writer: ...
    """

    def __init__(
        self,
        gateway: AudioSocketGateway,
        queue: str,
        peer: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._gateway = gateway
        self._params = gateway.params
        self._queue = queue
        self._peer = peer
        self._reader = reader
        self._writer = writer
        self._parser = FrameParser()
        self._reference = ""
        self._kind: Kind | None = None
        self._ear: Ear | None = None
        self._reason = ""
        """why it ends; set once"""
        self._told = False
        self._transfers = 0
        self._speaking = asyncio.Lock()
        writer.transport.set_write_buffer_limits(high=_SEND_BUFFER)

    # ------------------------------------------------------------ the phone side

    @property
    def can_speak(self) -> bool:
        """Whether the connection is open."""
        return not self._reason and self._kind is not None

    def figures(self) -> Mapping[Leg, MediaFigures]:
        """Empty: TCP loses nothing."""
        return {}

    async def play(self, pcm: Pcm) -> None:
        """Say something, in frames of 20 ms at the pace of speech."""
        async with self._speaking:
            if self._kind is None:
                return
            loop = asyncio.get_running_loop()
            size = int(RATES[self._kind] * _FRAME_SECONDS)
            start = loop.time()
            for number, at in enumerate(range(0, len(pcm), size)):
                await asyncio.sleep(start + number * _FRAME_SECONDS - loop.time())
                if not self.can_speak:
                    return
                block = np.zeros(size, "<i2")  # a short last frame would click
                block[: len(pcm) - at] = pcm[at : at + size]
                await self._send(write_frame(self._kind, block.tobytes()))
            await asyncio.sleep(start + len(pcm) / RATES[self._kind] - loop.time())

    async def transfer(self, target: str, briefing: Briefing) -> Transferred:
        """Hand over by the exchange, which then closes the connection."""
        if self._reason:
            return Transferred(TransferResult.GONE, "the caller has hung up")
        if self._gateway.transfer is None:
            return Transferred(
                TransferResult.UNSUPPORTED,
                "AudioSocket itself cannot transfer: set up the section `ari` of config.yaml and "
                "VOICEBOT_UUID in the dialplan (docs/integrations/asterisk-audiosocket.md)",
            )
        self._transfers += 1
        try:
            outcome = await self._gateway.transfer(self._reference, target, briefing)
        finally:
            self._transfers -= 1
        if outcome.result == TransferResult.DONE:
            self._reason = "transferred"
            self._stop()
        if self._reason and not self._transfers:
            self._tell(self._reason)
        return outcome

    async def hang_up(self, reason: str) -> None:
        """Tell Asterisk to hang up, and close."""
        if self._reason:
            return
        self._reason = reason
        if not self._writer.is_closing():
            self._writer.write(write_frame(Kind.HANGUP))
        self._stop()
        if not self._transfers:
            self._tell(reason)

    # ------------------------------------------------------------ the connection

    async def run(self) -> None:
        """Read until the end; releases everything."""
        reason = "line_error"
        try:
            reason = await self._listen()
        except FrameError as error:
            self._gateway.faults.count(error.counter, peer=self._peer, what=str(error))
        except RefusedError as refusal:
            self._gateway.faults.count("audiosocket_refused", peer=self._peer, what=refusal.what)
            self._writer.write(write_frame(Kind.HANGUP))
        except OSError:
            reason = "line_lost"
        finally:
            self._reason = self._reason or reason
            if not self._transfers:  # else transfer() tells, when it knows how that ended
                self._tell(self._reason)
            self._gateway.references.discard(self._reference)
            await self._close()

    async def _listen(self) -> str:
        loop = asyncio.get_running_loop()
        began = last = loop.time()
        heard = 0.0
        while True:
            patience = self._params.idle_seconds if self._ear else self._params.first_seconds
            try:
                async with asyncio.timeout_at(last + patience):
                    data = await self._reader.read(8192)
            except TimeoutError:
                self._gateway.faults.count(
                    "audiosocket_idle" if self._ear else "audiosocket_no_call", peer=self._peer
                )
                return "line_lost"
            if self._reason:
                return self._reason
            if not data:
                if self._parser.in_frame:
                    self._gateway.faults.count("audiosocket_truncated", peer=self._peer)
                    return "line_lost"
                return "hangup"
            for frame in self._parser.feed(data):
                ended = self._take(frame)
                if self._ear is not None or frame.kind == Kind.UUID:
                    last = loop.time()  # digits alone make no call, so they win no time
                if ended:
                    return ended
                if frame.kind in RATES:
                    if not heard:
                        began = last
                    heard += len(frame.payload) / 2 / RATES[frame.kind]
            ahead = heard - (loop.time() - began) - self._params.ahead_seconds
            if ahead > 0:  # TCP then slows the peer down
                self._gateway.faults.count("audiosocket_too_fast", peer=self._peer)
                await asyncio.sleep(min(ahead, 1.0))
                last = loop.time()

    def _take(self, frame: SocketFrame) -> str:
        """Take a frame.

        Returns:
            Why the call ends by it, or nothing.
        """
        if frame.kind == Kind.HANGUP:
            return "hangup"
        if frame.kind == Kind.ERROR:
            self._gateway.faults.count(
                "audiosocket_peer_error", peer=self._peer, code=frame.payload[:4].hex()
            )
            return "line_error"
        if frame.kind == Kind.UUID:
            self._name(str(uuid.UUID(bytes=frame.payload)))
        elif not self._reference:
            raise FrameError("audiosocket_no_uuid", f"{frame.kind.name.lower()} before the UUID")
        elif frame.kind == Kind.DTMF:
            digit = frame.payload.decode("latin-1").upper()
            if self._ear is not None and digit in _DIGITS:
                self._ear.digit(Leg.CALLER, digit, 0.0)  # the protocol does not say how long
            else:
                self._gateway.faults.count("audiosocket_bad_digit", peer=self._peer)
        elif frame.payload:
            self._hear(frame)
        return ""

    def _name(self, reference: str) -> None:
        if self._reference:
            raise FrameError("audiosocket_second_uuid", "a second UUID")
        if reference in self._gateway.references:
            raise FrameError("audiosocket_same_uuid", "another open connection has this UUID")
        self._reference = reference
        self._gateway.references.add(reference)

    def _hear(self, frame: SocketFrame) -> None:
        if self._ear is None:  # only now is the rate known
            offer = Offer(
                gateway=self._gateway.name,
                reference=self._reference,
                peer=self._peer,
                legs=(Leg.CALLER,),
                rate=RATES[frame.kind],
                called=self._queue,
            )
            self._kind = frame.kind
            self._ear = self._gateway.reception.receive(offer, self)
        elif frame.kind != self._kind:
            raise FrameError("audiosocket_rate_changed", "the rate changed in the middle of a call")
        self._ear.audio(Leg.CALLER, np.frombuffer(frame.payload, "<i2").astype(np.int16))

    def _tell(self, reason: str) -> None:
        if self._ear is not None and not self._told:
            self._told = True
            self._ear.ended(reason)

    async def _send(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            async with asyncio.timeout(self._params.write_seconds):
                await self._writer.drain()
        except TimeoutError:
            self._gateway.faults.count("audiosocket_stuck", peer=self._peer)
            self._reason = self._reason or "line_lost"
            self._writer.transport.abort()
        except OSError:
            pass  # the reader sees it too, and ends the call

    def _stop(self) -> None:
        self._writer.close()
        self._reader.feed_eof()  # wakes the reader; nothing is fed once the writer is closing

    async def _close(self) -> None:
        self._writer.close()
        try:
            async with asyncio.timeout(self._params.write_seconds):
                with suppress(OSError):
                    await self._writer.wait_closed()
        except TimeoutError:
            pass
        finally:
            self._writer.transport.abort()
