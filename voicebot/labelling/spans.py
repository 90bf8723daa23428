"""What a rater marks: stretches of a call, each with a label; the rest is ``other``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Label(StrEnum):
    """What the caller sounds like."""

    ANGRY = "angry"
    UNCLEAR = "unclear"
    """the rater cannot say; neither trained nor tested on"""
    OTHER = "other"
    """everything that is not marked"""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of a call under one label.

    Raises:
        ValueError: the times are no numbers, negative, or not in order.
    """

    start: float
    """s, audio clock"""
    end: float
    """s, audio clock; after ``start``"""
    label: Label

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start) and math.isfinite(self.end)):
            raise ValueError("start and end must be numbers of seconds")
        if self.start < 0.0:
            raise ValueError(f"starts at {self.start:g} s, before the call")
        if self.end <= self.start:
            raise ValueError(f"ends at {self.end:g} s, not after its start at {self.start:g} s")

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.end - self.start


def paint(spans: Sequence[Span], new: Span) -> tuple[Span, ...]:
    """Lay a span over others: it wins where they overlap.

    Painting ``other`` erases.  Neighbours of one label that touch become one.

    Args:
        spans: In order, without overlap.
        new: Laid on top.

    Returns:
        Spans in order, without overlap and without ``other``.
    """
    pieces = [] if new.label is Label.OTHER else [new]
    for old in spans:
        if old.start < new.start:
            pieces.append(Span(old.start, min(old.end, new.start), old.label))
        if old.end > new.end:
            pieces.append(Span(max(old.start, new.end), old.end, old.label))
    return joined(pieces)


def joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Sort spans that do not overlap, and make one of neighbours that touch under one label."""
    out: list[Span] = []
    for span in sorted(spans):
        if out and out[-1].label is span.label and span.start <= out[-1].end:
            last = out.pop()
            span = Span(last.start, max(last.end, span.end), span.label)
        out.append(span)
    return tuple(out)


def clipped(spans: Iterable[Span], start: float, end: float) -> tuple[Span, ...]:
    """The parts of spans that lie between two times in seconds."""
    return tuple(
        Span(max(s.start, start), min(s.end, end), s.label)
        for s in spans
        if max(s.start, start) < min(s.end, end)
    )


def label_at(spans: Iterable[Span], t: float) -> Label:
    """The label at a time in seconds; ``other`` where nothing is marked."""
    return next((s.label for s in spans if s.start <= t < s.end), Label.OTHER)
