"""Training at sites that keep their calls: one round on a site's own clips, and what bounds it.

The model is trained by federated averaging: weights travel, clips do not.  Weights can be
attacked (membership inference); :func:`blurred` bounds what a site's update may say, at a price
in accuracy.

Sources:
    H. B. McMahan et al., "Communication-efficient learning of deep networks from
    decentralized data", AISTATS 2017: federated averaging.
    X.-C. Li and D.-C. Zhan, "FedRS: Federated learning with restricted softmax for label
    distribution non-IID data", KDD 2021: emotions that a site does not have stay out of its
    softmax.
    D. Kingma and J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    R. Geyer, T. Klein and M. Nabi, "Differentially private federated learning: a client level
    perspective", 2017: clipping and noise; M. Bun and T. Steinke, "Concentrated differential
    privacy", TCC 2016: what rounds of noise add up to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from voicebot.emotion.calibration import ANGER
from voicebot.events import EMOTIONS
from voicebot.training.acoustic_model import Fitted, Floats
from voicebot.training.export import Dense
from voicebot.training.federated import Scaling, Site

Weights = dict[str, Floats]
"""Name to array: what is trained and sent."""

_HELD: Final = 0.9, 0.999, 1e-8  # Adam


@dataclass(frozen=True, slots=True)
class FederatedRecipe:
    """How it is trained; the defaults were chosen on the development split."""

    rounds: int = 60
    steps: int = 20
    """of training that each site takes in each round"""
    hidden: int = 64
    """units of the network"""
    rate: float = 1e-3
    """step of Adam"""
    decay: float = 0.02
    """penalty on the weights: half of it times their square is added to the loss"""
    batch: int = 256
    """clips to a step, drawn by their weights"""
    linear_share: float = 0.5
    """of the logistic regression in the log-odds of anger"""
    clip: float = 0.0
    """norm beyond which a site's update is cut; 0 leaves it whole"""
    noise: float = 0.0
    """standard deviation of the noise on a site's update, in units of ``clip``"""


def first_weights(features: int, recipe: FederatedRecipe, seed: int) -> Weights:
    """Weights to start from (He et al., 2015, for the hidden units)."""
    rng = np.random.default_rng((seed, features, recipe.hidden))

    def drawn(rows: int, columns: int) -> Floats:
        return (rng.normal(size=(rows, columns)) * math.sqrt(2.0 / rows)).astype(np.float32)

    return {
        "linear": np.zeros((features, 1), np.float32),
        "linear_bias": np.zeros(1, np.float32),
        "hidden": drawn(features, recipe.hidden),
        "hidden_bias": np.zeros(recipe.hidden, np.float32),
        "classes": drawn(recipe.hidden, len(EMOTIONS)) / np.float32(4.0),
        "classes_bias": np.zeros(len(EMOTIONS), np.float32),
    }


def train_locally(
    weights: Weights,
    site: Site,
    scale: Scaling,
    recipe: FederatedRecipe,
    seed: Sequence[int],
) -> tuple[Weights, float]:
    """Train on a site's own clips for one round.

    Args:
        weights: Of all sites, as of the round before; not changed.
        site: Whose clips.
        scale: Of all sites.
        recipe: How.
        seed: Of the order of clips: another one for each site and round.

    Returns:
        The weights afterwards, and how much the site counts.
    """
    x, emotion, weight = site.training
    z = scale.apply(x)
    present = np.isin(np.arange(len(EMOTIONS)), emotion)
    rng = np.random.default_rng(list(seed))
    now = {name: value.copy() for name, value in weights.items()}
    first = {name: np.zeros_like(value) for name, value in now.items()}
    second = {name: np.zeros_like(value) for name, value in now.items()}
    forget, forget_square, small = _HELD
    share = weight / weight.sum()
    for step in range(1, recipe.steps + 1):
        chosen = rng.choice(len(z), size=min(recipe.batch, len(z)), p=share)
        gradient = _gradient(now, z[chosen], emotion[chosen], present)
        for name, slope in gradient.items():
            if not name.endswith("_bias"):
                slope = slope + recipe.decay * now[name]
            first[name] = forget * first[name] + (1 - forget) * slope
            second[name] = forget_square * second[name] + (1 - forget_square) * slope**2
            height = first[name] / (1 - forget**step)
            width = np.sqrt(second[name] / (1 - forget_square**step)) + small
            now[name] = (now[name] - recipe.rate * height / width).astype(np.float32)
    return now, float(weight.sum())


def blurred(before: Weights, after: Weights, recipe: FederatedRecipe) -> Weights:
    """Bound a site's update and add noise to it, before it leaves the site.

    The noise comes from the operating system: with a known seed it could be taken away again.
    """
    if recipe.clip <= 0:
        return after
    update = {name: after[name] - before[name] for name in before}
    norm = math.sqrt(sum(float(np.sum(np.square(u, dtype=np.float64))) for u in update.values()))
    factor = min(1.0, recipe.clip / max(norm, 1e-12))
    rng = np.random.default_rng()
    spread = recipe.noise * recipe.clip
    return {
        name: (before[name] + factor * u + rng.normal(0.0, spread, u.shape)).astype(np.float32)
        for name, u in update.items()
    }


def privacy_loss(recipe: FederatedRecipe, delta: float = 1e-5) -> float:
    """Epsilon of a site's whole participation, at ``delta``; infinite without noise.

    Each round is a Gaussian mechanism whose answer one site's data moves by at most ``2 clip``:
    ``2 / noise**2`` of zero-concentrated privacy loss (Bun and Steinke 2016, prop. 1.6), which
    add up over the rounds and turn into epsilon by their prop. 1.3.  The sums and counts that
    are sent besides are not covered.
    """
    if recipe.clip <= 0 or recipe.noise <= 0:
        return math.inf
    rho = recipe.rounds * 2.0 / recipe.noise**2
    return rho + 2.0 * math.sqrt(rho * math.log(1.0 / delta))


def to_fitted(weights: Mapping[str, Floats], scale: Scaling, recipe: FederatedRecipe) -> Fitted:
    """The trained weights as the acoustic model that is shipped."""
    network = (
        Dense(weights["hidden"], weights["hidden_bias"], "Relu"),
        Dense(weights["classes"], weights["classes_bias"]),
    )
    linear = Dense(weights["linear"], weights["linear_bias"])
    return Fitted(scale.mean, scale.scale, linear, (network,), recipe.linear_share)


def _gradient(
    weights: Weights, z: Floats, emotion: npt.NDArray[np.intp], present: npt.NDArray[np.bool_]
) -> Weights:
    """Slopes of the mean loss of a batch: logistic of anger, and softmax of the emotions."""
    count = np.float32(len(z))
    raw = (z @ weights["linear"] + weights["linear_bias"])[:, 0]
    miss = (0.5 + 0.5 * np.tanh(raw / 2) - (emotion == ANGER))[:, None] / count
    active = np.maximum(z @ weights["hidden"] + weights["hidden_bias"], 0.0)
    logits = active @ weights["classes"] + weights["classes_bias"]
    logits = np.where(present, logits, -np.inf)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(z)), emotion] -= 1.0
    p /= count
    back = (p @ weights["classes"].T) * (active > 0)
    slopes = {
        "linear": z.T @ miss,
        "linear_bias": miss.sum(axis=0),
        "hidden": z.T @ back,
        "hidden_bias": back.sum(axis=0),
        "classes": active.T @ p,
        "classes_bias": p.sum(axis=0),
    }
    return {name: value.astype(np.float32) for name, value in slopes.items()}
