"""Statistics of a detector: what is ranked above what, and how far a probability can be trusted.

Pure functions of scores and truth.  A *score* is anything that rises with anger;
*truth* is true for angry.  All thresholds take scores at or above them, so clips
of one score are taken all or none.

Sources:
    T. Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27(8), 2006.
    A. Martin et al., "The DET curve in assessment of detection task performance",
    Eurospeech 1997 (normal-deviate axes; equal error rate).
    B. Efron, R. Tibshirani, "An introduction to the bootstrap", 1993 (percentile
    interval); whole speakers are drawn, since clips of one voice are not independent.
    C. Guo et al., "On calibration of modern neural networks", ICML 2017 (bins).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

DRAWS: Final = 1000
"""Bootstrap samples: the 2.5 % quantile then rests on 25 of them."""
_CHUNK: Final = 50


@dataclass(frozen=True, slots=True)
class Roc:
    """Every distinct operating point, from the strictest threshold to the laxest."""

    threshold: Floats
    """scores, falling; the first is above all of them"""
    false_alarms: Floats
    """false-positive rate, 0-1, shape of ``threshold``"""
    hits: Floats
    """true-positive rate (recall), 0-1, shape of ``threshold``"""


def roc(score: Array, truth: Array, weight: Array | None = None) -> Roc:
    """Receiver operating characteristic.

    Args:
        score: Shape ``(n,)``.
        truth: Shape ``(n,)``; both kinds must occur.
        weight: How much each counts, shape ``(n,)``; none means equally.
    """
    values, positive, negative = _counts(score, truth, weight)
    hits = np.cumsum(positive[::-1]) / positive.sum()
    alarms = np.cumsum(negative[::-1]) / negative.sum()
    start = np.zeros(1)
    return Roc(
        np.concatenate([[np.inf], values[::-1]]),
        np.concatenate([start, alarms]),
        np.concatenate([start, hits]),
    )


def auc(score: Array, truth: Array, weight: Array | None = None) -> float:
    """Chance that an angry clip scores above another, ties counting half; 0-1, .5 is chance."""
    _, positive, negative = _counts(score, truth, weight)
    below = np.cumsum(negative) - negative / 2
    return float(positive @ below / (positive.sum() * negative.sum()))


def average_precision(score: Array, truth: Array) -> float:
    """Precision averaged over the recall it is reached at (no interpolation), 0-1."""
    _, positive, negative = _counts(score, truth, None)
    hits, taken = np.cumsum(positive[::-1]), np.cumsum((positive + negative)[::-1])
    return float(positive[::-1] @ (hits / taken) / positive.sum())


def equal_error_rate(score: Array, truth: Array) -> float:
    """Rate at which as many angry clips are missed as others are alarmed, 0-1.

    Between two operating points the ROC is a straight line.
    """
    curve = roc(score, truth)
    gap = curve.false_alarms + curve.hits - 1.0  # false alarms less misses: rises from -1 to 1
    after = int(np.argmax(gap >= 0))
    before = after - 1
    share = -gap[before] / (gap[after] - gap[before])
    alarms = curve.false_alarms
    return float(alarms[before] + share * (alarms[after] - alarms[before]))


def recall_at(score: Array, truth: Array, false_positive_rate: float) -> float:
    """Best recall at no more than this false-positive rate, over all thresholds, 0-1."""
    curve = roc(score, truth)
    return float(curve.hits[curve.false_alarms <= false_positive_rate + 1e-12].max())


def threshold_for(score: Array, truth: Array, recall: float) -> float:
    """Highest threshold that catches this share (0-1) of the angry clips."""
    angry = -np.sort(-np.asarray(score, dtype=np.float64)[np.asarray(truth, dtype=bool)])
    caught = int(np.ceil(recall * len(angry) - 1e-9))
    return float(angry[max(caught, 1) - 1])


def best_threshold(score: Array, truth: Array, weight: Array | None = None) -> float:
    """Threshold with the best F1."""
    values, positive, negative = _counts(score, truth, weight)
    hits = np.cumsum(positive[::-1])
    taken = np.cumsum((positive + negative)[::-1])
    return float(values[::-1][int(np.argmax(2 * hits / (taken + positive.sum())))])


def decisions(score: Array, truth: Array, threshold: float) -> dict[str, float]:
    """``accuracy``, ``recall``, ``precision`` and ``f1`` (0-1) of calling angry what reaches it.

    Precision is 0 where nothing reaches the threshold.
    """
    called, angry = np.asarray(score) >= threshold, np.asarray(truth, dtype=bool)
    hits, calls, wanted = (float(np.sum(m)) for m in (called & angry, called, angry))
    return {
        "accuracy": float(np.mean(called == angry)),
        "recall": hits / max(wanted, 1.0),
        "precision": hits / max(calls, 1.0),
        "f1": 2 * hits / max(calls + wanted, 1.0),
    }


def confusion(guess: Array, truth: Array, classes: int) -> npt.NDArray[np.int64]:
    """How often each truth (row) was taken for each class (column); square, ``classes`` wide."""
    table = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(table, (np.asarray(truth), np.asarray(guess)), 1)
    return table


def recalls(guess: Array, truth: Array) -> dict[int, float]:
    """Recall of each class that occurs in the truth, 0-1; their mean is the unweighted recall."""
    return {int(c): float(np.mean(guess[truth == c] == c)) for c in np.unique(truth)}


def deviate(rate: Array) -> Floats:
    """Normal deviates (probits) of rates: the axes of a DET plot (Martin et al., 1997).

    Rates of 0 and 1 are drawn at 0.01 % and 99.99 %, for their deviates are infinite.
    """
    normal = NormalDist()
    limited = np.clip(np.asarray(rate, dtype=np.float64), 1e-4, 1 - 1e-4)
    return np.array([normal.inv_cdf(float(r)) for r in limited.ravel()]).reshape(limited.shape)


@dataclass(frozen=True, slots=True)
class Bins:
    """A reliability diagram; only bins that hold something."""

    confidence: Floats
    """mean probability, 0-1"""
    frequency: Floats
    """share that was angry, 0-1"""
    share: Floats
    """share of all that lies in the bin; sums to one"""

    @property
    def error(self) -> float:
        """Expected calibration error, 0-1 (Guo et al., 2017)."""
        return float(self.share @ np.abs(self.confidence - self.frequency))


def reliability(
    probability: Array, truth: Array, weight: Array | None = None, bins: int = 15
) -> Bins:
    """Confidence against frequency over bins of equal width.

    Args:
        probability: Of anger, 0-1, shape ``(n,)``.
        truth: Shape ``(n,)``.
        weight: How much each counts; none means equally.
        bins: Number of bins.
    """
    p, y = np.asarray(probability, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    w = np.ones_like(p) if weight is None else np.asarray(weight, dtype=np.float64)
    place = np.minimum((p * bins).astype(np.int64), bins - 1)
    total, sure, angry = (np.bincount(place, w * v, bins) for v in (np.ones_like(p), p, y))
    held = total > 0
    return Bins(sure[held] / total[held], angry[held] / total[held], total[held] / total.sum())


def prior_weight(truth: Array, prior: float) -> Floats:
    """Weights, summing to one, that make this share (0-1) of the weight angry."""
    angry = np.asarray(truth, dtype=bool)
    share = np.where(angry, prior, 1.0 - prior)
    count = np.where(angry, angry.sum(), (~angry).sum())
    return np.asarray(share / count, dtype=np.float64)


def auc_draws(score: Array, truth: Array, unit: Array, draws: int = DRAWS, seed: int = 0) -> Floats:
    """AUC of bootstrap samples, each of as many speakers as there are, drawn with replacement.

    Args:
        score: Shape ``(n,)``.
        truth: Shape ``(n,)``.
        unit: Whose clip it is (any labels), shape ``(n,)``.
        draws: How many samples.
        seed: Of the draws.

    Returns:
        Shape ``(draws,)``; NaN where a sample holds only one kind.
    """
    order = np.argsort(score, kind="stable")
    ranked = np.asarray(score, dtype=np.float64)[order]
    angry = np.asarray(truth, dtype=bool)[order]
    _, owner = np.unique(np.asarray(unit)[order], return_inverse=True)
    first = np.searchsorted(ranked, ranked[angry], side="left")
    last = np.searchsorted(ranked, ranked[angry], side="right")
    units = int(owner.max()) + 1
    rng = np.random.default_rng(seed)
    out = np.full(draws, np.nan)
    for start in range(0, draws, _CHUNK):
        size = min(_CHUNK, draws - start)
        times = rng.multinomial(units, np.full(units, 1.0 / units), size=size)
        weight = times[:, owner].astype(np.float64)
        below = np.zeros((size, len(ranked) + 1))
        np.cumsum(np.where(angry, 0.0, weight), axis=1, out=below[:, 1:])
        positive = weight[:, angry]
        pairs = positive.sum(axis=1) * below[:, -1]
        wins = np.sum(positive * (below[:, first] + below[:, last]) / 2, axis=1)
        known = pairs > 0
        out[start : start + size][known] = wins[known] / pairs[known]
    return out


def interval(draws: Array) -> tuple[float, float] | None:
    """Middle 95 % of bootstrap samples; None if more than a tenth of them failed."""
    known = draws[~np.isnan(draws)]
    if len(known) < 0.9 * len(draws):
        return None
    low, high = np.quantile(known, (0.025, 0.975))
    return float(low), float(high)


def _counts(score: Array, truth: Array, weight: Array | None) -> tuple[Floats, Floats, Floats]:
    """Distinct scores, rising, and the weight of angry and of other clips at each."""
    s, y = np.asarray(score, dtype=np.float64), np.asarray(truth, dtype=bool)
    w = np.ones(len(s)) if weight is None else np.asarray(weight, dtype=np.float64)
    if not y.any() or y.all():
        raise ValueError("both angry and other clips are needed")
    values, place = np.unique(s, return_inverse=True)
    positive, negative = (
        np.bincount(place, w * kind, len(values)).astype(np.float64) for kind in (y, ~y)
    )
    return values, positive, negative
