"""Pairs of voice and words: real ones and drawn ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.training.made_up import predictions
from voicebot.emotion.onnx_model import models_dir
from voicebot.emotion.text import TextModel
from voicebot.training import bimodal
from voicebot.training.augmentation import CLEAN
from voicebot.training.bimodal import (
    drawer,
    drawn_pairs,
    emotional_clips,
    read_pairs,
    recognised_pairs,
)
from voicebot.training.recognised import Heard
from voicebot.training.speech_corpora import Clip
from voicebot.training.text_corpora import CORPORA, Example


def quiet(what: str, share: float) -> None:
    assert 0.0 <= share <= 1.0


def clip(speaker: str, text: str) -> Clip:
    return Clip(Path(), f"{speaker}.ogg", "ko", "ko", speaker, 0, 3.0, "test", text)


@pytest.fixture(scope="module")
def korean() -> TextModel:
    model = TextModel.load(models_dir(), "ko")
    assert model is not None
    return model


CLIPS = (clip("ko:nea", "정말 화가 나서 참을 수가 없어요"), clip("ko:neb", "네"))


def test_only_speakers_who_mean_what_they_say() -> None:
    clips = [*CLIPS, clip("ko:ema", "회의는 세 시에 시작합니다"), clip("ko:nec", "")]
    assert emotional_clips(clips) == CLIPS


def test_scripts_and_what_was_heard_of_them(
    korean: TextModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = predictions([1.0, -1.0], [0, 4])
    read = read_pairs("x", CLIPS, voice, korean)
    assert read.words[0] == korean.score(CLIPS[0].text)
    assert read.words[1] is None  # too few words to judge by
    assert read.confidence == (1.0, 1.0)
    heard = [Heard("", 0.0), Heard(CLIPS[0].text, 0.7)]
    monkeypatch.setattr(bimodal, "recognise_clips", lambda *a, **k: heard)
    pairs = recognised_pairs(
        "x", tmp_path, CLIPS, voice, korean, CLEAN, seed=0, cache=tmp_path, progress=quiet
    )
    assert pairs.words == (None, read.words[0])
    assert pairs.confidence == (0.0, 0.7)


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
    voice = predictions([1.0, 0.0, 0.0], [0, 2, 3])
    pairs = drawn_pairs("x", tmp_path, voice, english, 0)
    assert pairs.voice.emotion.tolist() == [0, 3]  # no text of fear to draw
    assert len(pairs.words) == len(pairs.confidence) == 2
