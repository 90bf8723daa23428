"""What the fusion gains, part by part."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.corpus import make_corpus
from tests.training.made_up import predictions
from voicebot.emotion.calibration import score_from
from voicebot.emotion.fusion import FusionParams
from voicebot.emotion.onnx_model import models_dir
from voicebot.errors import ModelError
from voicebot.training.bimodal import Pairs
from voicebot.training.fusion_evaluation import ablation, evaluate, spoken, without
from voicebot.training.predictions import Predictions


def quiet(what: str, share: float) -> None:
    assert 0.0 <= share <= 1.0


def pairs(voice: Predictions, words: list[float | None], confidence: float = 1.0) -> Pairs:
    scores = tuple(None if w is None else score_from(np.ones(7), w) for w in words)
    return Pairs("x", voice, scores, (confidence,) * len(words))


VOICE = predictions(
    [1.0, -1.0, 1.0, -1.0, 1.0, 1.1, -3.0, -1.0, -2.0, -2.0], [0] * 5 + [4] * 5,
    speaker=["a", "b"] * 5,
)  # fmt: skip
SAID: list[float | None] = [0.2, 2.0, 0.2, 2.0, 0.2, -3.0, 0.4, -1.0, -1.0, -1.0]


def test_both_are_better_than_each() -> None:
    rows = ablation(pairs(VOICE, SAID), FusionParams(), 0)
    assert rows["both"]["auc"] == 1.0
    assert rows["voice"]["auc"] < 1.0
    assert rows["words"]["auc"] < 1.0
    better = max(rows["voice"]["auc"], rows["words"]["auc"])
    assert rows["both"]["gain"] == pytest.approx(1.0 - better)
    assert "gain" not in rows["voice"]
    assert "voice + baseline" in rows
    assert rows["both + baseline"]["n"] == 10


def test_without_words_or_voice_the_prior_is_said() -> None:
    rows = ablation(pairs(VOICE, [None] * 10), FusionParams(), 0)
    assert rows["words"]["auc"] == 0.5
    assert rows["both"]["auc"] == pytest.approx(rows["voice"]["auc"])
    mute = replace(VOICE, abstained=np.full(10, "low_snr"))
    assert spoken(mute) == [None] * 10
    rows = ablation(pairs(mute, SAID), FusionParams(), 0)
    assert rows["voice"]["auc"] == 0.5
    assert rows["both"]["auc"] == pytest.approx(rows["words"]["auc"])


def test_words_nobody_is_sure_of_count_only_without_their_confidence() -> None:
    rows = ablation(pairs(VOICE, SAID, confidence=0.1), FusionParams(), 0)
    assert rows["both"]["auc"] == pytest.approx(rows["voice"]["auc"])
    assert rows["both, no confidence"]["auc"] == 1.0


def test_one_part_is_taken_away_at_a_time() -> None:
    params = FusionParams(text_weight=0.5)
    for changed in without(params).values():
        assert changed.text_weight == 0.5
        assert changed != params


def test_the_baseline_takes_away_what_a_caller_always_sounds_like() -> None:
    # Two callers who differ by less than the baseline may take away.
    rng = np.random.default_rng(0)
    who = ["soft", "harsh"] * 60
    emotion = [0 if i % 10 < 2 else 4 for i in range(120)]
    logit = [
        -1.9 + 0.7 * (w == "harsh") + 0.7 * (e == 0) + 0.1 * rng.normal()
        for w, e in zip(who, emotion, strict=True)
    ]
    voice = predictions(logit, emotion, speaker=who)
    rows = ablation(pairs(voice, [None] * 120), FusionParams(), 0)
    assert rows["voice + baseline"]["auc"] > rows["voice"]["auc"] + 0.05


def test_nothing_to_pair(tmp_path: Path) -> None:
    data = make_corpus(tmp_path / "data", clips=1)
    with pytest.raises(ModelError, match="no pairs of voice and words"):
        evaluate(
            data, models_dir(), seed=0, cache=tmp_path / "cache", workers=1, progress=quiet,
            draw=False,
        )  # fmt: skip
