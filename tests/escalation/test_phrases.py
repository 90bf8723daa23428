"""The normal form in which patterns and recognised words meet."""

from __future__ import annotations

import pytest

from voicebot.escalation.phrases import PhraseFinder, Phrases, Spoken, normalise
from voicebot.events import Final, Leg, Word


@pytest.mark.parametrize(
    ("given", "form"),
    [
        ("Don’t you DARE, [60] times!", "dont you dare 60 times"),
        ("ＡＢＣ　１２３", "abc 123"),
        ("  ", ""),
        ("你好，世界。", "你好 世界"),
        ("हिन्दी", "हिन्दी"),
    ],
)
def test_normalise(given: str, form: str) -> None:
    assert normalise(given) == form


def spoken(text: str, language: str, words: tuple[Word, ...] = ()) -> Spoken:
    return Spoken.of(
        Final(
            call_id="c", leg=Leg.CALLER, t=3, utterance=1, text=text, start=1, end=3,
            confidence=0.5, language=language, engine="test", words=words,
        )
    )  # fmt: skip


def test_spoken_keeps_each_word() -> None:
    words = (Word("Hello,", 1, 2, 0.9), Word("you", 2, 3, 0.4))
    heard = spoken("Hello, you", "en", words)
    assert heard.text == " hello you "
    assert [w.text for w in heard.between(7, 10)] == ["you"]
    assert heard.between(7, 10)[0].confidence == 0.4


def test_spoken_without_spaces_keeps_where_words_began() -> None:
    heard = spoken("상담 원 바꿔", "ko")
    assert heard.text == "상담원바꿔"
    assert [heard.begins_word(i) for i in range(5)] == [True, False, True, True, False]


@pytest.mark.parametrize("language", ["en", "zh", "ko"])
@pytest.mark.parametrize("text", ["", "...", "[]"])
def test_nothing_said_is_nothing_found(language: str, text: str) -> None:
    finder = PhraseFinder("r", language, Phrases(patterns=["."]))
    assert list(finder.find(spoken(text, language))) == []


def test_every_place_is_found_but_the_negated_ones() -> None:
    finder = PhraseFinder("r", "en", Phrases(patterns=["no", "no no"], negated_after=["thanks"]))
    places = list(finder.find(spoken("no no thanks", "en")))
    assert places == [(1, 3)], "'no' at the start; the others stand before 'thanks'"
