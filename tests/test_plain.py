"""Dataclasses as plain JSON types, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import pytest

from voicebot.plain import from_plain, to_plain


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Inner:
    x: float


@dataclass(frozen=True)
class Outer:
    colour: Colour
    count: int
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    shares: Mapping[str, float | None] = field(default_factory=dict)


FULL = Outer(Colour.RED, 2, Inner(1.5), (Inner(1.0), Inner(2.0)), {"a": 0.25, "b": None})


def test_there_and_back() -> None:
    plain = to_plain(FULL)
    assert plain == {
        "colour": "red", "count": 2, "inner": {"x": 1.5}, "many": [{"x": 1.0}, {"x": 2.0}],
        "shares": {"a": 0.25, "b": None},
    }  # fmt: skip
    assert from_plain(Outer, plain) == FULL


def test_numbers_are_rounded_and_numpy_ones_are_plain() -> None:
    assert to_plain([1 / 3, np.float32(0.1)]) == [0.3333, 0.1]


def test_a_whole_number_is_a_fine_float_but_not_the_reverse() -> None:
    assert from_plain(Inner, {"x": 1}) == Inner(1.0)
    with pytest.raises(ValueError, match="expected int"):
        from_plain(Outer, {"colour": "red", "count": 1.5})


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"colour": "loud"}, "loud"),
        ({"count": True}, "expected int"),
        ({"inner": 3}, "expected an object"),
        ({"inner": {"y": 1}}, "unknown field 'y'"),
        ({"many": {}}, "expected a list"),
        ({"shares": []}, "expected an object"),
        ({"shares": {"a": "much"}}, "expected float"),
        ({"more": 1}, "unknown field 'more'"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        from_plain(Outer, {**to_plain(FULL), **change})


def test_a_missing_field_is_named() -> None:
    with pytest.raises(ValueError, match="count"):
        from_plain(Outer, {"colour": "red"})
