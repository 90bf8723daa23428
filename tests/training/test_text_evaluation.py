"""The report of the text models, on corpora made up for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from voicebot.emotion.onnx_model import models_dir
from voicebot.errors import ModelError
from voicebot.training import text_evaluation
from voicebot.training.evaluation_report import PartReport
from voicebot.training.recognised import Heard
from voicebot.training.text_corpora import CORPORA, Corpus, Example
from voicebot.training.text_evaluation import Recognised, evaluate, spoken_sample
from voicebot.training.text_predictions import Said

ANGRY = (
    "i am furious about this awful service",
    "this is outrageous and i am so angry",
    "what a terrible disgusting company",
    "i hate this stupid line",
    "how dare you",
)
CALM = (
    "thank you very much that was lovely",
    "see you tomorrow at the station",
    "the weather is nice today",
    "we had a great time together",
    "could you help me please",
)


def quiet(what: str, share: float) -> None:
    assert 0.0 <= share <= 1.0


def examples(corpus: Corpus, data: Path) -> list[Example]:
    return [
        Example(f"{text} {number}", corpus.name, split, anger, None)
        for split in ("dev", "test")
        for anger, texts in ((1.0, ANGRY), (0.0, CALM))
        for number, text in enumerate(texts * 2)
    ]


def run(cache: Path, *, recognise: bool, draw: bool = False) -> PartReport:
    return evaluate(
        Path(), models_dir(), languages=("en",), recognise=recognise, seed=0, cache=cache,
        workers=1, progress=quiet, draw=draw,
    )  # fmt: skip


@pytest.fixture
def two_corpora(monkeypatch: pytest.MonkeyPatch) -> None:
    some = tuple(c for c in CORPORA if c.name in ("goemotions", "airline_tweets"))
    monkeypatch.setattr(text_evaluation, "CORPORA", some)
    monkeypatch.setattr(text_evaluation, "load", examples)


@pytest.mark.usefixtures("two_corpora")
def test_corpora_errors_and_recogniser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A recogniser that hears everything as one sentence leaves nothing to tell apart.
    monkeypatch.setattr(
        text_evaluation, "recognise_spoken",
        lambda texts, **k: [Heard("the same words each time", 0.9)] * len(texts),
    )  # fmt: skip
    found = run(tmp_path, recognise=True, draw=True)
    tables = {t.title.split(",")[0].split(":")[0]: t for t in found.tables}
    ranking = tables["Angry texts against the rest"].rows
    assert set(ranking) == {"airline_tweets", "goemotions", "mean"}
    assert ranking["goemotions"]["auc"] > 0.9
    assert ranking["goemotions"]["n"] == 20
    real = tables["What a real recogniser leaves of it"].rows["goemotions, spoken"]
    assert real["recognised"] == 0.5
    assert real["written"] > 0.9
    assert real["error_rate"] > 0.5
    assert any(line.startswith("Really recognised") for line in found.summary)
    assert {p.name for p in found.pictures} == {"roc-en", "det-en", "reliability-en"}


@pytest.mark.usefixtures("two_corpora")
def test_what_cannot_be_recognised_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(texts: list[str], **k: object) -> list[Heard]:
        raise ModelError("no program speaks English here", "apt-get install flite")

    monkeypatch.setattr(text_evaluation, "recognise_spoken", nothing)
    found = run(tmp_path, recognise=True)
    assert any("apt-get install flite" in note for note in found.notes)
    assert not any("real recogniser" in t.title for t in found.tables)


def test_missing_corpora_and_languages(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="missing, corpus goemotions"):
        run(tmp_path, recognise=False)
    with pytest.raises(ModelError, match="--language fr"):
        evaluate(
            tmp_path, models_dir(), languages=("fr",), seed=0, cache=tmp_path, workers=1,
            progress=quiet, draw=False,
        )  # fmt: skip


def test_the_spoken_sample_is_half_angry_and_short() -> None:
    said = [Said("This IS text number one!", "c", str(i), 0 if i % 10 == 0 else 4)
            for i in range(2000)]  # fmt: skip
    said += [replace(said[0], text="too short"), replace(said[0], text="word " * 60)]
    sample = spoken_sample(said, "c", 0)
    assert len(sample) == text_evaluation.SPOKEN
    assert np.mean([s.emotion == 0 for s in sample]) == 0.5
    assert {s.text for s in sample} == {"this is text number one"}
    assert spoken_sample(said, "c", 0) == sample
    assert spoken_sample(said, "c", 1) != sample


def test_error_rate_is_by_character_in_korean() -> None:
    one = Recognised("x", "ko", (Said("네 좋아요", "c", "0", 4),), (Heard("네 좋아", 0.9),))
    assert one.error_rate == pytest.approx(0.25)
    assert one.as_heard()[0].text == "네 좋아"
