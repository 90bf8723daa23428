"""Pairs of voice and words: real ones, drawn ones, and what is counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.training.corpus import COLUMNS, make_corpus, write_manifest
from voicebot.emotion.acoustic import AcousticModel, AcousticReading
from voicebot.emotion.calibration import score_from
from voicebot.emotion.fusion import FusionParams
from voicebot.emotion.onnx_model import models_dir
from voicebot.emotion.text import TextModel
from voicebot.events import EMOTIONS
from voicebot.training import bimodal
from voicebot.training.bimodal import Pair, compare, drawer, evaluate_drawn, evaluate_korean
from voicebot.training.speech_corpora import Clip, read_manifest
from voicebot.training.text_corpora import CORPORA, Example

WORDS = {
    "angry": "정말 화가 나서 참을 수가 없어요",
    "happy": "오늘은 정말 행복하고 기분이 좋아요",
    "neutral": "회의는 오후 세 시에 시작합니다",
    "sad": "너무 슬퍼서 눈물이 나요",
}


def quiet(what: str, share: float) -> None:
    assert 0.0 <= share <= 1.0


def pair(emotion: str, voice: float | None, words: float | None) -> Pair:
    clip = Clip(Path(), "x", "ko", "ko", "s", EMOTIONS.index(emotion), 3.0, "test", "")
    heard = None if voice is None else score_from(np.ones(7), voice)
    said = None if words is None else score_from(np.ones(7), words)
    return Pair(clip, AcousticReading(heard, None, 25.0), said, 1.0)


def test_both_are_better_than_each() -> None:
    pairs = [
        pair("anger", 1.0, 0.2), pair("anger", -1.0, 2.0), pair("neutral", 1.1, -3.0),
        pair("sadness", -3.0, 0.4), pair("happiness", -1.0, -1.0),
    ]  # fmt: skip
    rows = compare("x", pairs, FusionParams())
    assert rows["x: both"]["auc"] == 1.0
    assert rows["x: voice"]["auc"] < 1.0
    assert rows["x: words"]["auc"] < 1.0


def test_a_pair_without_words_says_nothing_and_one_without_voice_is_left_out() -> None:
    pairs = [pair("anger", 1.0, None), pair("neutral", -1.0, None), pair("neutral", None, 1.0)]
    rows = compare("x", pairs, FusionParams())
    assert rows["x: words"]["auc"] == 0.5
    assert rows["x: both"]["n"] == 2


@pytest.fixture
def korean(tmp_path: Path) -> Path:
    folder = make_corpus(tmp_path / "data")
    emotions = ("angry", "happy", "neutral", "sad")
    rows = [
        (c.file, "ko", "ko", f"ko:ne{c.speaker[-1]}", emotions[i % 4], "1", c.split,
         WORDS[emotions[i % 4]])
        for i, c in enumerate(read_manifest(folder))
    ]  # fmt: skip
    write_manifest(folder, rows, COLUMNS)
    return folder


def test_real_pairs_with_script_and_recogniser(
    korean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bimodal, "recognise", lambda clips, progress: [("네", 0.9)] * len(clips))
    text = TextModel.load(models_dir(), "ko")
    assert text is not None
    rows = evaluate_korean(korean, AcousticModel.load(), text, FusionParams(), quiet)
    assert rows["ko script: words"]["auc"] > 0.9
    assert rows["ko recognised at 8 kHz: words"]["auc"] == 0.5
    assert (
        rows["ko script: voice"]["auc"]
        == rows["ko recognised at 8 kHz: voice"]["auc"]
        == pytest.approx(rows["ko recognised at 8 kHz: both"]["auc"])
    )


def test_without_emotional_scripts_there_are_no_real_pairs(tmp_path: Path) -> None:
    folder = make_corpus(tmp_path / "data", clips=2)
    text = TextModel.load(models_dir(), "ko")
    assert text is not None
    assert evaluate_korean(folder, AcousticModel.load(), text, FusionParams(), quiet) == {}


def examples() -> list[Example]:
    even = np.full(6, 0.02, np.float32)
    happy, sad = even.copy(), even.copy()
    happy[2], sad[4] = 0.9, 0.9
    return [
        Example("this is outrageous i am furious", "c", "test", 1.0, None),
        Example("so happy thank you very much", "c", "test", 0.0, happy),
        Example("i feel sad and lonely today", "c", "test", 0.0, sad),
        Example("never to be drawn", "c", "train", 1.0, None),
        Example("nor this one", "c", "test", 0.4, None),
        Example("nor this", "c", "test", None, happy),
    ]


def test_drawn_texts_have_the_emotion_and_are_from_the_test_split(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (corpus,) = [c for c in CORPORA if c.name == "goemotions"]
    monkeypatch.setattr(bimodal, "CORPORA", (corpus,))
    monkeypatch.setattr(bimodal, "load", lambda corpus, data: examples())
    draw = drawer(tmp_path, "en", 0)
    angry = {draw("anger") for _ in range(30)}
    words = {word for text in angry for word in (text or "").split()}
    assert words <= {"this", "is", "outrageous", "i", "am", "furious"}
    assert "happy" in " ".join(str(draw("happiness")) for _ in range(20))
    assert draw("fear") is None
    english = TextModel.load(models_dir(), "en")
    assert english is not None
    folder = make_corpus(tmp_path / "data")
    rows = evaluate_drawn(
        folder, AcousticModel.load(), english, FusionParams(), seed=0, progress=quiet
    )
    assert rows["drawn, en words: both"]["n"] > 5
    assert rows["drawn, en words: words"]["auc"] > 0.9


@pytest.mark.shared
def test_the_recogniser_hears_korean(shared_data: Path) -> None:
    clip = next(c for c in read_manifest(shared_data) if c.speaker == "ko:nem")
    ((words, confidence),) = bimodal.recognise([clip], quiet)
    assert words
    assert 0.0 < confidence <= 1.0
