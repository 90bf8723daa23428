"""The card says what governs the weights, in its first lines, and nothing that is not so."""

from __future__ import annotations

from pathlib import Path

from voicebot.emotion.calibration import Calibration
from voicebot.training.augmentation import CLEAN, LINE
from voicebot.training.card import LICENCES, acoustic_card
from voicebot.training.speech_corpora import Clip

FIGURES = {"own test": {"auc": 0.8125, "n": 40.0}, "own unseen": {"auc": 0.7}}


def card(corpus: str) -> str:
    clips = [
        Clip(Path(), "a", corpus, "en", "s1", 0, 1.0, "train", ""),
        Clip(Path(), "b", corpus, "en", "s2", 4, 1.0, "test", ""),
    ]
    return acoustic_card(clips, FIGURES, Calibration(), 5, (CLEAN, LINE), encoder=True)


def test_weights_from_research_corpora_say_so_first() -> None:
    first = card("ravdess").splitlines()[0]
    assert "CC BY-NC-SA 4.0" in first
    assert "research only" in first
    assert "| ravdess | en | 2 | 1 | 0 | 1 | CC BY-NC-SA 4.0 |" in card("ravdess")


def test_weights_from_own_calls_are_their_owners() -> None:
    text = card("own")
    assert not any(licence in text for licence in set(LICENCES.values()))
    assert "licence of these weights: that of the speech" in text.splitlines()[0].lower()


def test_how_to_retrain_and_the_figures_are_there() -> None:
    text = card("own")
    assert "voicebot train acoustic --data" in text
    assert "| own test | 0.812 | - | - | - | - | 40 |" in text
    assert "Seed 5." in text
