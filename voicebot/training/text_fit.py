"""Fitting a text model: one linear model a language, two questions.

*How angry?* is a logistic regression over all buckets; *which of the other six
emotions, if not angry?* a multinomial one over an eighth of them (:data:`FOLD`).
Two heads, because corpora of reviews and complaints answer only the first
question.  Soft labels count as both answers, each in its part.  Every corpus is
weighted to one prior of anger (:data:`CORPUS_PRIOR`), so that words which only
give away the corpus ("flight") are no evidence of anger.  Inverse document
frequency, dampened by a square root, scales the buckets during training and is
then folded into the weights.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from voicebot.emotion.text_features import BUCKETS, features, normalise
from voicebot.training.export import need_train_extra
from voicebot.training.text_corpora import Corpus, Example

Floats = npt.NDArray[np.float64]

FOLD: Final = 8
"""Buckets of the anger head that share one of the other head (anger is the question here)."""
CORPUS_PRIOR: Final = 0.25
"""Share of anger to which every corpus is weighted."""
REGULARISATION: Final = 0.5
"""Inverse strength of the L2 penalty, ``C`` of scikit-learn."""
SCALE: Final = 1.2
"""Mean scale of the buckets of the anger head; with the penalty it sets how bold the model is."""
ITERATIONS: Final = 60
"""Upper bound of L-BFGS steps."""


@dataclass(frozen=True, slots=True)
class Linear:
    """What was fitted: two linear models, document frequency folded in."""

    anger: npt.NDArray[np.float16]
    """shape ``(BUCKETS,)``"""
    anger_bias: float
    others: npt.NDArray[np.float16]
    """shape ``(BUCKETS // FOLD, 6)``"""
    others_bias: npt.NDArray[np.float32]
    """shape ``(6,)``"""


def fit(
    examples: Sequence[Example],
    corpora: Sequence[Corpus],
    language: str,
    progress: Callable[[float], None] = lambda share: None,
) -> Linear:
    """Fit both heads.

    Args:
        examples: Of the train split of all corpora, with added ones.
        corpora: Their weights.
        language: ISO 639-1.
        progress: Told the share done.

    Raises:
        ModelError: the extra ``train`` is not installed.
    """
    need_train_extra()
    from scipy import sparse

    weights = {c.name: c.weight for c in corpora}
    train = [(e, weights[e.corpus]) for e in examples]
    x = matrix([e.text for e, _ in train], language)
    progress(0.4)
    answered, target, weight = _anger_targets(train)
    scale = _scale(x) * _contrast(x[answered], target * weight, (1.0 - target) * weight)
    scale *= np.float32(SCALE) / scale[scale > 0].mean()
    coefficients, bias = _logistic(
        x[answered] @ sparse.diags_array(scale),
        np.stack([1.0 - target, target], axis=1),
        weight,
    )
    anger = (coefficients[0] * scale).astype(np.float16)
    progress(0.6)
    told = np.array([i for i, (e, _) in enumerate(train) if e.others is not None])
    folded = _fold(x[told])
    scale = _scale(folded)
    coefficients, biases = _logistic(
        folded @ sparse.diags_array(scale),
        np.array([train[i][0].others for i in told], dtype=np.float64),
        np.array([train[i][1] for i in told]),
    )
    progress(1.0)
    others = (coefficients * scale).T.astype(np.float16)
    return Linear(anger, float(bias[0]), others, biases.astype(np.float32))


def matrix(texts: Sequence[str], language: str) -> Any:
    """Features of raw texts: ``scipy.sparse.csr_array``, shape ``(texts, BUCKETS)``."""
    from scipy import sparse

    found = [features(normalise(text, language), language) for text in texts]
    ends = np.cumsum([0, *(len(ids) for ids, _ in found)])
    ids = np.concatenate([ids for ids, _ in found]).astype(np.int32)
    weights = np.concatenate([weights for _, weights in found])
    return sparse.csr_array((weights, ids, ends), shape=(len(texts), BUCKETS))


def _anger_targets(
    train: Sequence[tuple[Example, float]],
) -> tuple[npt.NDArray[np.int64], Floats, Floats]:
    """Rows that say how angry they are, how angry, and their weights at the common prior."""
    rows = np.array([i for i, (e, _) in enumerate(train) if e.anger is not None])
    anger = np.array([train[i][0].anger for i in rows], dtype=np.float64)
    corpus = np.array([train[i][0].corpus for i in rows])
    positive = np.zeros_like(anger)
    negative = np.zeros_like(anger)
    for name in np.unique(corpus):
        mine = corpus == name
        prior = float(anger[mine].mean())
        if not 0 < prior < 1:  # nothing but one answer cannot be weighted to a prior
            prior = CORPUS_PRIOR
        positive[mine] = anger[mine] * CORPUS_PRIOR / prior
        negative[mine] = (1 - anger[mine]) * (1 - CORPUS_PRIOR) / (1 - prior)
    both = positive + negative
    weights = np.array([train[i][1] for i in rows])
    return rows, positive / both, both * weights


def _scale(x: Any) -> npt.NDArray[np.float32]:
    """Dampened inverse document frequency; zero for a bucket that only one text has."""
    df = np.bincount(x.indices, minlength=x.shape[1])
    scale = np.sqrt(np.log((1 + x.shape[0]) / (1 + df)) + 1) / 2
    return np.where(df > 1, scale, 0.0).astype(np.float32)


def _contrast(x: Any, angry: Floats, calm: Floats) -> npt.NDArray[np.float32]:
    """How unevenly a bucket is spread over angry and calm texts, at least 0.3.

    The square root of the absolute log-count ratio: half-way from plain logistic regression
    to the scaling of Wang and Manning, "Baselines and bigrams", 2012.
    """
    present = (x > 0).T.astype(np.float64)
    ratio = np.log((present @ angry + 1) / (angry.sum() + 1))
    ratio -= np.log((present @ calm + 1) / (calm.sum() + 1))
    return np.asarray(np.sqrt(np.maximum(np.abs(ratio), 0.1)), dtype=np.float32)


def _fold(x: Any) -> Any:
    """Features over ``BUCKETS // FOLD`` buckets."""
    from scipy import sparse

    folded = sparse.csr_array(
        (x.data, x.indices // FOLD, x.indptr), shape=(x.shape[0], BUCKETS // FOLD)
    )
    folded.sum_duplicates()
    return folded


def _logistic(x: Any, targets: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Logistic regression on soft targets.

    Args:
        x: Sparse, shape ``(n, buckets)``.
        targets: Shares, shape ``(n, classes)``.
        weight: Shape ``(n,)``.

    Returns:
        Coefficients, shape ``(classes, buckets)`` (one row for two classes), and biases.
    """
    from scipy import sparse
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    x = sparse.csr_array(x)
    buckets = x.shape[1]
    x.eliminate_zeros()
    used = np.unique(x.indices)  # the penalty keeps all others at zero anyway
    x = x[:, used]
    parts = [np.flatnonzero(targets[:, k] > 0) for k in range(targets.shape[1])]
    classes = np.concatenate([np.full(len(p), k) for k, p in enumerate(parts)])
    weights = np.concatenate([(weight * targets[:, k])[p] for k, p in enumerate(parts)])
    model = LogisticRegression(C=REGULARISATION, max_iter=ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopped early on purpose
        model.fit(sparse.vstack([x[p] for p in parts]).tocsr(), classes, sample_weight=weights)
    coefficients = np.zeros((len(parts) if len(parts) > 2 else 1, buckets))
    biases = np.full(len(coefficients), -20.0)  # of a class that never occurs
    present = model.classes_ if len(parts) > 2 else [0]
    if len(parts) > 2 and len(model.classes_) == 2:  # scikit-learn then gives one row for both
        raise ValueError("three of the other emotions or more must occur")
    for row, k in enumerate(present):
        coefficients[k, used], biases[k] = model.coef_[row], model.intercept_[row]
    return coefficients, biases


def predict(linear: Linear, x: Any) -> tuple[Floats, Floats]:
    """Anger logits, shape ``(n,)``, and logits of the others, shape ``(n, 6)``."""
    anger = x @ linear.anger.astype(np.float64) + linear.anger_bias
    others = _fold(x.copy()) @ linear.others.astype(np.float64) + linear.others_bias
    return np.asarray(anger), np.asarray(others)
