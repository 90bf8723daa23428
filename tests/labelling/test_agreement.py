"""Alpha against the worked examples of its author; units, missing values, disagreements."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.errors import LabelError
from voicebot.labelling.agreement import (
    MISSING,
    Disagreement,
    agreement,
    alpha,
    coincidences,
    unit_labels,
)
from voicebot.labelling.spans import Label, Span
from voicebot.labelling.store import Rating

ANGRY, UNCLEAR, OTHER = Label.ANGRY, Label.UNCLEAR, Label.OTHER


def coded(*rows: str) -> np.ndarray:
    """Rows of one character a unit, ``.`` for a missing value."""
    return np.array([[MISSING if c == "." else int(c) for c in row] for row in rows], np.int8)


# K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), sections A to C.
EXAMPLES = {
    "A: binary, two observers": (coded("0100000010", "1110010000"), 0.095),
    "B: nominal, two observers": (coded("001132224330", "101112224333"), 0.692),
    "C: nominal, four observers, missing data": (
        coded("123321412...", "1233224125.3", ".3332342251.", "12332441251."),
        0.743,
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_published_examples(name: str) -> None:
    values, expected = EXAMPLES[name]
    got = alpha(coincidences(values, 6))
    assert got is not None
    assert round(got, 3) == expected


def test_the_published_coincidence_matrix() -> None:
    """Example C: the matrix as printed."""
    matrix = coincidences(EXAMPLES["C: nominal, four observers, missing data"][0], 6)[1:, 1:]
    assert matrix == pytest.approx(
        np.array(
            [
                [7, 4 / 3, 1 / 3, 1 / 3, 0],
                [4 / 3, 10, 4 / 3, 1 / 3, 0],
                [1 / 3, 4 / 3, 8, 1 / 3, 0],
                [1 / 3, 1 / 3, 1 / 3, 4, 0],
                [0, 0, 0, 0, 3],
            ]
        )
    )
    assert matrix.sum() == pytest.approx(40)


VALUES = st.integers(2, 4).flatmap(
    lambda raters: st.lists(
        st.lists(st.integers(-1, 2), min_size=raters, max_size=raters), min_size=1, max_size=30
    )
)


@settings(deadline=None, max_examples=60)
@given(VALUES)
def test_alpha_by_its_definition(columns: list[list[int]]) -> None:
    """Against observed and expected disagreement counted pair by pair."""
    units = [[v for v in column if v != MISSING] for column in columns]
    units = [u for u in units if len(u) >= 2]
    pool = [v for u in units for v in u]
    got = alpha(coincidences(np.array(columns, np.int8).T, 3))
    if len(set(pool)) < 2:
        assert got is None
        return
    n = len(pool)
    observed = (
        sum(
            sum(a != b for i, a in enumerate(u) for j, b in enumerate(u) if i != j) / (len(u) - 1)
            for u in units
        )
        / n
    )
    pairs = sum(a != b for i, a in enumerate(pool) for j, b in enumerate(pool) if i != j)
    assert got == pytest.approx(1 - observed / (pairs / (n * (n - 1))))


def rating(
    rater: str,
    *spans: Span,
    call: str = "a.wav",
    heard: float | None = None,
    speech: tuple[tuple[float, float], ...] | None = None,
) -> Rating:
    return Rating(call, rater, spans, 10.0, heard, speech)


def test_units_have_the_label_that_covers_most() -> None:
    values = unit_labels(
        [rating("ann", Span(1.2, 3.6, ANGRY), Span(3.6, 5.4, UNCLEAR)), rating("bob", heard=4.6)],
        unit=1.0,
    )
    assert values[0].tolist() == [2, 0, 0, 0, 1, 2, 2, 2, 2, 2]
    assert values[1].tolist() == [2, 2, 2, 2, 2, -1, -1, -1, -1, -1]


def test_only_speech_counts_where_it_is_known() -> None:
    rated = [rating("ann", speech=((0.0, 2.4), (5.5, 7.0))), rating("bob")]
    assert (unit_labels(rated, unit=1.0) == MISSING).tolist() == [
        [False, False, True, True, True, False, False, True, True, True]
    ] * 2
    assert (unit_labels(rated, unit=1.0, whole_call=True) != MISSING).all()


def test_over_calls() -> None:
    got = agreement(
        [
            rating("ann", Span(2, 6, ANGRY)),
            rating("bob", Span(2, 6, ANGRY)),
            rating("ann", Span(1, 5, ANGRY), call="b.wav"),
            rating("bob", Span(3, 5, ANGRY), Span(7, 8, UNCLEAR), call="b.wav"),
            rating("ann", call="c.wav"),
            rating("bob", call="c.wav"),
            rating("ann", call="d.wav"),
        ]
    )
    by_call = {c.call: c.alpha for c in got.calls}
    assert by_call["a.wav"] == 1.0
    assert by_call["c.wav"] is None  # all one label: nothing to tell
    assert got.single == ("d.wav",)
    assert got.alpha is not None and got.alpha_without_unclear is not None
    assert 0 < (by_call["b.wav"] or 0) < got.alpha < got.alpha_without_unclear < 1
    assert got.interval is not None
    assert got.interval[0] <= got.alpha <= got.interval[1] <= 1.0
    assert got.disagreements == (
        Disagreement("b.wav", 1.0, 3.0, (("ann", ANGRY), ("bob", OTHER))),
        Disagreement("b.wav", 7.0, 8.0, (("ann", OTHER), ("bob", UNCLEAR))),
    )


def test_the_interval_narrows_with_calls_and_is_repeatable() -> None:
    def calls(count: int) -> list[Rating]:
        return [
            r
            for i in range(count)
            for r in (
                rating("ann", Span(2, 6, ANGRY), call=f"{i:03d}"),
                rating("bob", Span(2 + i % 3, 6 + i % 2, ANGRY), call=f"{i:03d}"),
            )
        ]

    few, many = agreement(calls(6)).interval, agreement(calls(60)).interval
    assert few is not None and many is not None
    assert many[1] - many[0] < 0.6 * (few[1] - few[0])
    assert agreement(calls(6)).interval == few
    assert agreement(calls(1)).interval is None


def test_one_rater_is_not_enough() -> None:
    with pytest.raises(LabelError, match="second rater"):
        agreement([rating("ann"), rating("ann", call="b.wav")])
    with pytest.raises(LabelError, match="second rater"):
        agreement([rating("ann"), rating("bob", heard=0.0)])
