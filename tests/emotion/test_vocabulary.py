"""Tokens are found as BERT finds them; a vocabulary belongs to one model."""

from __future__ import annotations

from pathlib import Path

import pytest

from voicebot.emotion.vocabulary import (
    CHARACTERS,
    SPECIAL,
    VOCABULARY_FILE,
    Vocabulary,
    load_vocabulary,
    metadata,
    vocabulary_file,
)
from voicebot.errors import ModelError

PIECES = [*SPECIAL, "un", "##like", "##ly", "like", "'", "don", "t", "0", "好", "##好", "a"]


def read(vocabulary: Vocabulary, text: str) -> list[str]:
    return [vocabulary.pieces[i] for i in vocabulary.ids(text)[1:-1]]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("unlikely", ["un", "##like", "##ly"]),
        ("like un", ["like", "un"]),
        ("don't", ["don", "'", "t"]),
        ("unlikelyx a", ["[UNK]", "a"]),  # a hole makes the whole word unknown
        ("好好 a好", ["好", "好", "a", "好"]),  # every Chinese character is a word
        ("x" * 50, ["[UNK]"]),
        ("", []),
    ],
)
def test_longest_match_from_the_left(text: str, pieces: list[str]) -> None:
    vocabulary = Vocabulary(PIECES)
    assert read(vocabulary, text) == pieces
    assert read(vocabulary, text) == pieces  # from memory
    ids = vocabulary.ids(text)
    assert (ids[0], ids[-1]) == (SPECIAL.index("[CLS]"), SPECIAL.index("[SEP]"))


def test_the_middle_of_a_long_text_is_left_out() -> None:
    vocabulary = Vocabulary([*SPECIAL, *(f"w{i}" for i in range(9))], max_tokens=7)
    assert read(vocabulary, " ".join(f"w{i}" for i in range(9))) == ["w0", "w1", "w6", "w7", "w8"]
    assert len(vocabulary.ids("w1 " * 3000)) == 7


def test_characters_and_the_space_between_words() -> None:
    vocabulary = Vocabulary([*SPECIAL, " ", "네", "요"], CHARACTERS)
    assert read(vocabulary, "네 요x") == ["네", " ", "요", "[UNK]"]


@pytest.mark.parametrize("pieces", [["a", *SPECIAL], [*SPECIAL, "a", "a"], []])
def test_no_vocabulary(pieces: list[str]) -> None:
    with pytest.raises(ValueError, match="vocabulary begins|twice"):
        Vocabulary(pieces)


@pytest.mark.parametrize("way", ["wordpiece", CHARACTERS])
def test_written_and_read_again(tmp_path: Path, way: str) -> None:
    vocabulary = Vocabulary([*SPECIAL, " ", "a", "요"], way, 33)
    (tmp_path / VOCABULARY_FILE).write_bytes(vocabulary_file(vocabulary))
    found = load_vocabulary(tmp_path, metadata(vocabulary), "mend")
    assert (found.pieces, found.way, found.max_tokens) == (vocabulary.pieces, way, 33)


def test_missing_and_foreign_vocabularies_are_named(tmp_path: Path) -> None:
    vocabulary = Vocabulary([*SPECIAL, "a"])
    with pytest.raises(ModelError, match=r"vocab\.txt is missing \(mend\)"):
        load_vocabulary(tmp_path, metadata(vocabulary), "mend")
    (tmp_path / VOCABULARY_FILE).write_bytes(vocabulary_file(Vocabulary([*SPECIAL, "b"])))
    with pytest.raises(ModelError, match="checksum differs"):
        load_vocabulary(tmp_path, metadata(vocabulary), "mend")
    (tmp_path / VOCABULARY_FILE).write_bytes(vocabulary_file(vocabulary))
    for name, value in (("tokens", "sentences"), ("max_tokens", "many"), ("max_tokens", "2")):
        wrong = {**metadata(vocabulary), f"voicebot.{name}": value}
        with pytest.raises(ModelError, match="unknown"):
            load_vocabulary(tmp_path, wrong, "mend")
