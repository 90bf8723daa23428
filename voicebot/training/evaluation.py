"""How good the emotion models are: figures with a definition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from voicebot.emotion.calibration import (
    REFERENCE_LOGIT,
    brier,
    expected_calibration_error,
    sigmoid,
)
from voicebot.training.export import need_train_extra

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
    need_train_extra()
    from sklearn.metrics import average_precision_score, roc_auc_score

    truth = np.asarray(angry, dtype=bool)
    if not truth.any() or truth.all():
        return {}
    share = float(truth.mean())
    probability = sigmoid(np.asarray(logit) - REFERENCE_LOGIT + np.log(share / (1.0 - share)))
    return {
        "auc": float(roc_auc_score(truth, logit)),
        "ap": float(average_precision_score(truth, logit)),
        "recall_at_10": recall_at(logit, truth, 0.10),
        "brier": brier(probability, truth),
        "ece": expected_calibration_error(probability, truth),
        "n": float(len(truth)),
    }


def recall_at(logit: Array, angry: Array, false_positive_rate: float) -> float:
    """Best recall at no more than this false-positive rate, over all thresholds."""
    scores, truth = np.asarray(logit), np.asarray(angry, dtype=bool)
    order = np.argsort(-scores, kind="stable")
    hits, alarms = np.cumsum(truth[order]), np.cumsum(~truth[order])
    # A threshold takes all clips of one score or none.
    last = np.append(scores[order][1:] != scores[order][:-1], True)
    allowed = last & (alarms <= false_positive_rate * np.count_nonzero(~truth))
    best = hits[allowed].max() if allowed.any() else 0
    return float(best / np.count_nonzero(truth))


def class_figures(probabilities: Array, emotion: Array) -> dict[str, float]:
    """All emotions: ``accuracy``, and ``macro_f1`` over those that occur.

    Args:
        probabilities: Shape ``(n, 7)``; emotions that do not occur in the truth are left out of
            the choice, since a corpus without disgust cannot be wrong about it.
        emotion: Index of the true emotion, shape ``(n,)``.
    """
    need_train_extra()
    from sklearn.metrics import f1_score

    present = np.unique(emotion)
    guess = present[np.argmax(np.asarray(probabilities)[:, present], axis=1)]
    return {
        "accuracy": float(np.mean(guess == emotion)),
        "macro_f1": float(f1_score(emotion, guess, labels=present, average="macro")),
    }


def mean_of(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of each figure over the rows that have it; counts are added."""
    names = dict.fromkeys(name for row in rows for name in row)
    values = {name: [row[name] for row in rows if name in row] for name in names}
    return {n: float(sum(v)) if n == "n" else float(np.mean(v)) for n, v in values.items()}
