"""One call by AudioSocket."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from voicebot.events import Leg, Pcm
from voicebot.telephony.asterisk.audiosocket_frames import (
    RATES,
    FrameError,
    FrameParser,
    Kind,
    SocketFrame,
    write_frame,
)
from voicebot.telephony.asterisk.audiosocket_params import AudioSocketParams
from voicebot.telephony.faults import Faults
from voicebot.telephony.line import (
    TRANSFERRED,
    Briefing,
    Ear,
    MediaFigures,
    Offer,
    Reception,
    RefusedError,
    Transferred,
    TransferResult,
)
from voicebot.telephony.pbx_transfer import PbxTransfer

_FRAME_SECONDS: Final = 0.02
_SEND_BUFFER: Final = 3200
"""bytes that wait here for a slow peer: what is said should be heard now or not at all"""
_DIGITS: Final = frozenset("0123456789*#ABCD")


@dataclass(frozen=True, slots=True)
class Shared:
    """What all connections of a gateway share."""

    params: AudioSocketParams
    reception: Reception
    transfer: PbxTransfer | None
    faults: Faults
    references: set[str] = field(default_factory=set)
    """UUIDs of the open connections"""
    waiting: dict[str, AudioSocketLine] = field(default_factory=dict)
    """by UUID, calls whose caller is being transferred and may come back"""


class _ReturnedError(Exception):
    """The connection belongs to a call that there already is."""

    def __init__(self, line: AudioSocketLine) -> None:
        super().__init__()
        self.line = line


class AudioSocketLine:
    """One connection, and so one call.

    Args:
        shared: What all connections of the gateway share.
        queue: Of the port that it came to.
        peer: ``host:port``.
        reader: ...
        writer: ...
    """

    def __init__(
        self,
        shared: Shared,
        queue: str,
        peer: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._shared = shared
        self._params = shared.params
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
        self._away = False
        """the connection is closed for a transfer; the caller may come back by another"""
        self._patience: asyncio.TimerHandle | None = None
        self._speaking = asyncio.Lock()
        writer.transport.set_write_buffer_limits(high=_SEND_BUFFER)

    # ------------------------------------------------------------ the phone side

    @property
    def can_speak(self) -> bool:
        """Whether the connection is open."""
        return not self._reason and not self._away and self._kind is not None

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
        if self._shared.transfer is None:
            return Transferred(
                TransferResult.UNSUPPORTED,
                "AudioSocket itself cannot transfer: set up the section `ari` of config.yaml and "
                "VOICEBOT_UUID in the dialplan (docs/integrations/asterisk-audiosocket.md)",
            )
        if self._patience is not None:
            self._patience.cancel()
        self._transfers += 1
        try:
            outcome = await self._shared.transfer(self._reference, target, briefing)
        finally:
            self._transfers -= 1
            if self._away and not self._transfers:
                self._patience = asyncio.get_running_loop().call_later(
                    self._params.return_seconds, self._give_up
                )
        if outcome.result == TransferResult.DONE and not self._reason:
            self._reason = TRANSFERRED
            if self._away:
                self._give_up()
            else:
                self._stop()
        elif self._away and outcome.result == TransferResult.GONE:
            self._give_up()
        if self._reason and not self._transfers:
            self._tell(self._reason)
        return outcome

    async def hang_up(self, reason: str) -> None:
        """Tell Asterisk to hang up, and close."""
        if self._reason:
            return
        self._reason = reason
        if self._away:
            self._give_up()
            return
        if not self._writer.is_closing():
            self._writer.write(write_frame(Kind.HANGUP))
        self._stop()
        if not self._transfers:
            self._tell(reason)

    def _give_up(self) -> None:
        """The caller does not come back."""
        if self._patience is not None:
            self._patience.cancel()
        self._away = False
        self._shared.waiting.pop(self._reference, None)
        self._reason = self._reason or "hangup"
        self._tell(self._reason)

    # ------------------------------------------------------------ the connection

    async def run(self) -> AudioSocketLine | None:
        """Read until the end; releases everything.

        Returns:
            The call that this connection goes on with, if it is no new one.
        """
        reason = "line_error"
        try:
            reason = await self._listen()
        except _ReturnedError as returned:
            return returned.line
        except FrameError as error:
            self._shared.faults.count(error.counter, peer=self._peer, what=str(error))
        except RefusedError as refusal:
            self._shared.faults.count("audiosocket_refused", peer=self._peer, what=refusal.what)
            self._writer.write(write_frame(Kind.HANGUP))
        except OSError:
            reason = "line_lost"
        except BaseException:
            self._end(reason)
            self._writer.transport.abort()
            raise
        self._end(reason)
        await self._close()
        return None

    async def go_on(self, by: AudioSocketLine) -> None:
        """The caller is back.

        Args:
            by: The connection that named our UUID; its bytes are ours from now on.
        """
        if self._patience is not None:
            self._patience.cancel()
        self._away = False
        self._reader, self._writer, self._parser = by._reader, by._writer, by._parser
        self._peer = by._peer
        self._shared.references.add(self._reference)
        await self.run()

    def _end(self, reason: str) -> None:
        self._shared.references.discard(self._reference)
        if self._transfers and not self._reason and reason in ("hangup", "line_lost"):
            self._away = True  # Asterisk closes when it redirects; transfer() knows what follows
            self._shared.waiting[self._reference] = self
            return
        self._reason = self._reason or reason
        if not self._transfers:
            self._tell(self._reason)

    async def _listen(self) -> str:
        loop = asyncio.get_running_loop()
        began = last = loop.time()
        heard = 0.0
        data = b""  # one who comes back may have said something already
        while True:
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
                self._shared.faults.count("audiosocket_too_fast", peer=self._peer)
                await asyncio.sleep(min(ahead, 1.0))
                last = loop.time()
            patience = self._params.idle_seconds if self._ear else self._params.first_seconds
            try:
                async with asyncio.timeout_at(last + patience):
                    data = await self._reader.read(8192)
            except TimeoutError:
                self._shared.faults.count(
                    "audiosocket_idle" if self._ear else "audiosocket_no_call", peer=self._peer
                )
                return "line_lost"
            if self._reason:
                return self._reason
            if not data:
                if self._parser.in_frame:
                    self._shared.faults.count("audiosocket_truncated", peer=self._peer)
                    return "line_lost"
                return "hangup"

    def _take(self, frame: SocketFrame) -> str:
        """Take a frame.

        Returns:
            Why the call ends by it, or nothing.
        """
        if frame.kind == Kind.HANGUP:
            return "hangup"
        if frame.kind == Kind.ERROR:
            self._shared.faults.count(
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
                self._shared.faults.count("audiosocket_bad_digit", peer=self._peer)
        elif frame.payload:
            self._hear(frame)
        return ""

    def _name(self, reference: str) -> None:
        if self._reference:
            raise FrameError("audiosocket_second_uuid", "a second UUID")
        if reference in self._shared.references:
            raise FrameError("audiosocket_same_uuid", "another open connection has this UUID")
        earlier = self._shared.waiting.pop(reference, None)
        if earlier is not None:
            raise _ReturnedError(earlier)
        self._reference = reference
        self._shared.references.add(reference)

    def _hear(self, frame: SocketFrame) -> None:
        if self._ear is None:  # only now is the rate known
            offer = Offer(
                gateway=self._shared.faults.gateway,
                reference=self._reference,
                peer=self._peer,
                legs=(Leg.CALLER,),
                rate=RATES[frame.kind],
                called=self._queue,
            )
            self._kind = frame.kind
            self._ear = self._shared.reception.receive(offer, self)
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
            self._shared.faults.count("audiosocket_stuck", peer=self._peer)
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
