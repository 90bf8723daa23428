"""The card of a model that was trained over sites which kept their calls."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from voicebot.emotion.calibration import Calibration
from voicebot.training.federated_training import FederatedRecipe, privacy_loss
from voicebot.training.licences import KNOWN
from voicebot.training.report import Table


@dataclass(frozen=True, slots=True)
class SiteSummary:
    """What a site says of itself."""

    name: str
    features: str
    """feature set that it computes"""
    corpora: tuple[str, ...]
    languages: tuple[str, ...]
    """ISO 639-1"""
    speakers: int
    clips: Mapping[str, int]
    """by split"""


def federated_card(
    sites: Sequence[SiteSummary],
    figures: Table,
    calibration: Calibration,
    recipe: FederatedRecipe,
    seed: int,
) -> str:
    """The card, in Markdown: licence first.

    Args:
        sites: What each site said.
        figures: On each site's test split, by corpus, as measured there.
        calibration: As fitted.
        recipe: As trained.
        seed: Of the training run.
    """
    corpora = {name for site in sites for name in site.corpora}
    known = sorted(f"{name}: {KNOWN[name]}" for name in corpora & set(KNOWN))
    epsilon = privacy_loss(recipe)
    rows = [
        f"| {s.name} | {', '.join(s.corpora)} | {', '.join(s.languages)} | {s.speakers} "
        f"| {s.clips['train']} | {s.clips['dev']} | {s.clips['test']} |"
        for s in sites
    ]
    measured = [
        f"| {name} | {row['auc']:.3f} | {row['ap']:.3f} | {row['ece']:.3f} | {row['n']:.0f} |"
        for name, row in figures.items()
    ]
    parts = [
        "**Licence of these weights: that of the speech at each site"
        + (f" ({'; '.join(known)}; the strictest governs).**" if known else ".**"),
        "# Acoustic emotion model, trained over sites that kept their calls",
        f"Prosodic features into a logistic regression and a network of {recipe.hidden} units, by "
        f"federated averaging: {recipe.rounds} rounds of {recipe.steps} steps at each "
        f"site, seed {seed}.\n"
        "What left a site: sums of features, weights after each round, and counts of anger "
        "logits by bin. No audio, no features of a clip, no labels.",
        "Each site's update was sent whole: nothing bounds what it says of the site's calls."
        if math.isinf(epsilon)
        else f"Each site's update was cut to a norm of {recipe.clip:g}, with noise of "
        f"{recipe.noise:g} times that: epsilon {epsilon:.1f} at delta 1e-5 for a whole site; "
        "the sums and counts are not covered.",
        "\n".join(
            [
                "| site | corpora | languages | speakers | train | dev | test |",
                "|---|---|---|---|---|---|---|",
                *rows,
            ]
        ),
        "\n".join(
            ["| test speakers of | AUC | AP | ECE | n |", "|---|---|---|---|---|", *measured]
        ),
        f"Calibrated on {calibration.data}: slope {calibration.anger.slope:.3f}, intercept "
        f"{calibration.anger.intercept:.3f}.",
        "Meant for helping callers who lose patience. Not meant for judging employees, for "
        "hiring, for lie detection or for any decision about a person.",
    ]
    return "\n\n".join(parts) + "\n"
