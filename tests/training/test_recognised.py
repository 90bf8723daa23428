"""What a recogniser hears is heard once."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from voicebot.errors import ModelError
from voicebot.training import recognised
from voicebot.training.augmentation import CLEAN
from voicebot.training.recognised import Heard, recognise_clips, recognise_spoken, synthesiser


class Engine:
    name = "made-up"
    language = "en"

    def close(self) -> None:
        pass


def quiet(what: str, share: float) -> None:
    assert 0.0 <= share <= 1.0


@pytest.fixture
def listened(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls: list[int] = []

    def transcribe(engine: object, pcm: np.ndarray, rate: int) -> tuple[str, list[float]]:
        calls.append(len(pcm))
        return ("hello", [0.5, 0.7]) if len(pcm) else ("", [])

    monkeypatch.setattr(recognised, "open_engine", lambda language, params: Engine())
    monkeypatch.setattr(recognised, "transcribe", transcribe)
    monkeypatch.setattr(recognised, "synthesiser", lambda: ("flite", ("slt", "rms")))
    monkeypatch.setattr(
        recognised, "speak", lambda program, voice, text: np.zeros(len(text), np.int16)
    )
    return calls


def test_heard_once(listened: list[int], tmp_path: Path) -> None:
    texts = ["one", "", "three"]
    first = recognise_spoken(texts, cache=tmp_path, progress=quiet)
    assert first == [Heard("hello", 0.6), Heard("", 0.0),
                     Heard("hello", 0.6)]  # fmt: skip
    assert recognise_spoken(texts, cache=tmp_path, progress=quiet) == first
    assert listened == [3, 0, 5]
    recognise_spoken([*texts, "four"], cache=tmp_path, progress=quiet)
    assert len(listened) == 7


def test_no_clips(tmp_path: Path) -> None:
    assert recognise_clips(tmp_path, [], CLEAN, seed=0, cache=tmp_path, progress=quiet) == []


def test_without_a_synthesiser_the_mend_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ModelError, match="flite"):
        synthesiser()


@pytest.mark.skipif(shutil.which("flite") is None, reason="needs flite")
def test_flite_speaks() -> None:
    sound = recognised.speak("flite", "slt", "i am very angry; rm -rf $HOME")
    assert 8000 < len(sound) < 80000
    assert np.abs(sound).max() > 1000
    with pytest.raises(ModelError, match="cannot speak"):
        recognised.speak("flite-of-another-name", "slt", "hello")
