"""The evaluation goes the way of a call and counts what it should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.training.corpus import make_corpus
from tests.training.test_acoustic import SMALL
from voicebot.emotion.acoustic import AcousticModel, AcousticParams
from voicebot.training import acoustic_evaluation
from voicebot.training.acoustic_evaluation import (
    evaluate_acoustic,
    evaluate_unseen,
    happy_called_angry,
)


def quiet(what: str, share: float) -> None:
    assert 0.0 <= share <= 1.0


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus") / "data")


def test_every_corpus_and_condition_has_a_row_and_a_mean(data: Path) -> None:
    model = AcousticModel.load(params=AcousticParams(min_snr_db=-10.0))
    rows = evaluate_acoustic(data, model, seed=0, progress=quiet)
    assert list(rows) == [
        f"{c}, {how}" for how in ("mu-law", "10 dB noise") for c in ("aa", "bb", "cc", "mean")
    ]
    assert rows["aa, mu-law"]["abstained"] == 0.0
    assert rows["aa, mu-law"]["n"] == 6
    assert rows["mean, mu-law"]["n"] == 18
    assert 0.0 <= rows["mean, mu-law"]["auc"] <= 1.0
    again = evaluate_acoustic(data, model, seed=0, progress=quiet)
    assert again == rows


def test_abstentions_are_counted_and_left_out(data: Path) -> None:
    strict = AcousticModel.load(params=AcousticParams(min_speech_seconds=2.0))
    rows = evaluate_acoustic(data, strict, seed=0, progress=quiet)
    assert rows["mean, mu-law"] == {"abstained": 1.0}


def test_corpora_are_left_out(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acoustic_evaluation, "Recipe", lambda: SMALL)
    rows = evaluate_unseen(data, seed=0, cache=tmp_path, workers=1, progress=quiet)
    assert rows["mean unseen, mu-law"]["n"] == 54
    assert rows["mean unseen, mu-law"]["auc"] > 0.8
    assert "ece" not in rows["mean unseen, mu-law"]


def test_happy_called_angry_by_hand() -> None:
    emotion = np.array([0, 0, 0, 0, 0, 3, 3, 3, 3])
    logit = np.array([5.0, 4, 3, 2, 1, 4.5, 2.5, 1.5, 0])
    # 80 % of the angry ones lie at 2 or above; of the happy ones two of four do
    assert happy_called_angry(logit, emotion) == 0.5
    assert happy_called_angry(logit[:5], emotion[:5]) is None
