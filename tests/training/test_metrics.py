"""Statistics against scikit-learn, and against cases worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from voicebot.emotion.calibration import expected_calibration_error
from voicebot.training import metrics

UNHURRIED = settings(deadline=None, max_examples=50)


@st.composite
def scored(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Scores with many ties, and both kinds of truth."""
    n = draw(st.integers(4, 40))
    score = np.array(draw(st.lists(st.integers(-4, 4), min_size=n, max_size=n)), dtype=float)
    truth = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    truth[0], truth[1] = True, False
    return score, truth


@UNHURRIED
@given(scored())
def test_as_scikit_learn(data: tuple[np.ndarray, np.ndarray]) -> None:
    score, truth = data
    assert metrics.auc(score, truth) == pytest.approx(reference.roc_auc_score(truth, score))
    assert metrics.average_precision(score, truth) == pytest.approx(
        reference.average_precision_score(truth, score)
    )
    curve = metrics.roc(score, truth)
    alarms, hits, thresholds = reference.roc_curve(truth, score, drop_intermediate=False)
    np.testing.assert_allclose(curve.false_alarms, alarms)
    np.testing.assert_allclose(curve.hits, hits)
    np.testing.assert_allclose(curve.threshold[1:], thresholds[1:])
    called = score >= 1
    decided = metrics.decisions(score, truth, 1)
    assert decided["accuracy"] == reference.accuracy_score(truth, called)
    assert decided["recall"] == reference.recall_score(truth, called, zero_division=0)
    assert decided["precision"] == reference.precision_score(truth, called, zero_division=0)
    assert decided["f1"] == pytest.approx(reference.f1_score(truth, called, zero_division=0))


@UNHURRIED
@given(scored())
def test_the_best_threshold_has_the_best_f1(data: tuple[np.ndarray, np.ndarray]) -> None:
    score, truth = data
    best = metrics.decisions(score, truth, metrics.best_threshold(score, truth))["f1"]
    assert best == pytest.approx(
        max(metrics.decisions(score, truth, t)["f1"] for t in np.unique(score))
    )


def test_weights_count_as_copies() -> None:
    score, truth = np.array([3.0, 2, 2, 1, 0]), np.array([1, 0, 1, 0, 1], dtype=bool)
    times = np.array([1, 3, 2, 1, 2])
    assert metrics.auc(score, truth, times) == pytest.approx(
        metrics.auc(score.repeat(times), truth.repeat(times))
    )
    assert metrics.best_threshold(score, truth, times) == metrics.best_threshold(
        score.repeat(times), truth.repeat(times)
    )


def test_equal_error_rate_by_hand() -> None:
    truth = np.array([1, 1, 1, 1, 0, 0, 0, 0], dtype=bool)
    # One of four missed and one of four alarmed at a threshold of 3.
    assert metrics.equal_error_rate(np.array([9, 8, 7, 1, 6, 2, 1.5, 0.0]), truth) == 0.25
    assert metrics.equal_error_rate(truth.astype(float), truth) == 0.0
    # All of one score: the line from (0, 0) to (1, 1) crosses misses = alarms at a half.
    assert metrics.equal_error_rate(np.zeros(8), truth) == 0.5


def test_recall_keeps_to_the_false_positive_rate() -> None:
    logit = np.array([5.0, 4.0, 3.0, 2.0, 1.0, 0.0])
    angry = np.array([1, 0, 1, 0, 0, 0])
    assert metrics.recall_at(logit, angry, 0.0) == 0.5
    assert metrics.recall_at(logit, angry, 0.25) == 1.0
    # a tie between an angry and a calm clip cannot be cut in two
    assert metrics.recall_at(np.array([1.0, 1.0, 0.0]), np.array([1, 0, 0]), 0.1) == 0.0


def test_threshold_for_a_recall() -> None:
    score, truth = np.array([5.0, 4, 3, 2, 1, 9, 9]), np.array([1, 1, 1, 1, 1, 0, 0])
    assert metrics.threshold_for(score, truth, 0.8) == 2.0
    assert metrics.threshold_for(score, truth, 1.0) == 1.0


def test_one_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="both angry and other"):
        metrics.auc(np.zeros(3), np.ones(3))


def test_confusion_and_unweighted_recall() -> None:
    truth, guess = np.array([0, 0, 0, 0, 2, 2]), np.array([0, 0, 0, 2, 2, 0])
    assert metrics.confusion(guess, truth, 3).tolist() == [[3, 0, 1], [0, 0, 0], [1, 0, 1]]
    recalls = metrics.recalls(guess, truth)
    assert recalls == {0: 0.75, 2: 0.5}
    assert np.mean(list(recalls.values())) == reference.balanced_accuracy_score(truth, guess)


def test_normal_deviates() -> None:
    # The values in every table of the normal distribution.
    np.testing.assert_allclose(
        metrics.deviate(np.array([0.5, 0.15866, 0.97725])), [0, -1, 2], atol=1e-3
    )
    assert np.all(np.isfinite(metrics.deviate(np.array([0.0, 1.0]))))


@UNHURRIED
@given(scored())
def test_reliability_as_the_calibration_error(data: tuple[np.ndarray, np.ndarray]) -> None:
    score, truth = data
    p = 1 / (1 + np.exp(-score))
    bins = metrics.reliability(p, truth)
    assert bins.share.sum() == pytest.approx(1.0)
    assert bins.error == pytest.approx(expected_calibration_error(p, truth))


def test_reliability_at_another_prior() -> None:
    truth = np.array([1, 1, 1, 0], dtype=bool)
    weight = metrics.prior_weight(truth, 0.2)
    assert weight @ truth == pytest.approx(0.2)
    bins = metrics.reliability(np.full(4, 0.2), truth, weight)
    assert bins.error == pytest.approx(0.0)


def test_the_bootstrap_draws_whole_speakers() -> None:
    rng = np.random.default_rng(1)
    unit = np.repeat(["a", "b", "c", "d"], 12)
    truth = np.tile([True, False, False], 16)
    score = rng.integers(0, 5, 48) + 2.0 * truth + np.repeat([0, 3, 0, 1], 12)
    draws = metrics.auc_draws(score, truth, unit, draws=120, seed=7)
    # The same draws, made the plain way: every clip repeated as often as its speaker is drawn.
    generator = np.random.default_rng(7)
    plain: list[float] = []
    for size in (50, 50, 20):
        for times in generator.multinomial(4, np.full(4, 0.25), size=size):
            copies = times.repeat(12)
            plain.append(metrics.auc(score.repeat(copies), truth.repeat(copies)))
    np.testing.assert_allclose(draws, plain)
    bounds = metrics.interval(draws)
    assert bounds is not None
    assert bounds[0] < metrics.auc(score, truth) < bounds[1]


def test_no_interval_where_speakers_have_one_kind_each() -> None:
    unit, truth = np.array(["a"] * 5 + ["b"] * 5), np.array([True] * 5 + [False] * 5)
    draws = metrics.auc_draws(np.arange(10.0), truth, unit, draws=100)
    assert np.isnan(draws).mean() == pytest.approx(0.5, abs=0.2)
    assert metrics.interval(draws) is None
    one = metrics.auc_draws(np.arange(10.0), truth, np.full(10, "a"), draws=10)
    assert np.all(one == metrics.auc(np.arange(10.0), truth))
