"""The card says what governs the weights, in its first lines, and nothing that is not so."""

from __future__ import annotations

from pathlib import Path

from voicebot.emotion.calibration import Calibration
from voicebot.training.augmentation import CLEAN, LINE
from voicebot.training.card import acoustic_card
from voicebot.training.licences import KNOWN
from voicebot.training.speech_corpora import Clip

FIGURES = {"own test": {"auc": 0.8125, "n": 40.0}, "own unseen": {"auc": 0.7}}


def card(corpus: str, data: Path = Path("/nowhere")) -> str:
    speech = data / "speech"
    clips = [
        Clip(speech / "a.wav", "a.wav", corpus, "en", "s1", 0, 1.0, "train", ""),
        Clip(speech / "b.wav", "b.wav", corpus, "en", "s2", 4, 1.0, "test", ""),
    ]
    return acoustic_card(clips, FIGURES, Calibration(), 5, (CLEAN, LINE), encoder=True)


def test_weights_from_research_corpora_say_so_first() -> None:
    first = card("ravdess").splitlines()[0]
    assert "CC BY-NC-SA 4.0" in first
    assert "research only" in first
    assert "| ravdess | en | 2 | 1 | 0 | 1 | CC BY-NC-SA 4.0 |" in card("ravdess")


def test_weights_from_own_calls_are_their_owners() -> None:
    text = card("own")
    assert not any(licence in text for licence in set(KNOWN.values()))
    assert "licence of these weights: that of the speech" in text.splitlines()[0].lower()


def test_what_the_data_folder_says_goes_before_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "speech").mkdir()
    (tmp_path / "speech" / "licences.csv").write_text(
        "corpus,licence\nown,internal use\nravdess,bought for our use\n"
    )
    assert "| own | en | 2 | 1 | 0 | 1 | internal use |" in card("own", tmp_path)
    bought = card("ravdess", tmp_path)
    assert "| ravdess | en | 2 | 1 | 0 | 1 | bought for our use |" in bought
    assert "CC BY-NC-SA" not in bought
    assert "research only" in card("urdu", tmp_path).splitlines()[0]


def test_how_to_retrain_and_the_figures_are_there() -> None:
    text = card("own")
    assert "voicebot train acoustic --data" in text
    assert "| own test | 0.812 | - | - | - | - | 40 |" in text
    assert "Seed 5." in text
