"""Gender of speakers: stated, known, unknown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.corpus import COLUMNS, make_corpus, write_manifest
from voicebot.errors import ModelError
from voicebot.training.speakers import genders


def test_known_and_unknown(tmp_path: Path) -> None:
    data = make_corpus(tmp_path / "data", clips=1)
    names = ["ravdess:02", "ravdess:01", "nemo:        EB0", "nemo:        SM0", "urdu:SM4", "x"]
    assert list(genders(data, names).values()) == ["female", "male", "female", "", "", ""]


def test_a_column_of_the_manifest_comes_first(tmp_path: Path) -> None:
    data = make_corpus(tmp_path / "data", clips=1)
    row = ("aa_0_0.wav", "aa", "en", "ravdess:02", "angry", "1", "test", "")
    write_manifest(data, [(*row, "M")], (*COLUMNS, "gender"))
    assert genders(data, ["ravdess:02", "ravdess:04"]) == {
        "ravdess:02": "male", "ravdess:04": "female"
    }  # fmt: skip
    write_manifest(data, [(*row, "blue")], (*COLUMNS, "gender"))
    with pytest.raises(ModelError, match="manifest.csv:2: unknown gender 'blue'"):
        genders(data, [])
