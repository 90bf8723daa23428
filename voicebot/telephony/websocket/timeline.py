"""Where audio belongs that comes with timestamps: gaps become audio again."""

from __future__ import annotations

from typing import Final

TOLERANCE: Final = 0.06
"""s by which a timestamp may be off before something is taken as missing"""
GRACE: Final = 2.0
"""s by which a stream may be ahead of the clock"""


class Timeline:
    """The audio of one leg in time.

    A peer that lies about its timestamps must not make us invent hours of audio:
    never more is filled than time has passed since the stream began.

    Args:
        rate: Hz.
        begun: s, the clock when the stream began.
    """

    def __init__(self, rate: int, begun: float) -> None:
        self._rate = rate
        self._begun = begun
        self._samples = 0
        self._shift = 0.0

    @property
    def position(self) -> float:
        """Seconds of audio so far, what was filled included."""
        return self._samples / self._rate

    def missing(self, timestamp: float, now: float) -> int:
        """How many samples are missing before audio of this time.

        Args:
            timestamp: s since the stream began, as the peer says.
            now: s, the clock.

        Returns:
            Samples to be filled in, already counted; 0 within the tolerance, and
            for audio that claims to be earlier than what was there.
        """
        gap = timestamp + self._shift - self.position
        if gap < TOLERANCE:
            if gap < -TOLERANCE:
                self._shift -= gap  # the peer's clock was set back
            return 0
        allowed = max(0.0, now - self._begun + GRACE - self.position)
        fill = min(gap, allowed)
        self._shift -= gap - fill
        samples = round(fill * self._rate)
        self._samples += samples
        return samples

    def heard(self, samples: int) -> None:
        """Count audio that was there."""
        self._samples += samples
