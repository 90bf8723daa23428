"""Rounds of training at sites, their average, and what bounds an update."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.training.sites import RECIPE, A, B, averaged, make_site, pool
from voicebot.emotion.calibration import ANGER
from voicebot.events import EMOTIONS
from voicebot.training.federated import Site, calibrated, figures, logit_counts, moments, scaling
from voicebot.training.federated_training import (
    FederatedRecipe,
    Weights,
    _gradient,
    blurred,
    first_weights,
    privacy_loss,
    to_fitted,
    train_locally,
)


def auc(sites: list[Site], on: Site, recipe: FederatedRecipe = RECIPE) -> float:
    weights, scale = averaged(sites, recipe)
    counts = [logit_counts(to_fitted(weights, scale, recipe), s) for s in sites]
    table = figures(to_fitted(weights, scale, recipe), calibrated(counts), on, "test")
    return float(np.mean([row["auc"] for row in table.values()]))


@pytest.mark.parametrize("name", ["linear", "linear_bias", "hidden", "classes", "classes_bias"])
def test_gradient_is_the_slope_of_the_loss(name: str) -> None:
    rng = np.random.default_rng(1)
    z = rng.normal(size=(20, 6)).astype(np.float32)
    emotion = rng.choice([ANGER, 4, 5], 20)
    present = np.isin(np.arange(len(EMOTIONS)), [ANGER, 4, 5])
    weights = {
        k: rng.normal(size=v.shape).astype(np.float64)
        for k, v in first_weights(6, RECIPE, 0).items()
    }

    def loss(w: dict[str, np.ndarray]) -> float:
        raw = (z @ w["linear"] + w["linear_bias"])[:, 0]
        angry = emotion == ANGER
        logistic = np.mean(np.logaddexp(0, raw) - angry * raw)
        logits = np.maximum(z @ w["hidden"] + w["hidden_bias"], 0) @ w["classes"]
        logits = (logits + w["classes_bias"])[:, present]
        own = (logits * (np.flatnonzero(present) == emotion[:, None])).sum(1)
        return float(logistic + np.mean(np.log(np.exp(logits).sum(1)) - own))

    found = _gradient(weights, z, emotion, present)[name]  # type: ignore[arg-type]
    for place in [(0,) * found.ndim, tuple(n - 1 for n in found.shape), (ANGER,) * found.ndim]:
        if any(p >= n for p, n in zip(place, found.shape, strict=True)):
            continue
        moved = {k: v.copy() for k, v in weights.items()}
        moved[name][place] += 1e-4
        slope = (loss(moved) - loss(weights)) / 1e-4
        assert found[place] == pytest.approx(slope, abs=2e-3)


def test_a_round_repeats_itself_and_spares_its_input() -> None:
    weights, scale = first_weights(6, RECIPE, 0), scaling([moments(A)])
    before = {k: v.copy() for k, v in weights.items()}
    one, same, other = (train_locally(weights, A, scale, RECIPE, (s,))[0] for s in (1, 1, 2))
    assert all(np.array_equal(weights[k], before[k]) for k in weights)
    assert all(np.array_equal(one[k], same[k]) for k in weights)
    assert not np.array_equal(one["hidden"], other["hidden"])


def test_emotions_that_a_site_lacks_are_left_alone() -> None:
    weights, scale = first_weights(6, RECIPE, 0), scaling([moments(A)])
    plain = replace(RECIPE, decay=0.0)
    after, _ = train_locally(weights, A, scale, plain, (1,))
    there = [ANGER, 4, 5]
    absent = [n for n in range(len(EMOTIONS)) if n not in there]
    assert np.array_equal(after["classes"][:, absent], weights["classes"][:, absent])
    assert (after["classes"][:, there] != weights["classes"][:, there]).any()


def test_averaging_learns_as_the_pool_does() -> None:
    federated, pooled = auc([A, B], pool(A, B)), auc([pool(A, B)], pool(A, B))
    assert federated > 0.9
    assert federated == pytest.approx(pooled, abs=0.04)


def test_what_one_site_does_not_have_it_learns_from_the_other() -> None:
    only_sad = make_site("sad", ("ss",), emotions="as")
    only_neutral = make_site("neutral", ("nn",), emotions="an")
    weights, scale = averaged([only_sad, only_neutral])
    logits, _ = to_fitted(weights, scale, RECIPE).predict(A.tables[0])
    three = logits[:, [ANGER, 4, 5]].argmax(1)
    truth = [{ANGER: 0, 4: 1, 5: 2}[clip.emotion] for clip in A.clips]
    assert np.mean(three == truth) > 0.6


def test_the_bound_on_updates() -> None:
    before, scale = first_weights(6, RECIPE, 0), scaling([moments(A)])
    after, _ = train_locally(before, A, scale, RECIPE, (1,))

    def norm(weights: Weights) -> float:
        return math.sqrt(sum(float(np.sum((weights[k] - before[k]) ** 2)) for k in before))

    whole = norm(after)
    assert norm(blurred(before, after, RECIPE)) == whole
    assert norm(blurred(before, after, replace(RECIPE, clip=whole / 2))) == pytest.approx(whole / 2)
    assert norm(blurred(before, after, replace(RECIPE, clip=2 * whole))) == pytest.approx(whole)
    noisy = replace(RECIPE, clip=0.01, noise=2.0)
    size = sum(v.size for v in before.values())
    one, two = blurred(before, after, noisy), blurred(before, after, noisy)
    assert norm(one) == pytest.approx(0.02 * math.sqrt(size), rel=0.2)
    assert not np.array_equal(one["hidden"], two["hidden"])


def test_privacy_loss() -> None:
    assert privacy_loss(RECIPE) == privacy_loss(replace(RECIPE, clip=1.0)) == math.inf
    weak, strong = (privacy_loss(replace(RECIPE, clip=1.0, noise=n)) for n in (1.0, 20.0))
    assert weak == pytest.approx(20 + 2 * math.sqrt(20 * math.log(1e5)))
    assert strong < 2.0
