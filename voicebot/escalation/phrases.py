"""Finding phrases in the words of a recogniser.

Such text has no capitals, no punctuation, and spaces where the engine likes
them.  So text and patterns meet in one normal form, in which

* letters are case-folded and compatibility forms folded (NFKC), apostrophes
  removed (``don't`` is ``dont``) and all other punctuation is a space;
* languages written with spaces are matched by whole words;
* Chinese, Japanese and Korean are matched with all spaces removed, since a
  recogniser puts them anywhere (``상담 원 좀 바꿔 주 세요``); in Korean a match has
  to begin where some word begins, or ``최고 소식`` would threaten to sue (``고소``).

Patterns are RE2 expressions (linear time, so no pattern can hang a call), hence
without look-around and back-references.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import re2

from voicebot.events import Final, Word
from voicebot.params import Params, key

UNSPACED = frozenset({"zh", "yue", "ja", "ko"})
"""Languages matched with spaces removed."""
_WORD_START = frozenset({"ko"})
"""Of these, the languages in which a match has to begin with a word."""
_MAX_CHARACTERS = 4000
"""Longer texts are cut; an utterance of a minute has about a thousand."""
_APOSTROPHES = "'’‘`´"


class Phrases(Params):
    """What a rule looks for in one language."""

    patterns: list[str] = key(
        [], "RE2 expressions, one phrase or family of phrases each; case, apostrophes and "
        "punctuation do not matter, nor do spaces in zh, ja and ko.",
    )  # fmt: skip
    negated_before: list[str] = key(
        [], "RE2 expressions that void a match if they stand right before it ('do not want to')."
    )
    negated_after: list[str] = key(
        [], "RE2 expressions that void a match if they stand right after it ('필요 없어요')."
    )
    negation_window: int = key(
        0, "How much may stand between a negation and the match: words, or characters in zh, ja "
        "and ko.", ge=0, le=20,
    )  # fmt: skip


def normalise(text: str) -> str:
    """Bring a text into the form in which it is matched; spaces are kept, one at a time.

    Example:
        >>> normalise("Don’t you DARE, [60] times!")
        'dont you dare 60 times'
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    folded = "".join(c for c in folded if c not in _APOSTROPHES)
    spaced = "".join(c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in folded)
    return " ".join(spaced.split())


@dataclass(frozen=True, slots=True)
class Spoken:
    """An utterance in normal form, with what is known of each of its words."""

    language: str
    """ISO 639-1, without region"""
    text: str
    """spaced languages: ' one two '; others: without spaces"""
    word_of: tuple[int, ...]
    """for each character of ``text``, the number of its word"""
    words: tuple[Word, ...]
    """in normal form"""

    @classmethod
    def of(cls, final: Final) -> Spoken:
        """Bring a finished utterance into normal form.

        Where the words do not make up the text (a second pass replaced it, or
        the engine gives none), each word of the text gets the times and the
        confidence of the utterance.
        """
        language = final.language.lower().replace("_", "-").partition("-")[0]
        whole = normalise(final.text[:_MAX_CHARACTERS])
        words = [replace(word, text=normalise(word.text)) for word in final.words]
        known = "".join(word.text for word in words).replace(" ", "")
        if known != whole.replace(" ", ""):
            words = [Word(w, final.start, final.end, final.confidence) for w in whole.split()]
        unspaced = language in UNSPACED
        text = "" if unspaced else " "
        word_of = [0] * len(text)
        for number, word in enumerate(words):
            piece = word.text.replace(" ", "") if unspaced else f"{word.text} "
            text += piece
            word_of += [number] * len(piece)
        return cls(language, text, tuple(word_of), tuple(words))

    def between(self, start: int, end: int) -> tuple[Word, ...]:
        """The words of which ``text[start:end]`` is made."""
        return self.words[self.word_of[start] : self.word_of[end - 1] + 1]

    def begins_word(self, position: int) -> bool:
        """Whether a word begins at this character."""
        return position == 0 or self.word_of[position] != self.word_of[position - 1]


class _Match(Protocol):
    def span(self, group: int = 0) -> tuple[int, int]: ...


class _Pattern(Protocol):
    def search(self, text: str, pos: int = 0) -> _Match | None: ...


class PhraseFinder:
    """The phrases of one rule in one language, ready to be looked for.

    Args:
        rule: Name of the rule, for errors.
        language: ISO 639-1.
        phrases: What to look for.

    Raises:
        ValueError: a pattern is not RE2 or matches the empty text; the message
            names the rule and the pattern.
    """

    def __init__(self, rule: str, language: str, phrases: Phrases) -> None:
        window = f"{{0,{phrases.negation_window}}}"
        if language in UNSPACED:
            whole, before, after = ("(", ")"), ("(?:", f").{window}$"), (f"^.{window}(?:", ")")
        else:
            whole = (" (", ") ")
            before = ("(?:^| )(?:", f")(?: [^ ]+){window}$")
            after = (f"^(?:[^ ]+ ){window}(?:", ")(?: |$)")

        def compiled(patterns: Sequence[str], frame: tuple[str, str]) -> tuple[_Pattern, ...]:
            return tuple(_compile(rule, language, pattern, frame) for pattern in patterns)

        self._language = language
        self._patterns = compiled(phrases.patterns, whole)
        self._before = compiled(phrases.negated_before, before)
        self._after = compiled(phrases.negated_after, after)

    def find(self, spoken: Spoken) -> Iterator[tuple[int, int]]:
        """Where ``spoken.text`` holds a phrase that is not negated: start and end."""
        text = spoken.text
        for pattern in self._patterns:
            position = 0
            while (match := pattern.search(text, position)) is not None:
                start, end = match.span(1)
                position = start + (self._language in UNSPACED)
                if self._language in _WORD_START and not spoken.begins_word(start):
                    continue
                if not self._negated(text[:start].strip(), text[end:].strip()):
                    yield start, end

    def _negated(self, before: str, after: str) -> bool:
        return any(p.search(before) for p in self._before) or any(
            p.search(after) for p in self._after
        )


def _compile(name: str, language: str, pattern: str, frame: tuple[str, str]) -> _Pattern:
    """Compile one pattern in normal form.

    Raises:
        ValueError: naming the rule and the pattern.
    """
    where = f"rule {name}, {language}: pattern {pattern!r}"
    options = re2.Options()
    options.log_errors = False
    normal = _normal_pattern(pattern, language)
    try:
        alone = re2.compile(normal, options)
        framed: _Pattern = re2.compile(frame[0] + normal + frame[1], options)
    except re2.error as err:
        reason = err.args[0] if err.args else err
        reason = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"{where}: {reason} (RE2 syntax, no look-around)") from None
    if alone.fullmatch("") is not None:
        raise ValueError(f"{where}: matches the empty text, so it would always fire")
    return framed


def _normal_pattern(pattern: str, language: str) -> str:
    """Fold case, and drop apostrophes and needless spaces, outside of escapes."""
    parts = re.split(r"(\\[pP]\{[^}]*\}|\\[pP].|\\.)", unicodedata.normalize("NFC", pattern))
    for i in range(0, len(parts), 2):
        folded = "".join(c for c in parts[i].casefold() if c not in _APOSTROPHES)
        parts[i] = "".join(folded.split()) if language in UNSPACED else folded
    return "".join(parts)
