"""Whose voice it is: gender of the speakers, where it is known.

A manifest may say so in a column ``gender`` (``female``, ``male``).  The shared
corpora do not, but most name it otherwise: RAVDESS gives women even numbers,
TESS and URDU put an F or M into the name.  Each of these was checked against
the median pitch of neutral and sad clips, and only what agrees is taken: women
lie at 177 Hz and above, men at 170 Hz and below.  A speaker is left out where
the two disagree or the pitch is in doubt (``nemo`` SM0, 138 Hz) or only raised
voices are there (most men of ``urdu``).  Speakers of ``ko`` and ``turev`` go by
pitch alone; it splits both into two groups far apart.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from voicebot.errors import ModelError

FEMALE: Final = "female"
MALE: Final = "male"
UNKNOWN: Final = ""
_KNOWN: Final = {
    "tess": {FEMALE: "OAF YAF"},
    "ravdess": {
        FEMALE: "02 04 06 08 10 12 14 16 18 20 22 24",
        MALE: "01 03 05 07 09 11 13 15 17 19 21 23",
    },
    "nemo": {FEMALE: "EB0 IC0 KD0", MALE: "KS0 MK0 MP0 TP0 WR0"},
    "turev": {FEMALE: "1234 1984 7895", MALE: "1157 1358 6783"},
    "ko": {FEMALE: "ema emb nea neb nec ned nee", MALE: "emf emg emh nek nel nem nen neo"},
    "urdu": {
        FEMALE: "SF1 SF2 SF3 SF4 SF5 SF6 SF7 SF8 SF9 SF10 SF11",
        MALE: "SM3 SM5 SM6 SM7 SM21 SM22 SM23 SM24 SM25 SM27",
    },
}
_NAMED: Final = {
    f"{corpus}:{speaker}": gender
    for corpus, genders in _KNOWN.items()
    for gender, speakers in genders.items()
    for speaker in speakers.split()
}
_WORDS: Final = {"f": FEMALE, FEMALE: FEMALE, "m": MALE, MALE: MALE, "": UNKNOWN}


def genders(data: Path, speakers: Iterable[str]) -> dict[str, str]:
    """Gender of each speaker: ``female``, ``male`` or empty where it is not known.

    Args:
        data: Has ``speech/manifest.csv``, whose column ``gender``, if there, comes first.
        speakers: As in the manifest.

    Raises:
        ModelError: the column holds another word.
    """
    path = data / "speech" / "manifest.csv"
    stated: dict[str, str] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            word = (row.get("gender") or "").strip().lower()
            if word not in _WORDS:
                raise ModelError(
                    f"{path}:{number}: unknown gender {word!r}", "use female, male or nothing"
                )
            if word:
                stated[row["speaker"]] = _WORDS[word]
    return {s: stated.get(s) or _NAMED.get(s.replace(" ", ""), UNKNOWN) for s in speakers}
