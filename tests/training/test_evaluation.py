"""Figures against hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from voicebot.emotion.calibration import REFERENCE_LOGIT
from voicebot.training.evaluation import (
    anger_figures,
    aucs_by,
    best_guess,
    calibration_figures,
    class_figures,
)


def test_a_perfect_and_a_useless_model() -> None:
    angry = np.array([0, 0, 0, 1, 1])
    perfect = anger_figures(np.array([-9.0, -8, -7, 7, 8]), angry)
    assert perfect["auc"] == perfect["ap"] == perfect["recall_at_10"] == 1.0
    assert perfect["brier"] < 0.01
    useless = anger_figures(np.zeros(5), angry)
    assert useless["auc"] == 0.5
    assert useless["recall_at_10"] == 0.0
    assert useless["n"] == 5


def test_one_kind_has_no_figures() -> None:
    assert anger_figures(np.zeros(3), np.ones(3)) == {}


def test_calibration_at_the_share_here_and_at_the_reference() -> None:
    angry = np.array([1] * 4 + [0] * 4)
    # A model that says the reference prior of everything is right about a call ...
    figures = calibration_figures(np.full(8, REFERENCE_LOGIT), angry)
    assert figures["share"] == 0.5
    assert figures["confidence"] == pytest.approx(0.2)
    assert figures["ece_reference"] == pytest.approx(0.0)
    assert figures["brier_reference"] == pytest.approx(0.2 * 0.8)
    # ... and of this set, once the prior is moved.
    assert figures["ece"] == pytest.approx(0.0)
    assert figures["brier"] == pytest.approx(0.25)
    assert calibration_figures(np.zeros(3), np.zeros(3)) == {}


def test_emotions_that_a_corpus_lacks_are_no_mistakes() -> None:
    probabilities = np.array([[0.3, 0.6, 0, 0, 0.1, 0, 0], [0.1, 0.6, 0, 0, 0.3, 0, 0]])
    figures = class_figures(probabilities, np.array([0, 4]))
    assert figures == {
        "accuracy": pytest.approx(1.0), "uar": pytest.approx(1.0), "macro_f1": pytest.approx(1.0)
    }  # fmt: skip


def test_auc_by_group_leaves_out_groups_of_one_kind() -> None:
    group = np.array(["a", "b", "a", "b", "a", "c", "c"])
    score = np.array([1.0, 2.0, 3.0, 1.0, 2.0, 5.0, 6.0])
    truth = np.array([0, 0, 1, 1, 0, 1, 1])
    assert aucs_by(group, score, truth) == {"a": 1.0, "b": 0.0}


def test_unweighted_recall_and_macro_f1_as_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth = rng.choice([0, 3, 4], size=60, p=[0.7, 0.2, 0.1])
    probabilities = rng.dirichlet(np.ones(7), size=60)
    guess = best_guess(probabilities, truth)
    figures = class_figures(probabilities, truth)
    assert figures["uar"] == pytest.approx(balanced_accuracy_score(truth, guess))
    assert figures["macro_f1"] == pytest.approx(f1_score(truth, guess, average="macro"))
