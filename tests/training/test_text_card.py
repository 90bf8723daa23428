"""The card says first which licence governs, and how to retrain."""

from __future__ import annotations

import pytest

from voicebot.emotion.calibration import Calibration
from voicebot.training.text_card import CardParts, text_card
from voicebot.training.text_corpora import CORPORA, Example
from voicebot.training.text_rows import Row


@pytest.mark.parametrize(
    ("language", "verdict"),
    [("en", "non-commercial use only"), ("zh", "research use only"), ("ko", "research use only")],
)
def test_first_lines(language: str, verdict: str) -> None:
    corpora = [c for c in CORPORA if c.language == language]
    examples = {c.name: [Example("x", c.name, "train", 0.0, None)] for c in corpora}
    row = Row(language, corpora[0].name, "test", 10, 0.25, 0.912, 0.5, 0.4, 0.03, 0.3)
    unseen = Row(language, "elsewhere", "test", 20, 0.5, 0.812, 0.8, 0.7, 0.02)
    parts = CardParts([row], [unseen], {"both": [row]}, Calibration(data="toys"), 7)
    card = text_card(language, corpora, examples, parts)
    first = card.splitlines()[:5]
    assert verdict in first[0]
    assert any("voicebot train text --data" in line for line in first)
    for corpus in corpora:  # what only serves to test does not govern the weights
        assert (corpus.name in first[1]) == (corpus.weight > 0)
    assert "GPL" not in first[0] + first[1]
    assert ("not trained on" in card) == (language == "en")
    assert "| elsewhere (never seen) | 20 |" in card and "Seed 7." in card
    assert f"| both | {corpora[0].name} | 0.912 | 0.500 | 0.030 |" in card
    assert f"| {corpora[0].name} | 10 | 0.250 | 0.912 | 0.500 | 0.400 | 0.030 |" in card
    assert "Fitted on toys." in card
