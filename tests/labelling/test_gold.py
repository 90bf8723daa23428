"""The majority decides, moment by moment; what it does not decide is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from voicebot.errors import LabelError
from voicebot.labelling.gold import call_seconds, consensus, gold_spans
from voicebot.labelling.spans import Label, Span
from voicebot.labelling.store import LabelStore, Rating

ANGRY, UNCLEAR, OTHER = Label.ANGRY, Label.UNCLEAR, Label.OTHER


def rating(
    rater: str,
    *spans: Span,
    heard: float | None = None,
    seconds: float | None = 10.0,
    call: str = "a.wav",
) -> Rating:
    return Rating(call, rater, spans, seconds, heard)


def test_one_rater_is_believed_but_for_what_is_unclear() -> None:
    got = consensus([rating("ann", Span(2, 4, ANGRY), Span(6, 7, UNCLEAR))])
    assert got == (Span(0, 2, OTHER), Span(2, 4, ANGRY), Span(4, 6, OTHER), Span(7, 10, OTHER))


def test_two_must_agree() -> None:
    got = consensus([rating("ann", Span(2, 6, ANGRY)), rating("bob", Span(4, 8, ANGRY))])
    assert got == (Span(0, 2, OTHER), Span(4, 6, ANGRY), Span(8, 10, OTHER))


def test_two_of_three_are_enough() -> None:
    got = consensus(
        [rating("ann", Span(2, 6, ANGRY)), rating("bob", Span(4, 8, ANGRY)), rating("cy")]
    )
    assert got == (Span(0, 4, OTHER), Span(4, 6, ANGRY), Span(6, 10, OTHER))


def test_who_has_not_listened_has_no_vote() -> None:
    got = consensus([rating("ann", Span(2, 6, ANGRY)), rating("bob", heard=3.0)])
    assert got == (Span(0, 2, OTHER), Span(3, 6, ANGRY), Span(6, 10, OTHER))
    assert consensus([rating("ann", heard=0.0)]) == ()
    ahead = rating("ann", Span(5, 6, ANGRY), heard=3.0)
    assert consensus([ahead]) == (Span(0, 3, OTHER), Span(5, 6, ANGRY))


def test_a_call_of_unknown_length_ends_with_its_last_mark() -> None:
    ratings = [rating("ann", Span(2, 6, ANGRY), seconds=None)]
    assert call_seconds(ratings) == 6.0
    assert consensus(ratings) == (Span(0, 2, OTHER), Span(2, 6, ANGRY))
    assert consensus([rating("ann", seconds=None)]) == ()


def test_of_a_folder(tmp_path: Path) -> None:
    store = LabelStore(tmp_path)
    with pytest.raises(LabelError, match="no labels"):
        gold_spans(tmp_path)
    store.save(rating("ann", Span(2, 6, ANGRY)))
    store.save(rating("bob", Span(2, 6, ANGRY)))
    store.save(rating("bob", call="2024/b.wav", seconds=3.0))
    assert gold_spans(tmp_path) == {
        "a.wav": (Span(0, 2, OTHER), Span(2, 6, ANGRY), Span(6, 10, OTHER)),
        "2024/b.wav": (Span(0, 3, OTHER),),
    }
