"""Calibration: from what a model says to a probability one can count on.

A classifier ranks well long before its probabilities are true.  Two
parameters mend that for one class (Platt scaling): the calibrated log-odds are
``slope * raw + intercept``, fitted by maximum likelihood on predictions for
speech the model never saw.  One parameter, the temperature, mends the spread
over the remaining classes.

Log-odds carry the prior of the set they were fitted on.  Corpora of acted
speech hold one angry clip in four or five, a phone line far fewer, so every
calibrated logit is moved to one :data:`REFERENCE_PRIOR`, and a stage that wants
the bare evidence subtracts :data:`REFERENCE_LOGIT`.

Sources:
    J. Platt, "Probabilistic outputs for support vector machines", 1999 (also
    the smoothed targets).  C. Guo et al., "On calibration of modern neural
    networks", ICML 2017 (temperature, expected calibration error).
    G. Brier, "Verification of forecasts expressed in terms of probability", 1950.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from voicebot.errors import ModelError, OutputError
from voicebot.events import EMOTIONS, EmotionScore

Array = npt.NDArray[np.float64]

ANGER: Final = EMOTIONS.index("anger")
REFERENCE_PRIOR: Final = 0.2
"""Share of angry speech at which all calibrated logits are expressed."""
REFERENCE_LOGIT: Final = math.log(REFERENCE_PRIOR / (1.0 - REFERENCE_PRIOR))
"""Log-odds of :data:`REFERENCE_PRIOR`, in nats."""
LOGIT_LIMIT: Final = 8.0
"""Nats beyond which no calibrated logit goes: more is not known from a few thousand clips."""

FILE: Final = "calibration.json"
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Platt:
    """A line through the log-odds, and the set it was fitted on.

    Args:
        slope: Calibrated nats per raw nat; above zero.
        intercept: Nats, at the prior of the calibration set.
        prior: Share of anger in the calibration set (after weights), 0-1.
        n: Predictions it was fitted on.
    """

    slope: float = 1.0
    intercept: float = 0.0
    prior: float = REFERENCE_PRIOR
    n: int = 0

    def evidence(self, raw: float) -> float:
        """Log-likelihood ratio of anger for a raw logit, in nats: no prior in it."""
        return self.slope * raw + self.intercept - math.log(self.prior / (1.0 - self.prior))

    def logit(self, raw: float) -> float:
        """Calibrated log-odds of anger at :data:`REFERENCE_PRIOR`, in nats, limited."""
        shifted = self.evidence(raw) + REFERENCE_LOGIT
        return min(max(shifted, -LOGIT_LIMIT), LOGIT_LIMIT)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Everything in a model's ``calibration.json``.

    Args:
        anger: Line for the anger logit.
        languages: Lines that replace it where the language (ISO 639-1) is known.
        temperature: Divides the log-probabilities of the classes other than anger; above zero.
        data: What it was fitted on, for people.
        model_sha256: Checksum of the ``model.onnx`` it belongs to; empty if unknown.
    """

    anger: Platt = field(default_factory=Platt)
    languages: Mapping[str, Platt] = field(default_factory=dict)
    temperature: float = 1.0
    data: str = ""
    model_sha256: str = ""

    def platt(self, language: str | None = None) -> Platt:
        """The line to use for ``language`` (ISO 639-1), the general one if it has none."""
        return self.languages.get(language or "", self.anger)

    def score(
        self, probabilities: npt.ArrayLike, raw_logit: float, language: str | None = None
    ) -> EmotionScore:
        """Turn one row of a model's outputs into a calibrated score.

        Args:
            probabilities: Class probabilities as the model gives them, shape ``(7,)``, in the
                order of :data:`voicebot.events.EMOTIONS`.
            raw_logit: The model's own log-odds of anger, in nats.
            language: ISO 639-1, to choose a line of :attr:`languages`.
        """
        logit = self.platt(language).logit(raw_logit)
        return score_from(probabilities, logit, self.temperature)


def score_from(
    probabilities: npt.ArrayLike, anger_logit: float, temperature: float = 1.0
) -> EmotionScore:
    """Build a score whose anger is ``anger_logit`` and whose other classes share the rest.

    Args:
        probabilities: Shape ``(7,)``; only the proportions of the classes other than anger count.
        anger_logit: Calibrated, in nats.
        temperature: Above one flattens the other classes, below one sharpens them.
    """
    p = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), 1e-9)) / temperature
    others = np.delete(np.arange(len(EMOTIONS)), ANGER)
    shares = np.exp(p[others] - np.max(p[others]))
    anger = float(sigmoid(anger_logit))
    values = np.empty(len(EMOTIONS))
    values[ANGER] = anger
    values[others] = (1.0 - anger) * shares / np.sum(shares)
    return EmotionScore(
        {name: float(v) for name, v in zip(EMOTIONS, values, strict=True)}, float(anger_logit)
    )


def sigmoid(logit: npt.ArrayLike) -> Array:
    """Probability for log-odds (nats), of any shape, without overflow."""
    x = np.asarray(logit, dtype=np.float64)
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)), dtype=np.float64)


def fit_platt(
    raw: npt.ArrayLike,
    angry: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    iterations: int = 100,
) -> Platt:
    """Fit the line by Newton's method on the smoothed log-loss of Platt (1999).

    Args:
        raw: Raw anger logits of clips the model was not trained on, shape ``(n,)``.
        angry: Truth, 0 or 1, shape ``(n,)``.
        weights: How much each clip counts, shape ``(n,)``; none means equally.
        iterations: Upper bound; it converges in about ten.

    Raises:
        ValueError: only one class is there, or the shapes differ.
    """
    x = np.asarray(raw, dtype=np.float64)
    y = np.asarray(angry, dtype=np.float64)
    w = np.ones_like(x) if weights is None else np.asarray(weights, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or x.shape != w.shape:
        raise ValueError(f"raw {x.shape}, angry {y.shape} and weights {w.shape} must be one shape")
    w = w * (len(w) / np.sum(w))
    positive, negative = float(np.sum(w * y)), float(np.sum(w * (1 - y)))
    if positive == 0 or negative == 0:
        raise ValueError("calibration needs both angry and other clips")
    target = np.where(y > 0.5, (positive + 1) / (positive + 2), 1 / (negative + 2))
    design = np.stack([x, np.ones_like(x)], axis=1)
    beta = np.array([1.0, math.log(positive / negative)])
    for _ in range(iterations):
        p = sigmoid(design @ beta)
        gradient = design.T @ (w * (p - target))
        curvature = (design * (w * p * (1 - p))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        # Halving keeps Newton from leaping past the optimum on nearly separable data.
        while _loss(design @ (beta - step), target, w) > _loss(design @ beta, target, w) + 1e-12:
            step = step / 2
            if float(np.max(np.abs(step))) < 1e-12:
                break
        beta = beta - step
        if float(np.max(np.abs(step))) < 1e-10:
            break
    return Platt(float(beta[0]), float(beta[1]), positive / (positive + negative), len(x))


def fit_temperature(log_probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Temperature that minimises the log-loss over a grid from 0.25 to 4 (Guo et al., 2017).

    Args:
        log_probabilities: Shape ``(n, classes)``.
        labels: Class index of each row, shape ``(n,)``.
    """
    z = np.asarray(log_probabilities, dtype=np.float64)
    y = np.asarray(labels, dtype=np.int64)
    grid = np.exp(np.linspace(math.log(0.25), math.log(4.0), 97))

    def loss(temperature: float) -> float:
        s = z / temperature
        s = s - np.max(s, axis=1, keepdims=True)
        log_p = s - np.log(np.sum(np.exp(s), axis=1, keepdims=True))
        return float(-np.mean(log_p[np.arange(len(y)), y]))

    return float(min(grid, key=loss))


def expected_calibration_error(
    probability: npt.ArrayLike, truth: npt.ArrayLike, bins: int = 15
) -> float:
    """Mean distance of confidence from frequency over equal-width bins (Guo et al., 2017), 0-1.

    Args:
        probability: Predicted probability of the class, shape ``(n,)``.
        truth: 0 or 1, shape ``(n,)``.
        bins: Number of bins.
    """
    p = np.asarray(probability, dtype=np.float64)
    y = np.asarray(truth, dtype=np.float64)
    index = np.minimum((p * bins).astype(np.int64), bins - 1)
    total = 0.0
    for b in range(bins):
        inside = index == b
        if np.any(inside):
            total += float(np.sum(inside)) * abs(float(np.mean(p[inside]) - np.mean(y[inside])))
    return total / len(p)


def brier(probability: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Mean squared error of the probabilities (Brier, 1950), 0-1; less is better."""
    p = np.asarray(probability, dtype=np.float64)
    return float(np.mean((p - np.asarray(truth, dtype=np.float64)) ** 2))


def write_calibration(folder: Path, calibration: Calibration) -> None:
    """Write ``calibration.json`` into a model folder.

    Raises:
        OutputError: the file cannot be written.
    """
    path = folder / FILE
    try:
        text = json.dumps({"format": _FORMAT, **asdict(calibration)}, indent=2, sort_keys=True)
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as err:
        raise OutputError(
            f"{path}: {err.strerror or err}", "choose a folder you may write"
        ) from err


def read_calibration(folder: Path) -> Calibration:
    """Read ``calibration.json`` of a model folder.

    Raises:
        ModelError: it is missing, not JSON, of another format, or holds impossible numbers.
    """
    path = folder / FILE
    mend = "train the model again, or restore its folder from the release"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict) or data.pop("format", None) != _FORMAT:
            raise ValueError(f"expected an object with format {_FORMAT}")
        general = _platt(data.pop("anger"))
        languages = {str(k): _platt(v) for k, v in data.pop("languages", {}).items()}
        calibration = replace(Calibration(**data), anger=general, languages=languages)
        if not calibration.temperature > 0:
            raise ValueError("temperature must be above zero")
    except FileNotFoundError:
        raise ModelError(f"{path}: missing", mend) from None
    except OSError as err:
        raise ModelError(f"{path}: {err.strerror or err}", mend) from err
    except (ValueError, TypeError, KeyError, AttributeError) as err:
        raise ModelError(f"{path}: not a calibration: {err}", mend) from None
    return calibration


def _platt(data: Any) -> Platt:
    """Check one line read from JSON."""
    platt = Platt(**{k: float(v) for k, v in data.items() if k != "n"}, n=int(data.get("n", 0)))
    numbers = (platt.slope, platt.intercept, platt.prior)
    if not all(map(math.isfinite, numbers)) or platt.slope <= 0 or not 0 < platt.prior < 1:
        raise ValueError(f"slope > 0, 0 < prior < 1 and finite numbers expected, got {numbers}")
    return platt


def _loss(logit: Array, target: Array, weights: Array) -> float:
    """Weighted cross-entropy of log-odds against soft targets."""
    return float(np.sum(weights * (np.logaddexp(0.0, logit) - target * logit)))
