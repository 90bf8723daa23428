"""Sites together compute what pooled clips would, and learn from one another."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from voicebot.emotion.calibration import ANGER, fit_platt
from voicebot.errors import ModelError
from voicebot.events import EMOTIONS
from voicebot.training.acoustic_model import Floats
from voicebot.training.federated import (
    FederatedRecipe,
    Scaling,
    Site,
    Weights,
    _gradient,
    blurred,
    calibrated,
    figures,
    first_weights,
    logit_counts,
    moments,
    privacy_loss,
    scaling,
    to_fitted,
    train_locally,
)
from voicebot.training.speech_corpora import Clip, balanced_weights

RECIPE = FederatedRecipe(rounds=10, steps=10, hidden=8, batch=64, rate=0.01)


def make_site(
    name: str, corpora: tuple[str, ...], emotions: str = "ans", clips: int = 60, seed: int = 0
) -> Site:
    """A site whose angry clips are high in the first feature; each corpus has its own bias."""
    kinds = [{"a": ANGER, "n": 4, "s": 5}[letter] for letter in emotions]
    rng = np.random.default_rng((seed, len(name)))
    made, rows = [], []
    for number, corpus in enumerate(corpora):
        for split in ("train", "dev", "test"):
            for index in range(clips):
                emotion = kinds[index % len(kinds)]
                x = rng.normal(size=6)
                x[0] += 2.5 * (emotion == ANGER)
                x[1] += 2.0 * (emotion == 5)
                x[2] = x[2] * 50 + 100 + number
                speaker = f"{corpus}:{split}"
                made.append(Clip(Path(), "", corpus, "en", speaker, emotion, 1.0, split, ""))
                rows.append(x)
    table = np.array(rows, np.float32)
    return Site(name, tuple(made), np.stack([table, table + 0.1]))


def pool(*sites: Site) -> Site:
    clips = tuple(clip for site in sites for clip in site.clips)
    return Site("pool", clips, np.concatenate([site.tables for site in sites], axis=1))


A = make_site("a", ("aa",))
B = make_site("bbb", ("bb", "cc"), clips=30)


def averaged(sites: list[Site], recipe: FederatedRecipe = RECIPE) -> tuple[Weights, Scaling]:
    """Federated averaging, by hand."""
    scale = scaling([moments(site) for site in sites])
    weights = first_weights(6, recipe, 0)
    for number in range(recipe.rounds):
        parts = [train_locally(weights, s, scale, recipe, (number, len(s.name))) for s in sites]
        total = sum(weight for _, weight in parts)
        weights = {k: sum((p[k] * np.float32(w / total) for p, w in parts)) for k in weights}  # type: ignore[misc]
    return weights, scale


def auc(sites: list[Site], on: Site, recipe: FederatedRecipe = RECIPE) -> float:
    weights, scale = averaged(sites, recipe)
    counts = [logit_counts(to_fitted(weights, scale, recipe), s) for s in sites]
    table = figures(to_fitted(weights, scale, recipe), calibrated(counts), on, "test")
    return float(np.mean([row["auc"] for row in table.values()]))


def test_sums_of_sites_scale_as_pooled_clips_do() -> None:
    apart, together = scaling([moments(A), moments(B)]), scaling([moments(pool(A, B))])
    assert np.allclose(apart.mean, together.mean, rtol=1e-5)
    assert np.allclose(apart.scale, together.scale, rtol=1e-4)
    x, _, weight = pool(A, B).training
    mean = np.average(x, axis=0, weights=weight)
    assert np.allclose(apart.mean, mean, rtol=1e-5)
    assert np.allclose(apart.scale**2, np.average((x - mean) ** 2, axis=0, weights=weight), 1e-3)


def test_clips_count_at_a_site_as_they_do_in_the_pool() -> None:
    weight = np.concatenate([site.training[2] for site in (A, B)])
    together = pool(A, B)
    train = [clip for clip in together.clips if clip.split == "train"]
    expected = balanced_weights(train)
    a = int(A.rows("train").sum())
    rows = np.concatenate([weight[:a], weight[2 * a : 2 * a + len(train) - a]])
    assert np.allclose(rows / rows.mean(), expected)


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


def test_counts_calibrate_as_the_logits_themselves_do() -> None:
    weights, scale = averaged([A])
    fitted = to_fitted(weights, scale, RECIPE)
    rows = A.rows("dev")
    _, raw = fitted.predict(A.tables[0, rows])
    clips = [clip for clip, row in zip(A.clips, rows, strict=True) if row]
    exact = fit_platt(raw, [float(c.angry) for c in clips], balanced_weights(clips))
    found = calibrated([logit_counts(fitted, A)])
    assert found.n == len(clips)
    # The targets that Platt smooths depend a little on how many clips or bins there are.
    assert found.slope == pytest.approx(exact.slope, rel=0.1)
    assert found.prior == pytest.approx(exact.prior, abs=1e-6)
    for value in (-3.0, 0.0, 3.0):
        assert found.logit(value) == pytest.approx(exact.logit(value), abs=0.4)


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


@pytest.mark.parametrize(("emotions", "told"), [("a", "0 other"), ("ns", "0 angry")])
def test_a_site_with_one_kind_of_clips_is_named(emotions: str, told: str) -> None:
    with pytest.raises(ModelError, match=rf"site 'lone'.*{told}"):
        make_site("lone", ("aa",), emotions=emotions).check()


def test_a_site_with_too_few_clips() -> None:
    small = make_site("small", ("aa",), clips=30)
    with pytest.raises(ModelError, match="10 angry and 20 other"):
        small.check()
    small.check(min_clips=10)


def test_features_far_away_are_bounded() -> None:
    scale = Scaling(np.zeros(2, np.float32), np.ones(2, np.float32))
    wild: Floats = np.array([[1e6, -1e6]], np.float32)
    assert np.array_equal(scale.apply(wild), [[4.0, -4.0]])
