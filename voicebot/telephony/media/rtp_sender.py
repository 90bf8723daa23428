"""Sends audio at the pace of speech.

Timestamps follow one steady clock from the first packet to the last, so a pause
between two prompts is a pause for the peer too (RFC 3550 section 5.1), and pacing
does not drift: every packet has its own time, however late the one before was.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Final

import numpy as np

from voicebot.events import Pcm
from voicebot.telephony.media.codecs import Coder
from voicebot.telephony.media.dtmf import event_payload
from voicebot.telephony.media.rtp import build_rtp

_DIGIT_END_PACKETS: Final = 3
"""RFC 4733 section 2.5.1.4"""
_LONGEST_DIGIT: Final = 5.0
_MOST_AHEAD: Final = 0.4
"""s by which passed-on audio may run ahead of the clock; more is no live audio"""
_SAME_BREATH: Final = 0.04
"""s after the end of one piece of audio in which the next joins it without a pause"""


class RtpSender:
    """The outgoing stream of one session: one SSRC, one sequence, one clock.

    Args:
        transmit: Given each packet; must not block.

    Attributes:
        ssrc: Ours.
        packets: Sent.
        octets: Of payload sent.
    """

    def __init__(self, transmit: Callable[[bytes], None]) -> None:
        self._transmit = transmit
        self._loop = asyncio.get_running_loop()
        self._lock = asyncio.Lock()
        self.ssrc = secrets.randbits(32)
        self.packets = self.octets = 0
        self._sequence = secrets.randbits(15)  # below 2^15, as SRTP wishes (RFC 3711 3.3.1)
        self._base = secrets.randbits(32)
        self._began = self._loop.time()
        self._next = 0
        """ticks since the base from which on nothing was sent yet"""
        self._talking = False
        self._rest: Pcm = np.zeros(0, np.int16)
        self._coder: Coder | None = None
        self._payload_type = 0
        self._event_type = -1
        self._packet = 160
        """samples"""
        self.last_sent = self._began

    def configure(self, coder: Coder, payload_type: int, ptime_ms: int, event_type: int) -> None:
        """Say how audio is sent from now on.

        Args:
            coder: Its coder is ours alone.
            payload_type: Of audio.
            ptime_ms: Length of a packet.
            event_type: Payload type of telephone events, -1 if there are none.
        """
        self._coder, self._payload_type, self._event_type = coder, payload_type, event_type
        self._packet = coder.rate * ptime_ms // 1000
        self._rest = np.zeros(0, np.int16)

    def stop(self) -> None:
        """Send nothing more; what is being said ends at its next packet."""
        self._coder = None

    @property
    def playing(self) -> bool:
        """Whether something is being said."""
        return self._lock.locked()

    @property
    def timestamp(self) -> int:
        """RTP timestamp of this moment, 32 bits."""
        return (self._base + self._ticks(self._loop.time())) & 0xFFFFFFFF

    async def play(self, pcm: Pcm) -> None:
        """Send audio packet by packet; returns when the last packet has had its time.

        Args:
            pcm: At the coder's rate; the last packet is filled up with silence.
        """
        async with self._lock:
            coder, size = self._coder, self._packet
            if coder is None or not len(pcm):
                return
            first = self._start()
            step = size // coder.per_tick
            self._rest = np.zeros(0, np.int16)
            self._talking = False
            for number, start in enumerate(range(0, len(pcm), size)):
                at = first + number * step
                await self._until(at)
                if self._coder is not coder or self._packet != size:
                    return  # negotiated anew in the middle of a word
                self._audio(_filled(pcm[start : start + size], size), at)
            await self._until(self._next)
            self._talking = False

    def send(self, pcm: Pcm) -> None:
        """Send audio that comes at its own pace; what fills no packet waits for the next.

        Args:
            pcm: At the coder's rate; of what runs far ahead of the clock only the end is sent.
        """
        coder, size = self._coder, self._packet
        if coder is None or self.playing:
            return
        now = self._ticks(self._loop.time())
        clock = coder.rate // coder.per_tick
        # A source that pauses longer than its jitter begins a new talk spurt.
        if now > self._next + clock // 5:
            self._next, self._talking = now, False
            self._rest = self._rest[:0]
        room = round(_MOST_AHEAD * clock) - (self._next - now)
        pcm = pcm[max(len(pcm) - room * coder.per_tick, 0) :] if room > 0 else pcm[:0]
        joined = np.concatenate((self._rest, pcm))
        whole = len(joined) // size * size
        for start in range(0, whole, size):
            self._audio(joined[start : start + size], self._next)
        self._rest = joined[whole:].copy()

    def silence(self) -> None:
        """Send one packet of silence: it keeps the peer, and what lies between, awake."""
        coder = self._coder
        if coder is None or self.playing:
            return
        self._talking = False
        at = self._start()
        self._audio(np.zeros(self._packet, np.int16), at)
        self._talking = False

    async def send_digit(self, digit: str, seconds: float) -> bool:
        """Send one DTMF digit (RFC 4733 section 2.5.1).

        Returns:
            False if telephone events were not negotiated.

        Raises:
            ValueError: no digit.
        """
        async with self._lock:
            coder = self._coder
            if coder is None or self._event_type < 0:
                return False
            step = self._packet // coder.per_tick
            clock = coder.rate // coder.per_tick
            steps = max(2, round(min(seconds, _LONGEST_DIGIT) * clock / step))
            at = self._start()
            event_payload(digit, 0, end=False)
            for number in range(1, steps + 1):
                await self._until(at + number * step)
                if self._coder is not coder:
                    return True
                self._event(digit, number * step, at, marker=number == 1, end=False)
            for _ in range(_DIGIT_END_PACKETS):
                self._event(digit, steps * step, at, marker=False, end=True)
                await asyncio.sleep(step / clock / 2)
            self._next = max(self._next, at + steps * step)
            self._talking = False
            return True

    def _start(self) -> int:
        """Ticks at which something new begins."""
        now = self._ticks(self._loop.time())
        joins = self.packets > 0 and now < self._next + self._ticks(self._began + _SAME_BREATH)
        return self._next if joins else now

    def _ticks(self, now: float) -> int:
        coder = self._coder
        clock = coder.rate // coder.per_tick if coder is not None else 8000
        return int((now - self._began) * clock)

    async def _until(self, ticks: int) -> None:
        if self._coder is None:
            return
        clock = self._coder.rate // self._coder.per_tick
        delay = self._began + ticks / clock - self._loop.time()
        await asyncio.sleep(max(delay, 0.0))

    def _audio(self, pcm: Pcm, at: int) -> None:
        assert self._coder is not None
        self._emit(self._payload_type, at, self._coder.encode(pcm), not self._talking)
        self._next = at + len(pcm) // self._coder.per_tick
        self._talking = True

    def _event(self, digit: str, duration: int, at: int, *, marker: bool, end: bool) -> None:
        self._emit(self._event_type, at, event_payload(digit, duration, end=end), marker)

    def _emit(self, payload_type: int, at: int, payload: bytes, marker: bool) -> None:
        packet = build_rtp(
            payload_type, self._sequence, self._base + at, self.ssrc, payload, marker
        )
        self._sequence = (self._sequence + 1) & 0xFFFF
        self.packets += 1
        self.octets += len(payload)
        self.last_sent = self._loop.time()
        self._transmit(packet)


def _filled(pcm: Pcm, size: int) -> Pcm:
    if len(pcm) == size:
        return pcm
    return np.concatenate((pcm, np.zeros(size - len(pcm), np.int16)))
