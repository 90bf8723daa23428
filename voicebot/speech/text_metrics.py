"""Word and character error rates.

The error rate is the least number of substitutions, insertions and deletions
that turn what was recognised into what was said, over the length of what was
said (Levenshtein 1966; the measure of every NIST speech evaluation).  It can
exceed one.  Case, punctuation and, for characters, spaces do not count.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

_Split = Callable[[str], list[str]]

UNSPACED_LANGUAGES = frozenset({"ja", "ko", "th", "zh"})
"""Languages scored by character: words are not separated, or (Korean) not reliably."""


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """Errors over length; add them up and divide last, so that long texts weigh more."""

    errors: int
    length: int
    """units in the references"""

    @property
    def rate(self) -> float:
        """Errors per unit; 0 for an empty reference without errors, else 1."""
        if self.length == 0:
            return float(self.errors > 0)
        return self.errors / self.length

    def __add__(self, other: ErrorRate) -> ErrorRate:
        return ErrorRate(self.errors + other.errors, self.length + other.length)


def edit_distance(said: Sequence[str], heard: Sequence[str]) -> int:
    """Least number of substitutions, insertions and deletions between two sequences."""
    above = list(range(len(heard) + 1))
    for i, unit in enumerate(said, 1):
        row = [i]
        for j, other in enumerate(heard, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (unit != other)))
        above = row
    return above[-1]


def words(text: str) -> list[str]:
    """Lower-case words without punctuation; ``ill-disposed`` is two, ``don't`` is one."""
    kept = re.sub(r"[^\w']|_", " ", unicodedata.normalize("NFKC", text).lower().replace("’", "'"))
    return [word for raw in kept.split() if (word := raw.strip("'"))]


def characters(text: str) -> list[str]:
    """Letters and digits one by one, lower case, without spaces and punctuation."""
    return list(re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", text).lower()))


def word_error_rate(pairs: Iterable[tuple[str, str]]) -> ErrorRate:
    """Word error rate over pairs of (said, heard)."""
    return _over(pairs, words)


def character_error_rate(pairs: Iterable[tuple[str, str]]) -> ErrorRate:
    """Character error rate over pairs of (said, heard)."""
    return _over(pairs, characters)


def error_rate(language: str, pairs: Iterable[tuple[str, str]]) -> ErrorRate:
    """The measure that suits a language: characters for :data:`UNSPACED_LANGUAGES`, else words."""
    return _over(pairs, characters if language in UNSPACED_LANGUAGES else words)


def _over(pairs: Iterable[tuple[str, str]], split: _Split) -> ErrorRate:
    total = ErrorRate(0, 0)
    for said, heard in pairs:
        reference = split(said)
        total += ErrorRate(edit_distance(reference, split(heard)), len(reference))
    return total
