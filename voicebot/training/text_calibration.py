"""Adding up the answers of a language's models, and bringing the sum to true odds.

Both are fitted on the dev splits, heard through a bad recogniser.  Each corpus counts the same
and is weighted to the reference prior of anger, so neither the largest corpus nor the angriest
decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voicebot.emotion.calibration import REFERENCE_PRIOR, Calibration, fit_platt, fit_temperature
from voicebot.errors import ModelError
from voicebot.training.text_augmentation import DROP, REPLACE
from voicebot.training.text_corpora import Example
from voicebot.training.text_graph import Mix

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Answers:
    """What one kind of model says of some texts."""

    anger: Floats
    """logits, shape ``(n,)``"""
    others: Floats
    """logits, shape ``(n, 6)``"""


def mixed(linear: Answers, network: Answers, mix: Mix) -> Answers:
    """The answers added up, as :func:`voicebot.training.text_graph.export` does."""
    return Answers(
        mix.linear * linear.anger + mix.network * network.anger + mix.bias,
        mix.others_linear * linear.others + (1 - mix.others_linear) * network.others,
    )


def fit_mix(linear: Answers, network: Answers, dev: Sequence[Example]) -> Mix:
    """Weights of both by logistic regression; a model that would count against itself is out.

    Raises:
        ModelError: the dev split has angry texts only, or calm ones only.
    """
    from sklearn.linear_model import LogisticRegression

    rows, label, weight = _questions(dev)
    x = np.stack([linear.anger[rows], network.anger[rows]], axis=1)
    fitted = LogisticRegression(C=1e3).fit(x, label, sample_weight=weight * len(weight))
    a, b = (float(c) for c in fitted.coef_[0])
    if a <= 0 or b <= 0:
        a, b = (0.0, 1.0) if a <= 0 else (1.0, 0.0)
        return Mix(a, b, 0.0)
    return Mix(a, b, float(fitted.intercept_[0]))


def calibrate(answers: Answers, dev: Sequence[Example]) -> Calibration:
    """Platt's line for anger, the temperature for the others.

    Raises:
        ModelError: the dev split has angry texts only, or calm ones only.
    """
    rows, label, weight = _questions(dev)
    platt = fit_platt(answers.anger[rows], label, weight)
    told = [i for i, e in enumerate(dev) if e.others is not None]
    others = answers.others[told]
    labels = np.array([int(np.argmax(dev[i].others)) for i in told])  # type: ignore[arg-type]
    log_p = others - np.log(np.exp(others).sum(axis=1, keepdims=True))
    corpora = ", ".join(sorted({e.corpus for e in dev if e.anger is not None}))
    return Calibration(
        anger=platt,
        temperature=fit_temperature(log_p, labels),
        data=(
            f"dev splits of {corpora}, each weighted the same and to a prior of "
            f"{REFERENCE_PRIOR:g}, {DROP:.0%} of the words lost and {REPLACE:.0%} mistaken"
        ),
    )


def _questions(
    dev: Sequence[Example],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """Rows of the dev split, an answer for each, and what it counts.

    A text that is angry in part asks twice, once with each answer.
    """
    answered = np.array([i for i, e in enumerate(dev) if e.anger is not None], dtype=np.int64)
    truth = np.array([dev[i].anger for i in answered], dtype=np.float64)
    if not len(truth) or truth.max() <= 0 or truth.min() >= 1:
        raise ModelError(
            "the dev splits hold angry texts only, or calm ones only",
            "calibration needs both; check the corpora and their labels",
        )
    corpus = np.array([dev[i].corpus for i in answered])
    positive, negative = np.zeros_like(truth), np.zeros_like(truth)
    for name in np.unique(corpus):
        mine = corpus == name
        angry, calm = truth[mine], 1 - truth[mine]
        positive[mine] = angry / max(angry.sum(), 1e-9) * REFERENCE_PRIOR
        negative[mine] = calm / max(calm.sum(), 1e-9) * (1 - REFERENCE_PRIOR)
    rows = np.concatenate([answered, answered])
    label = np.concatenate([np.ones(len(truth), np.int64), np.zeros(len(truth), np.int64)])
    weight = np.concatenate([positive, negative])
    keep = weight > 0
    return rows[keep], label[keep], weight[keep] / weight.sum()
