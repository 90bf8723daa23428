"""What a model's card must tell, and the one figure that is read from it.

A card is for people, so it is asked for what it tells and not for exact
headings (after M. Mitchell et al., "Model cards for model reporting", FAT* 2019).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from voicebot.emotion.onnx_model import CARD_FILE
from voicebot.errors import ModelError

_SECTIONS: Final = {
    "licence": r"licen[cs]e",
    "data": r"^#+ .*\bdata\b",
    "splits": r"\b(test|held[ -]out|unseen)\b",
    "figures by group": r"^#+ .*\b(figures|metrics|results|performance)\b",
    "limits": r"^#+ .*\blimit(s|ations)\b",
    "intended use": r"\bintended\b|\bmeant for\b",
    "how to retrain": r"\bretrain|\bvoicebot train\b",
}
"""What a card has to tell to the pattern that finds it."""
_AUC: Final = "auc"
_PREFERRED: Final = ("mean unseen", "mean test", "mean", "all")
"""Rows that stand for the whole table, the most honest first."""


def read_card(folder: Path) -> str:
    """The card of a model folder, Markdown.

    Raises:
        ModelError: it cannot be read.
    """
    path = folder / CARD_FILE
    try:
        return path.read_text(encoding="utf-8")
    except OSError as err:
        raise ModelError(f"{path}: {err.strerror or err}", "restore the folder") from None
    except UnicodeDecodeError:
        raise ModelError(f"{path}: not UTF-8 text", "restore the folder") from None


def missing_sections(card: str) -> list[str]:
    """What the card does not tell, of: licence, data, splits, figures, limits, use, retraining."""
    return [
        name
        for name, pattern in _SECTIONS.items()
        if not re.search(pattern, card, re.IGNORECASE | re.MULTILINE)
    ]


def headline_auc(card: str) -> float | None:
    """The area under the curve that a list of models shows.

    Of the first table with a column "AUC" the row "mean unseen", else "mean test", else the mean
    of its rows; None if there is no such table.
    """
    for heads, rows in _tables(card):
        if _AUC not in heads:
            continue
        column = heads.index(_AUC)
        values: dict[str, float] = {}
        for row in rows:
            try:
                values[row[0].lower()] = float(row[column])
            except (ValueError, IndexError):
                continue  # "-": not measured for this row
        for name in _PREFERRED:
            if name in values:
                return values[name]
        if values:
            return sum(values.values()) / len(values)
    return None


def _tables(card: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    """The Markdown tables of a card: lower-case headings, and rows of cells."""
    lines = card.splitlines()
    for at, line in enumerate(lines[1:], start=1):
        if not re.fullmatch(r"\s*\|?[\s:|-]*-[\s:|-]*\|[\s:|-]*", line) or "|" not in lines[at - 1]:
            continue
        rows = []
        for below in lines[at + 1 :]:
            if "|" not in below:
                break
            rows.append(_cells(below))
        yield [cell.lower() for cell in _cells(lines[at - 1])], rows


def _cells(line: str) -> list[str]:
    return [cell.strip(" *") for cell in line.strip().strip("|").split("|")]
