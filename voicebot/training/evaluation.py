"""How good the emotion models are: figures with a definition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from voicebot.emotion.calibration import (
    REFERENCE_LOGIT,
    REFERENCE_PRIOR,
    brier,
    expected_calibration_error,
    sigmoid,
)
from voicebot.training import metrics

Array = npt.NDArray[Any]


def anger_figures(logit: Array, angry: Array) -> dict[str, float]:
    """Anger against the rest.

    Args:
        logit: Calibrated anger logits in nats, shape ``(n,)``.
        angry: Truth, shape ``(n,)``.

    Returns:
        ``auc``; ``ap`` (average precision); ``recall_at_10`` (recall at a false-positive rate of
        10 %); ``brier`` and ``ece`` (15 bins), with the prior moved from the reference to the
        share of angry clips here; ``n``.  Empty if all clips are of one kind.
    """
    truth = np.asarray(angry, dtype=bool)
    if not truth.any() or truth.all():
        return {}
    share = float(truth.mean())
    probability = sigmoid(np.asarray(logit) - REFERENCE_LOGIT + np.log(share / (1.0 - share)))
    return {
        "auc": metrics.auc(logit, truth),
        "ap": metrics.average_precision(logit, truth),
        "recall_at_10": metrics.recall_at(logit, truth, 0.10),
        "brier": brier(probability, truth),
        "ece": expected_calibration_error(probability, truth),
        "n": float(len(truth)),
    }


def calibration_figures(logit: Array, angry: Array) -> dict[str, float]:
    """How far the probabilities are true.

    Args:
        logit: Calibrated anger logits in nats, shape ``(n,)``.
        angry: Truth, shape ``(n,)``.

    Returns:
        ``share`` of angry clips here; ``ece`` and ``brier`` with the prior moved to that share;
        ``ece_reference`` and ``brier_reference`` with the clips weighted to the reference prior,
        at which a call's scores are given; ``confidence``, the mean probability so weighted,
        which ought to be the reference prior.  Empty if all clips are of one kind.
    """
    truth = np.asarray(angry, dtype=bool)
    own = anger_figures(logit, truth)
    if not own:
        return {}
    weight = metrics.prior_weight(truth, REFERENCE_PRIOR)
    probability = sigmoid(logit)
    return {
        "share": float(truth.mean()),
        "ece": own["ece"],
        "brier": own["brier"],
        "ece_reference": metrics.reliability(probability, truth, weight).error,
        "brier_reference": float(weight @ (probability - truth) ** 2),
        "confidence": float(weight @ probability),
    }


def class_figures(probabilities: Array, emotion: Array) -> dict[str, float]:
    """All emotions: ``accuracy``, ``uar``, and ``macro_f1`` over those that occur.

    Args:
        probabilities: Shape ``(n, 7)``; emotions that do not occur in the truth are left out of
            the choice, since a corpus without disgust cannot be wrong about it.
        emotion: Index of the true emotion, shape ``(n,)``.

    Returns:
        Each 0-1; ``uar`` is the unweighted average recall, each emotion counting alike.
    """
    guess = best_guess(probabilities, emotion)
    truth = np.asarray(emotion)
    recall = metrics.recalls(guess, truth)
    f1 = [metrics.decisions(guess == c, truth == c, 1.0)["f1"] for c in recall]
    return {
        "accuracy": float(np.mean(guess == truth)),
        "uar": float(np.mean(list(recall.values()))),
        "macro_f1": float(np.mean(f1)),
    }


def best_guess(probabilities: Array, emotion: Array) -> npt.NDArray[np.int64]:
    """The likeliest of the emotions that occur in the truth, as an index, shape ``(n,)``."""
    present = np.unique(emotion)
    best = np.argmax(np.asarray(probabilities)[:, present], axis=1)
    return np.asarray(present[best], dtype=np.int64)


def aucs_by(group: Array, score: Array, truth: Array) -> dict[str, float]:
    """AUC within each group that has both angry and other entries; arrays of shape ``(n,)``."""
    groups = [(str(name), np.asarray(group) == name) for name in np.unique(group)]
    kinds = np.asarray(truth, dtype=bool)
    return {
        name: metrics.auc(np.asarray(score)[mine], kinds[mine])
        for name, mine in groups
        if kinds[mine].any() and not kinds[mine].all()
    }


def mean_of(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of each figure over the rows that have it; counts are added."""
    names = dict.fromkeys(name for row in rows for name in row)
    values = {name: [row[name] for row in rows if name in row] for name in names}
    return {n: float(sum(v)) if n == "n" else float(np.mean(v)) for n, v in values.items()}
