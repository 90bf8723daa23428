from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.calls.made import no_progress
from tests.calls.voices import clips, read
from tests.training.corpus import write_manifest
from voicebot.calls import assemble, gather
from voicebot.calls.casting import PATTERN
from voicebot.calls.gather import CallSet
from voicebot.calls.record import Heard
from voicebot.config import Config
from voicebot.emotion.live_models import ModelsParams
from voicebot.errors import ModelError
from voicebot.events import EMOTIONS

LABELS = {"anger": "angry", "neutral": "neutral", "happiness": "happy", "sadness": "sad"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noises in the place of speech, for three speakers, one in each split."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "speech").mkdir()
    (folder / "noise").mkdir()
    rows = []
    for speaker, split in (("a:1", "train"), ("a:2", "dev"), ("a:3", "test")):
        for clip in clips(speaker, split=split):
            name = f"{clip.file.replace(':', '_')}.wav"
            soundfile.write(folder / "speech" / name, read(clip.path), 8000)
            label = LABELS[EMOTIONS[clip.emotion]]
            rows.append((name, "a", "en", speaker, label, "2.2", split, ""))
    write_manifest(folder, rows)
    for name in ("esc10_rain_1-1-A.ogg", "esc10_rain_5-1-A.ogg"):
        noise = np.random.default_rng(0).normal(scale=0.1, size=8000).astype(np.float32)
        soundfile.write(folder / "noise" / name, noise, 8000)
    return folder


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of seconds instead of minutes."""
    monkeypatch.setattr(assemble, "_LENGTH", (3.0, 4.0))
    monkeypatch.setattr(assemble, "_CALM_BEFORE", (1.0, 2.0))
    monkeypatch.setattr(assemble, "_ANGRY_AFTER", 1.0)
    monkeypatch.setattr(assemble, "_TURN", (0.5, 1.0))


@pytest.mark.usefixtures("short")
def test_a_set_is_heard_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = CallSet(folder, count=20, cache=tmp_path)
    told: list[float] = []
    first = gather.gather(asked, lambda what, share: told.append(share), workers=1)
    assert [c.facts.kind for c in first] == list(PATTERN)
    assert {c.facts.speaker for c in first} == {"a:2"}
    assert told == [1.0]

    def never(*_: object) -> Heard:
        raise AssertionError("heard again")

    monkeypatch.setattr(gather, "hear", never)
    monkeypatch.setattr(gather, "find_utterances", never)
    assert gather.gather(asked, no_progress, workers=1) == first
    with pytest.raises(AssertionError, match="heard again"):
        gather.gather(replace(asked, seed=1), no_progress, workers=1)
    small = Config(models=ModelsParams(voice="acoustic-small"))
    with pytest.raises(AssertionError, match="heard again"):  # by another model
        gather.gather(replace(asked, config=small), no_progress, workers=1)


def test_speakers_that_the_model_knows_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has heard these speakers"):
        gather.gather(CallSet(folder, "train", 20, cache=tmp_path), no_progress)
    with pytest.raises(ModelError, match="--split tset: unknown"):
        gather.gather(CallSet(folder, "tset", 20, cache=tmp_path), no_progress)


def test_a_left_out_model_that_is_not_there_is_named(folder: Path, tmp_path: Path) -> None:
    asked = CallSet(folder, "train", 20, left_out=True, cache=tmp_path)
    with pytest.raises(ModelError, match="left-out/acoustic-a: no model that was trained without"):
        gather.gather(asked, no_progress)


def test_only_speakers_who_mean_what_they_say_are_read(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="who mean what they say in ko"):
        gather.gather(CallSet(folder, count=20, language="ko", cache=tmp_path), no_progress)
