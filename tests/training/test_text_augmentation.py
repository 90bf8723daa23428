"""Denials and politeness are made by grammar, and labelled as they should be."""

from __future__ import annotations

import numpy as np
import pytest

from voicebot.training.text_augmentation import (
    DROP,
    REPLACE,
    angry_words,
    augment,
    denials,
    mishear,
    other_politeness,
)
from voicebot.training.text_corpora import OTHERS, Example, shares


def example(text: str, anger: float | None) -> Example:
    return Example(text, "toy", "train", anger, shares({"sadness": 1.0}))


@pytest.mark.parametrize(
    ("language", "text", "some"),
    [
        ("en", "i was so angry when he left", "i was not so angry"),
        ("en", "we are furious", "we are not furious"),
        ("en", "they are angry", None),
        ("en", "i am late", None),
        ("en", "i am not angry", None),
        ("zh", "我真的很生气", "我不生气"),
        ("zh", "我很高兴", None),
    ],
)
def test_denials(language: str, text: str, some: str | None) -> None:
    found = denials(text, language, {"angry", "furious", "生气"})
    assert some in found if some else found == []


@pytest.mark.parametrize(
    ("text", "other"),
    [("짜증나네", "짜증나네요"), ("짜증나네요.", "짜증나네"), ("책임자 바꿔", "책임자 바꿔요"),
     ("알겠습니다", None), ("필요", None)],
)  # fmt: skip
def test_other_politeness(text: str, other: str | None) -> None:
    assert other_politeness(text) == other


def test_denials_are_calm_and_neutral_and_only_of_angry_texts() -> None:
    texts = [example("I am so MAD!", 1.0), example("I am mad", 0.0), example("I am mad", 0.8)]
    texts += [example("mad", 1.0)] * 10
    added = list(augment(texts, "en"))
    assert {e.text for e in added} == {"i am not so mad", "i'm not mad", "not mad"}
    for e in added:
        assert e.anger == 0.0 and e.others is not None and e.corpus == "toy"
        assert OTHERS[int(np.argmax(e.others))] == "neutral"


def test_angry_words_are_frequent_and_mostly_in_angry_texts() -> None:
    texts = [example("so mad mad", 1.0)] * 10 + [example("so glad", 0.0)] * 20
    texts += [example("rare", 1.0)] * 3 + [example("so", None)]
    assert angry_words(texts, "en") == {"mad"}
    assert angry_words([example("很生气", 1.0)] * 10, "zh") == {"很生", "生气"}


def test_politeness_keeps_the_label() -> None:
    added = list(augment([example("짜증나네", 1.0), example("좋아", None)], "ko"))
    assert [(e.text, e.anger) for e in added] == [("짜증나네요", 1.0), ("좋아요", None)]


def test_mishearing_loses_and_mistakes_words_as_told() -> None:
    texts = [" ".join(f"w{n}x{i}" for i in range(10)) for n in range(300)]
    heard = mishear(texts, "en", 5)
    assert heard == mishear(texts, "en", 5) != mishear(texts, "en", 6)
    kept = sum(word in b.split() for a, b in zip(texts, heard, strict=True) for word in a.split())
    lost = 1 - sum(len(t.split()) for t in heard) / 3000
    assert lost == pytest.approx(DROP, abs=0.02)
    assert 1 - kept / 3000 == pytest.approx(DROP + REPLACE, abs=0.02)
