"""What may be done with each corpus: what its folder says of it, else what is known of public ones.

This is the one place that is asked; ``voicebot corpora list`` and the cards of models tell it.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Final

from voicebot.errors import ModelError
from voicebot.training.speech_corpora import Clip

LICENCE_FILE: Final = "licences.csv"
"""Below ``speech/``: columns ``corpus,licence``; it goes before :data:`KNOWN`."""
KNOWN: Final = {
    "ravdess": "CC BY-NC-SA 4.0",
    "tess": "CC BY-NC-ND 4.0",
    "nemo": "CC BY-NC-SA 4.0",
    "turev": "CC BY-NC-ND 4.0",
    "ko": "research only (emotiontts_open_db)",
    "urdu": "research only",
}
"""Licences of public corpora, all of which forbid commercial use."""
UNKNOWN: Final = "see its owner"


def read_licences(data: Path) -> dict[str, str]:
    """Licences that the data folder itself states; empty if it states none.

    Raises:
        ModelError: the list cannot be read.
    """
    path = data / "speech" / LICENCE_FILE
    if not path.exists():
        return {}
    mend = "make its first row corpus,licence and give each corpus one row"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {row["corpus"]: row["licence"] for row in csv.DictReader(file)}
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as err:
        raise ModelError(f"{path}: cannot be read: {err}", mend) from None


def licences_of(clips: Sequence[Clip]) -> dict[str, str]:
    """The licence of every corpus that there are clips of, in the order of their names.

    Args:
        clips: From the manifest of one data folder.

    Raises:
        ModelError: the folder's list cannot be read.
    """
    stated: dict[str, str] = {}
    if clips:
        first = clips[0]
        stated = read_licences(first.path.parents[len(PurePath(first.file).parts)])
    return {
        name: stated.get(name, KNOWN.get(name, UNKNOWN))
        for name in sorted({c.corpus for c in clips})
    }
