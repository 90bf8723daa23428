"""Painting spans keeps them in order and apart."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.labelling.spans import Label, Span, clipped, joined, label_at, paint

TICKS = st.integers(0, 400)


@st.composite
def some_spans(draw: st.DrawFn, labels: tuple[Label, ...] = tuple(Label)) -> list[Span]:
    """Spans of any order and overlap, on a grid of 0.1 s."""
    out = []
    for _ in range(draw(st.integers(0, 8))):
        start = draw(TICKS)
        end = start + draw(st.integers(1, 100))
        out.append(Span(start / 10, end / 10, draw(st.sampled_from(labels))))
    return out


def painted(spans: list[Span]) -> tuple[Span, ...]:
    out: tuple[Span, ...] = ()
    for span in spans:
        out = paint(out, span)
    return out


@settings(deadline=None, max_examples=60)
@given(some_spans())
def test_the_last_coat_shows(spans: list[Span]) -> None:
    out = painted(spans)
    for tick in range(500):
        t = tick / 10 + 0.05
        coats = [s.label for s in spans if s.start <= t < s.end]
        assert label_at(out, t) is (coats[-1] if coats else Label.OTHER)


@settings(deadline=None, max_examples=60)
@given(some_spans())
def test_spans_stay_in_order_apart_and_joined(spans: list[Span]) -> None:
    out = painted(spans)
    for span, after in pairwise(out):
        assert span.end < after.start or (span.end == after.start and span.label != after.label)
    assert all(s.label is not Label.OTHER for s in out)


def test_other_erases_and_neighbours_join() -> None:
    one = paint((), Span(1, 5, Label.ANGRY))
    assert paint(one, Span(2, 3, Label.OTHER)) == (
        Span(1, 2, Label.ANGRY),
        Span(3, 5, Label.ANGRY),
    )
    assert paint(one, Span(5, 6, Label.ANGRY)) == (Span(1, 6, Label.ANGRY),)
    assert joined([Span(2, 3, Label.UNCLEAR), Span(1, 2, Label.UNCLEAR)]) == (
        Span(1, 3, Label.UNCLEAR),
    )


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        (-1.0, 2.0, "before the call"),
        (2.0, 2.0, "not after its start"),
        (float("nan"), 1.0, "numbers"),
        (0.0, float("inf"), "numbers"),
    ],
)
def test_a_span_that_cannot_be(start: float, end: float, found: str) -> None:
    with pytest.raises(ValueError, match=found):
        Span(start, end, Label.ANGRY)


def test_clipping() -> None:
    spans = (Span(0, 4, Label.ANGRY), Span(6, 8, Label.OTHER))
    assert clipped(spans, 3, 7) == (Span(3, 4, Label.ANGRY), Span(6, 7, Label.OTHER))
    assert clipped(spans, 4, 6) == ()
