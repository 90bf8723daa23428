"""The voice model from the data folder to the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.corpus import COLUMNS, make_corpus, write_manifest
from voicebot.emotion.onnx_model import models_dir
from voicebot.errors import ModelError
from voicebot.training import acoustic_evaluation
from voicebot.training.acoustic_evaluation import evaluate, known_sentences
from voicebot.training.acoustic_predictions import Request
from voicebot.training.augmentation import CLEAN, TEST_HARD
from voicebot.training.evaluation_report import PartReport
from voicebot.training.speech_corpora import Clip, read_manifest

MODEL = models_dir() / "acoustic"


def quiet(what: str, share: float) -> None:
    assert 0.0 <= share <= 1.0


def run(data: Path, cache: Path, model: Path = MODEL) -> PartReport:
    return evaluate(data, model, seed=0, cache=cache, workers=1, progress=quiet, draw=False)


def test_the_whole_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_corpus(tmp_path / "data", clips=20)
    # Three corpora would do nothing that one does not.
    rows = [
        (c.file, "aa", "en", c.speaker, ("angry", "happy", "neutral", "sad")[i % 4], "1.0",
         c.split, "")
        for i, c in enumerate(read_manifest(data)) if c.corpus == "aa"
    ]  # fmt: skip
    write_manifest(data, rows, COLUMNS)
    conditions = {"mu-law": CLEAN, "5 dB + 3 % loss": TEST_HARD}
    monkeypatch.setattr(acoustic_evaluation, "CONDITIONS", conditions)
    found = run(data, tmp_path / "cache")
    assert found.tables[0].rows["aa"]["n"] == 20
    assert 0.0 <= found.tables[0].rows["aa"]["auc"] <= 1.0
    again = run(data, tmp_path / "cache")
    assert [t.rows for t in again.tables] == [t.rows for t in found.tables]


def test_one_class_only_is_refused_before_the_work(tmp_path: Path) -> None:
    data = make_corpus(tmp_path / "data", clips=1)
    with pytest.raises(ModelError, match=r"5 angry and 5 other.*'test'"):
        run(data, tmp_path / "cache")


def test_missing_data_and_models(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no labelled speech"):
        run(tmp_path, tmp_path / "cache")
    with pytest.raises(ModelError, match="no such acoustic model"):
        run(tmp_path, tmp_path / "cache", tmp_path / "none")


def test_the_loudest_happy_clips_are_found(tmp_path: Path) -> None:
    data = make_corpus(tmp_path / "data", clips=16)
    clips = [c for c in read_manifest(data) if c.split == "test"]
    loud = acoustic_evaluation._loudest_happy(clips)
    assert {c.emotion for c in loud} == {3}
    assert len({c.speaker for c in loud}) == 3
    assert 3 <= len(loud) <= 6
    assert Request(MODEL, loud, CLEAN).clips == loud


def test_sentences_that_give_the_emotion_away_are_told() -> None:
    def clip(split: str, emotion: int, text: str, corpus: str = "aa") -> Clip:
        return Clip(Path(), "x", corpus, "en", split, emotion, 1.0, split, text)

    leaky = [clip("train", 0, "how dare you"), clip("test", 0, "how dare you")]
    (line,) = known_sentences(leaky, "test")
    assert "In aa, 1 of 1 test clips" in line
    # The same words in every mood, words that training lacks, or no words tell nothing.
    assert known_sentences([*leaky, clip("train", 4, "how dare you")], "test") == []
    assert known_sentences([leaky[0], clip("test", 0, "another")], "test") == []
    assert known_sentences([clip("train", 0, ""), clip("test", 0, "")], "test") == []
    assert known_sentences([leaky[0], clip("test", 0, "how dare you", "bb")], "test") == []
