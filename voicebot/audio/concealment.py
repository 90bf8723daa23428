"""Which audio of a leg was made up because its packets never came."""

from __future__ import annotations

from collections import deque

from voicebot.events import Span


class ConcealedAudio:
    """Remembers the concealed spans of one leg, as far back as an utterance may reach.

    Args:
        keep_seconds: How far back, in seconds.
    """

    def __init__(self, keep_seconds: float) -> None:
        self._keep = keep_seconds
        self._spans: deque[Span] = deque()

    def add(self, spans: tuple[Span, ...], now: float) -> None:
        """Take the concealed spans of a frame, in order.

        Args:
            spans: Start and end, in seconds on the audio clock.
            now: End of the frame, in seconds on the audio clock.
        """
        for start, end in spans:
            if self._spans and start - self._spans[-1][1] < 1e-6:
                start, _ = self._spans.pop()
            self._spans.append((start, end))
        while self._spans and self._spans[0][1] < now - self._keep:
            self._spans.popleft()

    def share(self, start: float, end: float) -> float:
        """The share of a stretch that is concealed, 0-1.

        Example:
            >>> audio = ConcealedAudio(60.0)
            >>> audio.add(((1.0, 1.2), (1.2, 1.5)), now=2.0)
            >>> audio.share(0.5, 1.5)
            0.5
        """
        if end <= start:
            return 0.0
        inside = sum(max(0.0, min(b, end) - max(a, start)) for a, b in self._spans)
        return inside / (end - start)
