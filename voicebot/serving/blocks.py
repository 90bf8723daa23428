"""From what the line delivers to blocks in step.

A gateway delivers each leg's audio when it comes, in pieces of any length; a
call wants all legs together, 100 ms at a time.  A leg that falls behind the
clock on the wall (on hold, silent, its peer dead) is filled with silence, so
that time goes on in the call.  A gateway that learns of such a gap only when
audio comes again fills it too; what was already filled is then not there twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from voicebot.audio.source import BLOCK_SECONDS
from voicebot.events import Frame, Leg, Pcm, Span

PATIENCE_SECONDS: Final = 0.4
"""s that a leg may be late before silence takes its place.  Above the reordering and jitter of a
line, below the pause that ends an utterance."""
LEAD_SECONDS: Final = 2.0
"""s that a leg may be ahead of the other: one that was filled while its audio was delayed."""


class _LegBuffer:
    """What a leg has delivered and no block has taken."""

    def __init__(self) -> None:
        self.pieces: list[tuple[Pcm, bool]] = []
        self.samples = 0
        self.owed = 0
        """samples of silence that stood in for the leg since it last said something"""

    def unpaid(self, pcm: Pcm, concealed: bool) -> Pcm:
        """What is left of a piece without the part whose time is over.

        Only of made-up audio and digital silence: speech that is late is better heard late.
        """
        if not self.owed:
            return pcm
        if not concealed and pcm.any():
            self.owed = 0
            return pcm
        paid = min(self.owed, len(pcm))
        self.owed -= paid
        return pcm[paid:]

    def put(self, pcm: Pcm, concealed: bool) -> None:
        if len(pcm):
            self.pieces.append((pcm, concealed))
            self.samples += len(pcm)

    def take(self, size: int, rate: int, start: float) -> Frame:
        """The next ``size`` samples; silence, which counts as concealed, for those missing."""
        if self.samples < size:
            self.owed += size - self.samples
            self.put(np.zeros(size - self.samples, np.int16), True)
        parts: list[Pcm] = []
        concealed: list[Span] = []
        done = 0
        while done < size:
            pcm, made_up = self.pieces[0]
            part = pcm[: size - done]
            if len(part) < len(pcm):
                self.pieces[0] = (pcm[len(part) :], made_up)
            else:
                self.pieces.pop(0)
            if made_up:
                concealed.append((start + done / rate, start + (done + len(part)) / rate))
            parts.append(part)
            done += len(part)
        self.samples -= size
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return Frame(whole, rate, start, tuple(concealed))


class BlockAssembler:
    """Puts the legs of one live call in step.

    Args:
        legs: Those of the call.
        rate: Hz.
        now: Seconds by any steady clock; the call begins.
    """

    def __init__(self, legs: Sequence[Leg], rate: int, now: float) -> None:
        self._rate = rate
        self._size = round(rate * BLOCK_SECONDS)
        self._began = now
        self._buffers = {leg: _LegBuffer() for leg in legs}
        self._blocks = 0
        self.overrun = 0
        """samples dropped because a leg was too far ahead of the other"""

    @property
    def seconds(self) -> float:
        """How much of the call was given out as blocks, in seconds."""
        return self._blocks * BLOCK_SECONDS

    def push(self, leg: Leg, pcm: Pcm, *, concealed: bool = False) -> bool:
        """Take a leg's next audio, of any length.

        Returns:
            Whether the leg has a whole block now, so that it is worth asking what is due.
        """
        buffer = self._buffers[leg]
        pcm = buffer.unpaid(pcm, concealed)
        room = len(pcm)
        if len(self._buffers) > 1:  # alone, a leg never waits: its blocks leave at once
            room = max(0, round(LEAD_SECONDS * self._rate) - buffer.samples)
        self.overrun += max(0, len(pcm) - room)
        buffer.put(pcm[:room], concealed)
        return buffer.samples >= self._size

    def due(self, now: float) -> list[dict[Leg, Frame]]:
        """The blocks that are complete, or overdue by now.

        Args:
            now: Seconds, by the clock of the start.
        """
        blocks = []
        late = now - self._began - PATIENCE_SECONDS
        while self._complete or self.seconds + BLOCK_SECONDS <= late:
            blocks.append(self._next())
        return blocks

    def rest(self) -> list[dict[Leg, Frame]]:
        """What is left at the end of the call; the last block filled up with silence."""
        blocks = []
        while any(buffer.samples for buffer in self._buffers.values()):
            blocks.append(self._next())
        return blocks

    @property
    def _complete(self) -> bool:
        return all(buffer.samples >= self._size for buffer in self._buffers.values())

    def _next(self) -> dict[Leg, Frame]:
        start = self._blocks * self._size / self._rate
        self._blocks += 1
        return {leg: b.take(self._size, self._rate, start) for leg, b in self._buffers.items()}
