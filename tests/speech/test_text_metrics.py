from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.speech.text_metrics import (
    ErrorRate,
    character_error_rate,
    characters,
    edit_distance,
    error_rate,
    word_error_rate,
    words,
)

texts = st.text("ab c", max_size=12)


@pytest.mark.parametrize(
    ("said", "heard", "distance"),
    [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("abc", "abc", 0), ("ab", "ba", 2)],
)
def test_known_distances(said: str, heard: str, distance: int) -> None:
    assert edit_distance(said, heard) == distance


@given(texts, texts, texts)
def test_the_distance_is_a_metric(a: str, b: str, c: str) -> None:
    assert edit_distance(a, b) == edit_distance(b, a)
    assert (edit_distance(a, b) == 0) == (a == b)
    assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)


def test_case_and_punctuation_do_not_count() -> None:
    assert words("Don’t—you 'know', Mr. ill-disposed?") == [
        "don't", "you", "know", "mr", "ill", "disposed",
    ]  # fmt: skip
    assert characters("받지 않아요. ＡＢ1") == ["받", "지", "않", "아", "요", "a", "b", "1"]


def test_composed_and_decomposed_korean_are_the_same() -> None:
    assert character_error_rate([("한글", "한글")]).rate == 0


def test_rates_are_weighted_by_length() -> None:
    total = word_error_rate([("a b c d e f g h i", "a b c d e f g h i"), ("x", "y")])
    assert (total.errors, total.length) == (1, 10)
    assert total.rate == pytest.approx(0.1)


def test_the_language_chooses_the_unit() -> None:
    assert error_rate("ko", [("가 나", "가나")]).length == 2
    assert error_rate("en", [("ab cd", "ab ce")]) == ErrorRate(1, 2)


def test_an_empty_reference() -> None:
    assert word_error_rate([("", "")]).rate == 0
    assert word_error_rate([("", "ghost")]).rate == 1
    assert word_error_rate([("one", "one more here")]).rate == 2
