"""The card says whose licence governs and what left the sites."""

from __future__ import annotations

from voicebot.emotion.calibration import Calibration
from voicebot.training.federated_card import SiteSummary, federated_card
from voicebot.training.federated_training import FederatedRecipe


def card(recipe: FederatedRecipe, corpora: tuple[str, ...] = ("ours",)) -> str:
    site = SiteSummary("north", "f/1", corpora, ("ko",), 7, {"train": 30, "dev": 20, "test": 10})
    figures = {"ours": {"auc": 0.8123, "ap": 0.5, "ece": 0.04, "n": 10.0}}
    return federated_card((site,), figures, Calibration(data="dev clips"), recipe, 3)


def test_licence_first() -> None:
    assert card(FederatedRecipe()).startswith("**Licence of these weights: that of the speech")
    first = card(FederatedRecipe(), ("ours", "urdu")).splitlines()[0]
    assert "urdu: research only" in first


def test_sites_and_figures() -> None:
    text = card(FederatedRecipe(rounds=9))
    assert "| north | ours | ko | 7 | 30 | 20 | 10 |" in text
    assert "| ours | 0.812 | 0.500 | 0.040 | 10 |" in text
    assert "9 rounds" in text and "seed 3" in text


def test_what_bounds_an_update() -> None:
    assert "nothing bounds" in card(FederatedRecipe())
    assert "epsilon" in card(FederatedRecipe(clip=1.0, noise=8.0))
    assert "nothing bounds" in card(FederatedRecipe(clip=1.0))  # cut, but without noise
