"""Text to token ids: a vocabulary that ships with the model, and two ways to read with it.

Text comes from :func:`voicebot.emotion.text_features.normalise`, in lower case and without
punctuation; so there is no need of a tokenising library, and no more than a file of pieces
beside the model.

* **WordPiece**, as BERT uses it: greedy longest match from the left.  A piece that continues a
  word is written with ``##`` in front.
* **Characters**, the space between words among them: for Chinese and Korean.

Source: Y. Wu et al., "Google's neural machine translation system", 2016, section 4.1 (as
reimplemented in J. Devlin et al., "BERT", NAACL 2019).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from voicebot.errors import ModelError

VOCABULARY_FILE: Final = "vocab.txt"
PAD, UNKNOWN, START, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
SPECIAL: Final = (PAD, UNKNOWN, START, END)
"""The first four lines of every vocabulary of ours, in this order."""
WORDPIECE, CHARACTERS = "wordpiece", "characters"
WAYS: Final = (WORDPIECE, CHARACTERS)
_MAX_WORD: Final = 40
_CONTINUES: Final = "##"

Ids = npt.NDArray[np.int64]


class Vocabulary:
    """A vocabulary and the way to use it; holds a bounded memory of words seen.

    Args:
        pieces: The vocabulary in the order of its ids; begins with :data:`SPECIAL`.
        way: One of :data:`WAYS`.
        max_tokens: Longest input of the model, with the two marks.

    Raises:
        ValueError: it begins otherwise, or a piece is there twice.
    """

    def __init__(self, pieces: Sequence[str], way: str = WORDPIECE, max_tokens: int = 48) -> None:
        if tuple(pieces[: len(SPECIAL)]) != SPECIAL:
            raise ValueError(f"a vocabulary begins with the lines {', '.join(SPECIAL)}")
        self._ids = {piece: index for index, piece in enumerate(pieces)}
        if len(self._ids) != len(pieces):
            raise ValueError("a piece is there twice")
        self.pieces = tuple(pieces)
        self.way = way
        self.max_tokens = max_tokens
        self._known: dict[str, tuple[int, ...]] = {}

    def ids(self, text: str) -> Ids:
        """Token ids of normalised text, between the marks of start and end.

        The beginning and the end of a long text are kept, half each: a caller says what it is
        about first, and what they think of it last.

        Args:
            text: Normalised.

        Returns:
            Shape ``(n,)``, 2 <= n <= ``max_tokens``.
        """
        if self.way == CHARACTERS:
            unknown = SPECIAL.index(UNKNOWN)
            found = [self._ids.get(character, unknown) for character in text]
        else:
            found = [i for word in text.split() for i in self._word(word)]
        room = self.max_tokens - 2
        if len(found) > room:
            head = room // 2
            found = [*found[:head], *found[head - room :]]
        return np.array([SPECIAL.index(START), *found, SPECIAL.index(END)], dtype=np.int64)

    def _word(self, word: str) -> tuple[int, ...]:
        """Ids of one word, remembered: few words make up most of speech."""
        known = self._known.get(word)
        if known is None:
            known = tuple(i for part in _apart(word) for i in self._match(part))
            if len(self._known) < 1 << 16:
                self._known[word] = known
        return known

    def _match(self, word: str) -> list[int]:
        """Longest pieces first, from the left; a word with a hole in it is unknown as a whole."""
        unknown = [SPECIAL.index(UNKNOWN)]
        if len(word) > _MAX_WORD:
            return unknown
        out: list[int] = []
        start = 0
        while start < len(word):
            prefix = _CONTINUES if start else ""
            for end in range(len(word), start, -1):
                if (index := self._ids.get(prefix + word[start:end])) is not None:
                    out.append(index)
                    start = end
                    break
            else:
                return unknown
        return out


def metadata(vocabulary: Vocabulary) -> dict[str, str]:
    """What a model has to say of its vocabulary, for :func:`load_vocabulary`."""
    return {
        "voicebot.vocabulary": hashlib.sha256(vocabulary_file(vocabulary)).hexdigest(),
        "voicebot.tokens": vocabulary.way,
        "voicebot.max_tokens": str(vocabulary.max_tokens),
    }


def load_vocabulary(folder: Path, found: Mapping[str, str], mend: str) -> Vocabulary:
    """Read and check the vocabulary in a model folder.

    Args:
        folder: The model's.
        found: The model's metadata.
        mend: What a user can do if it is no good.

    Raises:
        ModelError: it is missing, is not the model's own, or is no vocabulary.
    """
    path = folder / VOCABULARY_FILE
    try:
        blob = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{folder}: {VOCABULARY_FILE} is missing", mend) from None
    except OSError as err:
        raise ModelError(f"{path}: {err.strerror or err}", mend) from err
    if hashlib.sha256(blob).hexdigest() != found.get("voicebot.vocabulary"):
        raise ModelError(f"{path}: not the vocabulary of this model (checksum differs)", mend)
    way, longest = found.get("voicebot.tokens", ""), found.get("voicebot.max_tokens", "")
    if way not in WAYS or not longest.isascii() or not longest.isdigit() or int(longest) < 3:
        raise ModelError(f"{folder}: tokens {way!r} of at most {longest!r}: unknown", mend)
    try:
        return Vocabulary(blob.decode("utf-8").split("\n")[:-1], way, int(longest))
    except ValueError as err:  # UnicodeDecodeError is one
        raise ModelError(f"{path}: not a vocabulary: {err}", mend) from None


def vocabulary_file(vocabulary: Vocabulary) -> bytes:
    """Contents of :data:`VOCABULARY_FILE`."""
    return ("\n".join(vocabulary.pieces) + "\n").encode()


def _apart(word: str) -> list[str]:
    """Cut a word at apostrophes and around Chinese characters, as BERT's tokeniser does."""
    if word.isascii():
        if "'" not in word:
            return [word]
        return " ' ".join(word.split("'")).split()
    spaced = "".join(f" {c} " if "\u3400" <= c <= "\u9fff" or c == "'" else c for c in word)
    return spaced.split()
