"""Makes continuous audio of the packets of one leg.

Packets are put in order, waiting a little for those that are missing; what is lost
is concealed; what was not sent (silence suppression, hold) is filled with silence.
So the samples heard are as many as the timestamps say, and in order.

There is no clock here: time comes with each packet, and whoever owns the stream
calls :meth:`RtpStream.tick` when :attr:`RtpStream.deadline` is due, which is only
ever set while a packet is missing.

Sources:
    RFC 3550 sections 5.1, 6.4.1 and A.1 (sequence numbers, jitter, restarted peers).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from voicebot.events import Pcm
from voicebot.telephony.media.codecs import Coder
from voicebot.telephony.media.comfort_noise import ComfortNoise
from voicebot.telephony.media.concealment import HISTORY, Concealment
from voicebot.telephony.media.rtp import RtpPacket

_DROPOUT: Final = 3000
"""packets; a greater step ahead is a peer that began anew (RFC 3550 A.1)"""
_MISORDER: Final = 200
"""packets; a greater step back is too"""
_MOST_WAITING: Final = 128
_REMEMBERED: Final = 256
"""lost packets that are known by number, to tell late ones from duplicates"""
_SLACK: Final = 0.5
"""s by which timestamps may run ahead of the clock; a greater step is no silence but a jump"""
_PAUSE: Final = 0.2
"""s without a packet that count as silence where timestamps say nothing"""
_BURST: Final = 10.0
"""s by which what is heard may run ahead of the clock: a stalled network catches up"""
_FASTEST: Final = 1.05
"""s of audio that a peer's clock may make of a second"""
_LATE_NOISE: Final = 0.3
"""s of comfort noise, all of them handed on when the pause is over, beyond which it is marked as
made up: a live listener has not waited for it, and silence is there already"""
_PIECE: Final = 1.0
"""s of filling that are handed on at once"""
_HALF: Final = 0x80000000
_Arrived = tuple[RtpPacket, float]


class RtpStream:
    """Audio of one leg, from whichever source (SSRC) speaks.

    Args:
        heard: Given each piece of audio, and whether it is concealed: made up for lost packets,
            or noise that stands for a long pause.
        reorder: How long to wait for a missing packet, in s.
        most_gap: Longest silence filled in one piece, in s.

    Attributes:
        packets: Received.
        lost: Whose place was concealed, and that have not come since.
        late: That came after their place had been concealed.
        duplicates: Received again.
        strays: Single packets of another source or with a wild sequence number, dropped.
        restarts: How often the peer began anew.
        jumps: How often timestamps jumped.
        flooded: Packets dropped since the peer sends far more audio than there is time for.
        concealed: s of audio made up for lost packets.
        ssrc: Of the source that is heard; None before the first packet.
    """

    def __init__(
        self, heard: Callable[[Pcm, bool], None], *, reorder: float = 0.06, most_gap: float = 60.0
    ) -> None:
        self._heard = heard
        self._reorder = reorder
        self._most_gap = most_gap
        self._coders: Mapping[int, Coder] = {}
        self._noise_type = -1
        self._noise = ComfortNoise()
        self._rate = 8000
        self._clock = 8000
        self.packets = self.lost = self.late = self.duplicates = self.strays = 0
        self.restarts = self.jumps = self.flooded = 0
        self.concealed = 0.0
        self.ssrc: int | None = None
        self._begun = False
        """False: packets are collected, to find the first"""
        self._expected = 0
        self._first = 0
        self._cycles = 0
        self._waiting: dict[int, _Arrived] = {}
        self._since = 0.0
        """arrival of the first packet that waits"""
        self._candidate: _Arrived | None = None
        self._gone: deque[int] = deque(maxlen=_REMEMBERED)
        self._missing = 0
        """packets lost since the last audio"""
        self._next: int | None = None
        """timestamp of the next sample"""
        self._length = 160
        """ticks of the last packet"""
        self._last_audio: float | None = None
        """arrival of the last packet that was heard"""
        self._recent: deque[Pcm] = deque(maxlen=8)
        self._concealment: Concealment | None = None
        self._transit: tuple[float, int] | None = None
        self._jitter = 0.0
        self._origin: float | None = None
        """arrival of the first audio"""
        self._total = 0
        """samples heard"""

    def configure(self, coders: Mapping[int, Coder], comfort_noise: int) -> None:
        """Say how payloads are read; again when that was negotiated anew.

        Packets of any other type keep their place in the sequence, and carry no audio.

        Args:
            coders: By payload type, all of one rate.
            comfort_noise: Payload type.
        """
        self._coders, self._noise_type = coders, comfort_noise
        for coder in coders.values():
            self._rate, self._clock = coder.rate, coder.rate // coder.per_tick

    @property
    def jitter(self) -> float:
        """Interarrival jitter in s."""
        return self._jitter / self._clock

    @property
    def highest(self) -> int:
        """Extended highest sequence number that was put in order, 32 bits."""
        return ((self._cycles << 16) + self._expected - 1) & 0xFFFFFFFF

    @property
    def first(self) -> int:
        """Extended sequence number before the first of this source, 32 bits."""
        return (self._first - 1) & 0xFFFFFFFF

    @property
    def deadline(self) -> float | None:
        """When :meth:`tick` is due; None while nothing is missing."""
        return self._since + self._reorder if self._waiting else None

    def push(self, packet: RtpPacket, now: float) -> None:
        """Take a packet.

        Args:
            packet: In any order.
            now: When it arrived, in s of any steady clock.
        """
        self.packets += 1
        if packet.ssrc != self.ssrc:
            if self.ssrc is not None:
                self._doubt(packet, now)
                return
            self.ssrc = packet.ssrc
        if packet.payload_type in self._coders:
            self._measure(packet.timestamp, now)
        if not self._begun:
            self._collect(packet, now)
            return
        ahead = (packet.sequence - self._expected) & 0xFFFF
        if ahead == 0:
            self._advance(1)
            self._deliver(packet, now)
            if self._waiting:
                self._drain()
        elif ahead <= _DROPOUT:
            self._wait(packet, now)
        elif ahead < 0x10000 - _MISORDER:
            self._doubt(packet, now)
        elif packet.sequence in self._gone:
            self._gone.remove(packet.sequence)
            self.lost -= 1
            self.late += 1
        else:
            self.duplicates += 1
        if self._waiting and now >= self._since + self._reorder:
            self.tick(now)

    def tick(self, now: float) -> None:
        """Give up waiting for packets that are overdue."""
        while self._waiting and now >= self._since + self._reorder:
            self._give_up()

    def flush(self) -> None:
        """Hand on everything that waits; the next packet goes on from there."""
        while self._waiting:
            self._give_up()

    def restart(self) -> None:
        """Expect another source: the peer's address has changed."""
        self.flush()
        self.ssrc, self._candidate = None, None
        self._begin_anew()

    # ------------------------------------------------------------ order

    def _collect(self, packet: RtpPacket, now: float) -> None:
        """Wait for the first packets, which may be out of order too."""
        if packet.sequence in self._waiting:
            self.duplicates += 1
            return
        if self._waiting:
            first = next(iter(self._waiting))
            if (packet.sequence - first + _MISORDER) & 0xFFFF > 2 * _MISORDER:
                self._doubt(packet, now)
                return
        else:
            self._since = now
        self._waiting[packet.sequence] = (packet, now)
        if now >= self._since + self._reorder or len(self._waiting) >= _MOST_WAITING:
            self._give_up()

    def _wait(self, packet: RtpPacket, now: float) -> None:
        if packet.sequence in self._waiting:
            self.duplicates += 1
            return
        if not self._waiting:
            self._since = now
        self._waiting[packet.sequence] = (packet, now)
        if len(self._waiting) > _MOST_WAITING:
            self._give_up()

    def _give_up(self) -> None:
        """Go on with the first packet that is there."""
        if not self._begun:
            base = next(iter(self._waiting))
            self._expected = min(
                self._waiting, key=lambda sequence: (sequence - base + 0x8000) & 0xFFFF
            )
            self._first = self._expected
            self._begun = True
        skipped = min((sequence - self._expected) & 0xFFFF for sequence in self._waiting)
        self.lost += skipped
        self._missing += skipped
        for step in range(max(0, skipped - _REMEMBERED), skipped):
            self._gone.append((self._expected + step) & 0xFFFF)
        self._advance(skipped)
        self._drain()

    def _drain(self) -> None:
        """Hand on what is in order now."""
        while self._waiting:
            arrived = self._waiting.pop(self._expected, None)
            if arrived is None:
                self._since = min(since for _, since in self._waiting.values())
                return
            self._advance(1)
            self._deliver(*arrived)

    def _advance(self, packets: int) -> None:
        self._expected += packets
        if self._expected > 0xFFFF:
            self._expected &= 0xFFFF
            self._cycles = (self._cycles + 1) & 0xFFFF

    def _doubt(self, packet: RtpPacket, now: float) -> None:
        """Two packets in a row from elsewhere are a peer that began anew, one is a stray."""
        if self._candidate is not None:
            first = self._candidate[0]
            step = (packet.sequence - first.sequence + 16) & 0xFFFF
            if first.ssrc == packet.ssrc and step <= 32:
                if step == 16:
                    self.duplicates += 1
                    return
                candidate = self._candidate
                self.flush()
                self._begin_anew()
                self.ssrc = packet.ssrc
                self.restarts += 1
                self._collect(*candidate)
                self._collect(packet, now)
                return
            self.strays += 1
        self._candidate = (packet, now)

    def _begin_anew(self) -> None:
        self._begun = False
        self._next = None
        self._missing = 0
        self._cycles = 0
        self._candidate = None
        self._transit = None
        self._gone.clear()

    # ------------------------------------------------------------ audio

    def _deliver(self, packet: RtpPacket, now: float) -> None:
        coder = self._coders.get(packet.payload_type)
        if coder is None:
            if packet.payload_type == self._noise_type:
                self._fill_to(packet.timestamp, now)
                self._next = packet.timestamp
                self._noise.update(packet.payload)
            return
        if not packet.payload:
            return
        if self._origin is None:
            self._origin = now
        if self._total > (_BURST + (now - self._origin) * _FASTEST) * self._rate:
            self.flooded += 1
            self._next = (packet.timestamp + len(packet.payload)) & 0xFFFFFFFF
            self._missing = 0
            return
        if packet.timestamp != self._next or self._last_audio is None:
            self._fill_to(packet.timestamp, now)
        self._missing = 0
        pcm = coder.decode(packet.payload)
        if self._concealment is not None:
            pcm = self._concealment.blend(pcm)
            self._concealment = None
        self._length = len(pcm) // coder.per_tick
        self._next = (packet.timestamp + self._length) & 0xFFFFFFFF
        self._last_audio = now
        self._emit(pcm, False)

    def _emit(self, pcm: Pcm, concealed: bool) -> None:
        self._recent.append(pcm)
        self._total += len(pcm)
        self._heard(pcm, concealed)

    def _fill_to(self, timestamp: int, now: float) -> None:
        """Make up for lost packets, and for silence, between the last audio and this packet."""
        per_tick = self._rate // self._clock
        elapsed = 0.0 if self._last_audio is None else now - self._last_audio
        if self._next is not None:
            gap = (timestamp - self._next) & 0xFFFFFFFF
            if gap <= min(elapsed + _SLACK, self._most_gap) * self._clock:
                lost = min(gap, self._missing * self._length)
                self._conceal(lost * per_tick)
                self._silence((gap - lost) * per_tick)
                return
            self.jumps += 1
        # Timestamps say nothing: what the clock says keeps the audio in step with the call.
        pause = min(elapsed - self._length / self._clock, self._most_gap)
        if pause > _PAUSE:
            self._silence(round(pause * self._rate))

    def _conceal(self, samples: int) -> None:
        if not samples:
            return
        if self._concealment is None:
            recent = np.concatenate(self._recent) if self._recent else np.zeros(0, np.int16)
            keep = round(HISTORY * self._rate)
            self._concealment = Concealment(recent[-keep:], self._rate)
            self._recent.clear()
            self._recent.append(recent[-keep:])
        self.concealed += samples / self._rate
        for piece in self._pieces(samples):
            self._emit(self._concealment.take(piece), True)

    def _silence(self, samples: int) -> None:
        if not samples:
            return
        self._concealment = None
        late = self._noise.audible and samples > _LATE_NOISE * self._rate
        for piece in self._pieces(samples):
            self._emit(self._noise.take(piece), late)
        self._noise.silence()

    def _pieces(self, samples: int) -> list[int]:
        most = round(_PIECE * self._rate)
        whole, rest = divmod(samples, most)
        return [most] * whole + [rest] * (rest > 0)

    def _measure(self, timestamp: int, now: float) -> None:
        """Interarrival jitter, RFC 3550 section 6.4.1, in ticks."""
        if self._transit is not None:
            before, stamp = self._transit
            ticks = ((timestamp - stamp + _HALF) & 0xFFFFFFFF) - _HALF
            difference = abs((now - before) * self._clock - ticks)
            if difference < _SLACK * self._clock:  # else it is a jump or a pause
                self._jitter += (difference - self._jitter) / 16.0
        self._transit = (now, timestamp)
