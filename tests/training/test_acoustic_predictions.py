"""Clips go the way of a call, and are scored once."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.training.corpus import make_corpus
from voicebot.emotion.acoustic import AcousticModel, AcousticParams
from voicebot.emotion.onnx_model import models_dir
from voicebot.training import acoustic_predictions
from voicebot.training.acoustic_predictions import Request, heard, predict
from voicebot.training.augmentation import CLEAN, TEST_NOISY
from voicebot.training.predictions import Predictions
from voicebot.training.speech_corpora import Clip, read_manifest

MODEL = models_dir() / "acoustic"


def quiet(what: str, share: float) -> None:
    assert 0.0 <= share <= 1.0


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus") / "data", clips=2)


@pytest.fixture(scope="module")
def clips(data: Path) -> tuple[Clip, ...]:
    return tuple(c for c in read_manifest(data) if c.split == "test")


def run(data: Path, cache: Path, *requests: Request) -> list[Predictions]:
    return predict(data, requests, seed=0, cache=cache, workers=1, progress=quiet)


def test_scores_are_those_of_the_model(data: Path, clips: tuple[Clip, ...], tmp_path: Path) -> None:
    (found,) = run(data, tmp_path, Request(MODEL, clips, TEST_NOISY))
    samples = heard(data, clips[1], TEST_NOISY, 0)
    reading = AcousticModel.load(MODEL).score(samples, 8000, len(samples) / 8000)
    assert found.snr_db[1] == reading.snr_db
    assert found.abstained[1] == (reading.abstained or "")
    assert found.file.tolist() == [c.file for c in clips]
    assert found.speech_seconds[1] == len(samples) / 8000


def test_what_was_scored_is_not_scored_again(
    data: Path, clips: tuple[Clip, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [Request(MODEL, clips, CLEAN), Request(MODEL, clips[:2], TEST_NOISY)]
    first = run(data, tmp_path, *requests)
    monkeypatch.setattr(acoustic_predictions, "_score", None)
    again = run(data, tmp_path, *requests)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.logit, other.logit)
        np.testing.assert_array_equal(one.abstained, other.abstained)
    with pytest.raises(TypeError):  # another seed is another noise
        predict(data, requests, seed=1, cache=tmp_path, workers=1, progress=quiet)


def test_another_model_is_scored_anew(
    data: Path, clips: tuple[Clip, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "model"
    shutil.copytree(MODEL, other)
    run(data, tmp_path, Request(other, clips, CLEAN))
    (other / "card.md").write_text("another card")
    monkeypatch.setattr(acoustic_predictions, "_score", None)
    run(data, tmp_path, Request(other, clips, CLEAN))
    text = (other / "calibration.json").read_text()
    (other / "calibration.json").write_text(text + "\n")
    with pytest.raises(TypeError):
        run(data, tmp_path, Request(other, clips, CLEAN))


def test_an_abstention_is_marked_and_scored_all_the_same(
    data: Path, clips: tuple[Clip, ...], tmp_path: Path
) -> None:
    strict = AcousticParams(min_speech_seconds=2.0)
    found, open_ = run(
        data, tmp_path, Request(MODEL, clips, CLEAN, strict),
        Request(MODEL, clips, CLEAN, acoustic_predictions.OPEN),
    )  # fmt: skip
    assert set(found.abstained.tolist()) == {"too_short"}
    np.testing.assert_array_equal(found.logit, open_.logit)
    assert not np.isnan(found.logit).any()


def test_no_clips(data: Path, tmp_path: Path) -> None:
    (none,) = run(data, tmp_path, Request(MODEL, (), CLEAN))
    assert len(none) == 0
    assert none.probabilities.shape == (0, 7)
