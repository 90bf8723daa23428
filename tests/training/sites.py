"""Sites of a federation with made-up features."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from voicebot.emotion.calibration import ANGER
from voicebot.training.federated import Scaling, Site, moments, scaling
from voicebot.training.federated_training import (
    FederatedRecipe,
    Weights,
    first_weights,
    train_locally,
)
from voicebot.training.speech_corpora import Clip

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
