"""The better model counts for more; the sum is at true odds."""

from __future__ import annotations

import numpy as np
import pytest

from voicebot.emotion.calibration import REFERENCE_PRIOR
from voicebot.errors import ModelError
from voicebot.training.text_calibration import Answers, calibrate, fit_mix, mixed
from voicebot.training.text_corpora import Example, shares
from voicebot.training.text_graph import Mix


def dev(n: int = 4000) -> tuple[list[Example], np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.random(n) < 0.3
    corpus = np.where(rng.random(n) < 0.2, "small", "large")
    calm = shares({"sadness": 1.0})
    examples = [
        Example("x", str(c), "dev", float(t), None if t else calm)
        for t, c in zip(truth, corpus, strict=True)
    ]
    return examples, truth


def answers(truth: np.ndarray, strength: float, seed: int) -> Answers:
    rng = np.random.default_rng(seed)
    logit = strength * (truth - 0.5) + rng.normal(size=len(truth))
    return Answers(logit, rng.normal(size=(len(truth), 6)))


def test_the_better_model_counts_for_more() -> None:
    examples, truth = dev()
    mix = fit_mix(answers(truth, 0.8, 1), answers(truth, 2.0, 2), examples)
    assert mix.network == pytest.approx(2.0, abs=0.25)  # of two normals with these means
    assert mix.linear == pytest.approx(0.8, abs=0.2)


def test_a_model_that_counts_against_itself_is_out() -> None:
    examples, truth = dev()
    good = answers(truth, 2.0, 1)
    wrong = answers(~truth, 2.0, 2)
    assert fit_mix(good, wrong, examples) == Mix(1.0, 0.0, 0.0)
    assert fit_mix(wrong, good, examples) == Mix(0.0, 1.0, 0.0)


def test_the_sum_is_at_true_odds() -> None:
    examples, truth = dev()
    one, other = answers(truth, 0.8, 1), answers(truth, 2.0, 2)
    both = mixed(one, other, fit_mix(one, other, examples))
    calibration = calibrate(both, examples)
    assert calibration.anger.prior == pytest.approx(REFERENCE_PRIOR)
    logit = np.array([calibration.anger.logit(raw) for raw in both.anger])
    weight = np.where(truth, REFERENCE_PRIOR / truth.sum(), (1 - REFERENCE_PRIOR) / (~truth).sum())
    for low, high in ((-3, -2), (-1, 0), (0, 1), (1, 2)):
        inside = (logit > low) & (logit < high)
        share = weight[inside & truth].sum() / weight[inside].sum()
        mean = (1 / (1 + np.exp(-logit[inside]))).mean()
        assert share == pytest.approx(mean, abs=0.06)
    assert "large, small" in calibration.data


def test_soft_labels_ask_twice() -> None:
    examples, truth = dev()
    soft = [Example("x", e.corpus, "dev", 0.8 * (e.anger or 0.0), e.others) for e in examples]
    mine = answers(truth, 2.0, 1)
    hard, softer = calibrate(mine, examples).anger, calibrate(mine, soft).anger
    assert softer.n == len(truth) + truth.sum() and hard.n == len(truth)
    assert softer.slope < hard.slope


@pytest.mark.parametrize("anger", [0.0, 1.0, None])
def test_a_dev_split_of_one_kind_is_refused(anger: float | None) -> None:
    examples = [Example("x", "a", "dev", anger, None)] * 5
    with pytest.raises(ModelError, match="angry texts only, or calm ones only"):
        calibrate(Answers(np.zeros(5), np.zeros((5, 6))), examples)
