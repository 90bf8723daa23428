"""The classifiers of the acoustic model: fitted, run in numpy, written as ONNX.

A logistic regression, which travels well to other languages, and a few small
neural networks, which also learn the other emotions, are averaged on the
log-odds of anger.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from voicebot.emotion.acoustic import INPUT, KIND, MEL_INPUT, WITH_ENCODER
from voicebot.emotion.calibration import ANGER
from voicebot.emotion.features import FEATURE_SET, FEATURES
from voicebot.emotion.logmel import BANDS
from voicebot.events import EMOTIONS
from voicebot.training.export import Dense, Graph, need_train_extra
from voicebot.training.speech_corpora import Clip, balanced_weights

Floats = npt.NDArray[np.float32]

CLIP: Final = 4.0
"""Standard deviations beyond which no feature goes: a strange line must not run away with it."""
_ABSENT: Final = -30.0
"""Logit of an emotion that the training data does not have."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is fitted; the defaults are what was chosen by leaving corpora out."""

    linear_c: float = 1e-4
    """inverse strength of the penalty on the logistic regression"""
    hidden: int = 128
    """units of each network"""
    alpha: float = 10.0
    """penalty on the networks' weights"""
    members: int = 3
    """networks"""
    samples: int = 120_000
    """samples that each network sees, so epochs fall as conditions rise"""
    linear_share: float = 0.5
    """of the logistic regression in the log-odds of anger"""


SMALL: Final = Recipe(linear_c=0.01, samples=90_000)
"""For prosody alone."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted model in plain numbers."""

    mean: Floats
    scale: Floats
    linear: Dense
    """features to one logit of anger"""
    networks: tuple[tuple[Dense, ...], ...]
    """features to seven class logits each"""
    linear_share: float

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """Class logits ``(n, 7)`` and raw anger logit ``(n,)`` of features ``(n, features)``."""
        x = np.clip((features - self.mean) / self.scale, -CLIP, CLIP)
        logits = np.mean([_forward(x, layers) for layers in self.networks], axis=0)
        others = np.delete(logits, ANGER, axis=1)
        peak = others.max(axis=1)
        odds = logits[:, ANGER] - peak - np.log(np.exp(others - peak[:, None]).sum(axis=1))
        share = self.linear_share
        anger = share * _forward(x, (self.linear,))[:, 0] + (1 - share) * odds
        return logits.astype(np.float32), anger.astype(np.float32)

    def to_onnx(self, extra: dict[str, str], encoder: Path | None = None) -> Any:
        """The same as an ``onnx.ModelProto``.

        Args:
            extra: More metadata.
            encoder: Where part of the features come from, to be taken into the graph (see
                :func:`voicebot.training.speech_encoder.encoder_file`); None where all are prosodic.
        """
        onnx, _ = need_train_extra()
        g = Graph()
        inputs: dict[str, tuple[str, tuple[str | int, ...]]] = {
            INPUT: ("float32", ("batch", len(FEATURES)))
        }
        x = INPUT
        if encoder is not None:
            inputs[MEL_INPUT] = ("float32", ("batch", BANDS, "frames"))
            x = g.node("Concat", INPUT, g.absorb(onnx.load(encoder)), axis=1)
        x = g.node("Sub", x, g.constant(self.mean))
        x = g.node("Div", x, g.constant(self.scale))
        bound = np.array(CLIP, dtype=np.float32)
        x = g.node("Clip", x, g.constant(-bound), g.constant(bound))
        logits = g.mean([g.dense(x, layers) for layers in self.networks])
        rest = np.delete(np.arange(len(EMOTIONS)), ANGER)
        others = g.node("Gather", logits, g.constant(rest), axis=1)
        total = g.node("ReduceLogSumExp", others, axes=[1], keepdims=1)
        own = g.node("Gather", logits, g.constant(np.array([ANGER])), axis=1)
        odds = g.node("Sub", own, total)
        share = np.array(self.linear_share, dtype=np.float32)
        anger = g.node(
            "Add",
            g.node("Mul", g.dense(x, (self.linear,)), g.constant(share)),
            g.node("Mul", odds, g.constant(1 - share)),
        )
        return g.finish(
            logits,
            kind=KIND,
            features=WITH_ENCODER if encoder is not None else FEATURE_SET,
            inputs=inputs,
            anger_logit=anger,
            extra=extra,
        )


def fit(tables: Floats, clips: Sequence[Clip], recipe: Recipe, seed: int) -> Fitted:
    """Fit on all conditions of some clips.

    Args:
        tables: Shape ``(conditions, clips, features)``.
        clips: What they are of.
        recipe: What to fit.
        seed: Of the networks' start and order.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier

    x = tables.reshape(-1, tables.shape[-1])
    weight = np.tile(balanced_weights(clips), len(tables))
    emotion = np.tile([c.emotion for c in clips], len(tables))
    mean = np.average(x, axis=0, weights=weight).astype(np.float32)
    scale = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weight)).astype(np.float32)
    # A feature that hardly varies in training must not explode on a new line.
    scale = np.maximum(scale, 1e-3).astype(np.float32)
    z = np.clip((x - mean) / scale, -CLIP, CLIP)
    angry = emotion == ANGER
    logistic = LogisticRegression(C=recipe.linear_c, max_iter=500)
    logistic.fit(z, angry, weight * np.where(angry, 2.0, 1.0))
    linear = Dense(logistic.coef_.T.astype(np.float32), logistic.intercept_.astype(np.float32))
    networks = []
    for member in range(recipe.members):
        network = MLPClassifier(
            (recipe.hidden,), alpha=recipe.alpha, batch_size=min(256, len(z)),
            max_iter=max(1, round(recipe.samples / len(z))), random_state=seed * 1000 + member,
        )  # fmt: skip
        with warnings.catch_warnings():
            # It is stopped early on purpose: fewer rounds generalise better.
            warnings.simplefilter("ignore", ConvergenceWarning)
            network.fit(z, emotion, sample_weight=weight)
        networks.append(_layers(network))
    return Fitted(mean, scale, linear, tuple(networks), recipe.linear_share)


def _layers(network: Any) -> tuple[Dense, ...]:
    """The layers of a scikit-learn network, its outputs spread over all emotions."""
    *hidden, last = zip(network.coefs_, network.intercepts_, strict=True)
    classes = list(network.classes_)
    weight, bias = last
    if len(classes) == 2:  # scikit-learn keeps one logistic output for two classes
        weight = np.concatenate([-weight / 2, weight / 2], axis=1)
        bias = np.concatenate([-bias / 2, bias / 2])
    full = np.zeros((len(weight), len(EMOTIONS)), dtype=np.float32)
    offset = np.full(len(EMOTIONS), _ABSENT, dtype=np.float32)
    full[:, classes], offset[classes] = weight, bias
    layers = [Dense(w.astype(np.float32), b.astype(np.float32), "Relu") for w, b in hidden]
    return (*layers, Dense(full, offset))


def _forward(x: Floats, layers: Sequence[Dense]) -> Floats:
    for layer in layers:
        x = x @ layer.weight + layer.bias
        if layer.activation == "Relu":
            x = np.maximum(x, 0.0)
    return x
