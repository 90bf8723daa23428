"""Figures against hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest

from voicebot.training.evaluation import anger_figures, class_figures, recall_at


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


def test_recall_keeps_to_the_false_positive_rate() -> None:
    logit = np.array([5.0, 4.0, 3.0, 2.0, 1.0, 0.0])
    angry = np.array([1, 0, 1, 0, 0, 0])
    assert recall_at(logit, angry, 0.0) == 0.5
    assert recall_at(logit, angry, 0.25) == 1.0
    # a tie between an angry and a calm clip cannot be cut in two
    assert recall_at(np.array([1.0, 1.0, 0.0]), np.array([1, 0, 0]), 0.1) == 0.0


def test_emotions_that_a_corpus_lacks_are_no_mistakes() -> None:
    probabilities = np.array([[0.3, 0.6, 0, 0, 0.1, 0, 0], [0.1, 0.6, 0, 0, 0.3, 0, 0]])
    figures = class_figures(probabilities, np.array([0, 4]))
    assert figures == {"accuracy": pytest.approx(1.0), "macro_f1": pytest.approx(1.0)}
