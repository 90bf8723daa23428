"""Service talk is in the form of a recogniser, varied, and follows from its seed."""

from __future__ import annotations

from voicebot.emotion.text_features import normalise
from voicebot.training.service_talk import service_talk


def test_same_seed_same_sentences() -> None:
    one, again, other = (list(service_talk(seed, 300)) for seed in (1, 1, 2))
    assert one == again != other
    assert len(one) == 300
    assert len(set(one)) > 250
    assert list(service_talk(1, 50)) == one[:50]


def test_no_slot_is_left_open_and_nothing_is_punctuated() -> None:
    for sentence in service_talk(0, 2000):
        assert "{" not in sentence and "  " not in sentence and sentence.strip()
        assert set(sentence) <= set("abcdefghijklmnopqrstuvwxyz0123456789' ")
        assert normalise(sentence, "en")


def test_there_are_denials_spellings_and_numbers() -> None:
    found = list(service_talk(0, 2000))
    assert sum("don't" in s or "not" in s.split() for s in found) > 300
    assert sum(any(c.isdigit() for c in s) for s in found) > 100
    assert sum(sum(len(w) == 1 for w in s.split()) >= 3 for s in found) > 50
