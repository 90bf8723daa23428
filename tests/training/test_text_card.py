"""The card says first which licence governs, and how to retrain."""

from __future__ import annotations

import pytest

from voicebot.emotion.calibration import Calibration
from voicebot.training.text import Row
from voicebot.training.text_card import text_card
from voicebot.training.text_corpora import CORPORA, Example


@pytest.mark.parametrize(
    ("language", "verdict"),
    [("en", "non-commercial use only"), ("zh", "research use only"), ("ko", "research use only")],
)
def test_first_lines(language: str, verdict: str) -> None:
    corpora = [c for c in CORPORA if c.language == language]
    examples = {c.name: [Example("x", c.name, "train", 0.0, None)] for c in corpora}
    row = Row(language, corpora[0].name, "test", 10, 0.25, 0.912, 0.5, 0.4, 0.03, 0.3)
    card = text_card(language, corpora, examples, [row], Calibration(data="toys"))
    first = card.splitlines()[:5]
    assert verdict in first[0]
    assert any("voicebot train text --data" in line for line in first)
    for corpus in corpora:
        assert corpus.licence in first[1] and corpus.name in first[1]
    assert ("GPL" in first[0]) == (language == "en")
    assert f"| {corpora[0].name} | 10 | 0.250 | 0.912 | 0.500 | 0.400 | 0.030 |" in card
    assert "Fitted on toys." in card
