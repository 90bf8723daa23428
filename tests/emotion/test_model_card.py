"""What a card has to tell, and the figure that is read from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from voicebot.emotion.model_card import headline_auc, missing_sections, read_card
from voicebot.emotion.onnx_model import models_dir
from voicebot.errors import ModelError

CARD = """\
**Licence: CC BY 4.0.** Retrain with `voicebot train text`.

# A model

## Data

| corpus | train | test |
|---|---|---|
| a | 10 | 5 |

## Figures (test splits)

| corpus | n | AUC | AP |
|---|:--|---|---|
| a | 5 | 0.80 | 0.5 |
| b | 5 | 0.90 | - |
| c | 5 | - | - |

## Limits

It knows little.

## Intended use

Helping.
"""


@pytest.mark.parametrize("name", ["acoustic", "text-en", "text-ko", "text-zh"])
def test_the_shipped_cards_tell_everything(name: str) -> None:
    card = read_card(models_dir() / name)
    assert missing_sections(card) == []
    auc = headline_auc(card)
    assert auc is not None
    assert 0.5 < auc < 1.0


@pytest.mark.parametrize(
    ("words", "missing"),
    [("Licence", "licence"), ("## Data", "data"), ("## Figures (test splits)", "figures by group"),
     ("## Limits", "limits"), ("## Intended use", "intended use")],
)  # fmt: skip
def test_what_is_missing_is_named(words: str, missing: str) -> None:
    assert missing_sections(CARD) == []
    assert missing in missing_sections(CARD.replace(words, ""))


def test_without_a_way_to_retrain_or_a_split() -> None:
    card = CARD.replace("Retrain with `voicebot train text`.", "").replace("test", "x")
    assert missing_sections(card) == ["splits", "how to retrain"]


def test_the_headline_is_the_mean_of_the_rows_or_the_row_that_stands_for_them() -> None:
    assert headline_auc(CARD) == pytest.approx(0.85)
    unseen = CARD.replace("| b |", "| **mean unseen** |")
    assert headline_auc(unseen) == pytest.approx(0.90)
    assert headline_auc("# no table\n") is None
    assert headline_auc("| AUC |\n|---|\n| - |\n") is None


def test_a_card_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"card\.md"):
        read_card(tmp_path)
    (tmp_path / "card.md").write_bytes(b"\xff\xff")
    with pytest.raises(ModelError, match="not UTF-8"):
        read_card(tmp_path)
