"""Fitting: what scikit-learn gives, with soft labels and one prior for every corpus."""

from __future__ import annotations

import numpy as np
import pytest

from voicebot.training import text_fit as training
from voicebot.training.text_corpora import Example


def test_hard_labels_give_what_scikit_learn_gives() -> None:
    from scipy import sparse
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    x = sparse.csr_array(rng.normal(size=(80, 6)))
    y = rng.integers(0, 3, 80)
    coefficients, biases = training._logistic(x, np.eye(4)[y], np.ones(80))
    reference = LogisticRegression(C=training.REGULARISATION, max_iter=500).fit(x, y)
    np.testing.assert_allclose(
        (x @ coefficients.T + biases)[:, :3], reference.decision_function(x), atol=1e-3
    )
    assert biases[3] == -20.0  # a class that never occurs is never chosen


def test_a_soft_label_lies_between_the_hard_ones() -> None:
    from scipy import sparse

    x = sparse.csr_array(np.eye(3))
    soft = np.array([[1.0, 0.0], [0.4, 0.6], [0.0, 1.0]])
    coefficients, bias = training._logistic(x, soft, np.full(3, 50.0))
    logit = coefficients[0] + bias
    assert logit[0] < -1 and logit[2] > 1
    assert logit[1] == pytest.approx(np.log(0.6 / 0.4), abs=0.1)


def test_every_corpus_is_weighted_to_one_prior() -> None:
    train = [(Example("x", "a", "train", float(n < 8), None), 1.0) for n in range(10)]
    train += [(Example("x", "b", "train", 0.6 * (n < 2), None), 2.0) for n in range(30)]
    train += [(Example("x", "b", "train", None, None), 1.0)]
    rows, target, weight = training._anger_targets(train)
    assert len(rows) == 40
    for mine in (rows < 10, rows >= 10):
        share = (target * weight)[mine].sum() / weight[mine].sum()
        assert share == pytest.approx(training.CORPUS_PRIOR)
    assert weight[rows >= 10].sum() == pytest.approx(60)
