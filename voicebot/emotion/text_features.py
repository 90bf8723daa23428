"""Text to numbers: normalisation and hashed n-grams, the same in training and on a call.

A recogniser writes no punctuation and no capitals, may spell digits or not, and
(Vosk, Chinese) puts spaces between words.  :func:`normalise` brings typed corpora
and every recogniser's output to one form, so a model never sees a difference that
only comes from who did the writing.  :func:`features` then hashes word and
character n-grams into a fixed number of buckets ("hashing trick", Weinberger et
al. 2009), so that there is no vocabulary to ship and an unseen word still shares
its character n-grams with seen ones.
"""

from __future__ import annotations

import html
import re
import unicodedata
import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

FEATURE_SET: Final = "ngrams-1"
"""Name and version of :func:`normalise` and :func:`features`; raised when either changes."""
LANGUAGES: Final = ("en", "zh", "ko")
"""ISO 639-1 codes of the languages that can be normalised."""

BUCKET_BITS: Final = 20
BUCKETS: Final = 1 << BUCKET_BITS
"""Number of hash buckets, the rows of every text model."""

Ids = npt.NDArray[np.int64]
Weights = npt.NDArray[np.float32]

_FILLERS_EN: Final = """
um uh er erm ah oh eh hm hmm mm mhm huh yeah yep yes no nah ok okay right so well like
hello hi hey bye and but the a
"""
_FILLERS_KO: Final = "네 예 아 어 음 응 그 저 뭐 아니 아니요 아뇨 여보세요 그래 그래요 오 에"
FILLERS: Final = {
    "en": frozenset(_FILLERS_EN.split()),
    "zh": frozenset("嗯啊呃哦喔噢哎唉欸诶呀吧呢嘛好是的对行喂"),
    "ko": frozenset(_FILLERS_KO.split()),
}
"""Words (Chinese: characters) that say nothing of a mood by themselves."""


@dataclass(frozen=True, slots=True)
class NgramSpec:
    """Which n-grams a language is described by."""

    words: int
    """longest word n-gram; 0 for none"""
    characters: tuple[int, int]
    """shortest and longest character n-gram"""
    spaces: bool
    """whether character n-grams see the spaces between words"""

    @property
    def latin(self) -> bool:
        """Whether it is a language of letters rather than of syllables."""
        return self.spaces


SPECS: Final = {
    "en": NgramSpec(words=2, characters=(2, 5), spaces=True),
    "zh": NgramSpec(words=0, characters=(1, 4), spaces=False),
    "ko": NgramSpec(words=2, characters=(1, 4), spaces=False),
}

_MARKUP = re.compile(r"https?://\S+|\S+@\S+\.\w+|@[\w\-]+|\[[^\[\]\s]{1,8}\]|#")
_LAUGHTER = re.compile("[\u3130-\u318f\u1100-\u11ff]+")  # lone jamo: typed, never spoken
_APOSTROPHE = re.compile("[\u2018\u2019\u02bc`\u00b4]")
_EDGE_APOSTROPHE = re.compile(r"(?<!\w)'+|'+(?!\w)")
_DIGIT_LETTER = re.compile(r"(?<=\d)(?=[^\W\d])|(?<=[^\W\d])(?=\d)")
_LONG_RUN = re.compile(r"(\w)\1{2,}")
_NUMBER_GAP = re.compile(r"(?<=\d),(?=\d{3})")
_NUMBERS: Final = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety
hundred thousand million billion
"""
_NUMBER_WORDS: Final = frozenset(_NUMBERS.split())
_NUMERALS: Final = {
    "zh": ("零一二三四五六七八九", "十百千万"),
    "ko": ("영일이삼사오육칠팔구", "십백천만"),
}


def normalise(text: str, language: str) -> str:
    """Bring text to the form that a recogniser would have written.

    Lower case, no punctuation, emoji, links or handles, single spaces, letters
    drawn out ("sooo") shortened.  Numbers become one mark in English (``0``;
    "three", "21" and "twenty one" are the same word, a lone "one" stays) and
    numerals in Chinese and Korean.  Spaces go in Chinese but between two words
    in Latin script.  Korean laughter and tears typed as lone jamo go.

    Args:
        text: Typed or recognised text.
        language: One of :data:`LANGUAGES`.

    Returns:
        Normalised text, perhaps empty.  ``normalise(normalise(x)) == normalise(x)``.

    Raises:
        KeyError: unknown language.
    """
    spec = SPECS[language]
    if not text.isascii() or "&" in text:
        text = unicodedata.normalize("NFKC", html.unescape(text))
    text = _MARKUP.sub(" ", _APOSTROPHE.sub("'", text)).lower()
    if not text.isascii():  # lower() can leave a combining mark behind, which NFKC may reorder
        text = unicodedata.normalize("NFKC", text)
    if language == "ko":
        text = _LAUGHTER.sub(" ", text)
    text = _NUMBER_GAP.sub("", text)
    text = "".join(c if c.isalnum() or c == "'" else " " for c in text)
    text = _EDGE_APOSTROPHE.sub(" ", text)
    if language == "en":
        return " ".join(_english_numbers(_shorten(text, language)).split())
    words = _spell(text, language).split()
    joined = _join_chinese(words) if spec.words == 0 else " ".join(words)
    # Last, for numerals ("000") and what stands together only now can be drawn out or combine, too.
    return _shorten(unicodedata.normalize("NFKC", joined), language)


def _shorten(text: str, language: str) -> str:
    """Shorten what is drawn out: to one letter in Latin script, to two characters elsewhere."""

    def shorter(match: re.Match[str]) -> str:
        char = match.group(1)
        if char.isdigit():
            return match.group()
        return char if char.isascii() else char * 2

    text = _LONG_RUN.sub(shorter, text)
    return text


def _english_numbers(text: str) -> str:
    """Replace every run of numbers, in digits or words, by ``0``; a lone "1" by "one"."""
    out: list[str] = []
    run: list[str] = []
    for word in [*_DIGIT_LETTER.sub(" ", text).split(), ""]:
        if word in _NUMBER_WORDS or (word and all(c.isdigit() for c in word)):
            run.append(word)
            continue
        if run:
            out.append("one" if run in (["one"], ["1"]) else "0")
            run = []
        out.append(word)
    return " ".join(out)


def _spell(text: str, language: str) -> str:
    """Spell digits as they are read aloud in Chinese or (Sino-)Korean."""
    return re.sub(r"\d+", lambda match: _numeral(match.group(), language), text)


def _numeral(digits: str, language: str) -> str:
    """Read a number below 100,000 as such, a longer one digit by digit."""
    names, units = _NUMERALS[language]
    values = [int(d) for d in digits]
    if len(values) > 5 or values[0] == 0:
        return "".join(names[v] for v in values)
    out, gap = "", False
    for place, value in zip(range(len(values) - 1, -1, -1), values, strict=True):
        if value == 0:
            gap = language == "zh"
            continue
        if gap and out:
            out, gap = out + names[0], False
        silent_one = value == 1 and place > 0 and (language == "ko" or (not out and place == 1))
        out += ("" if silent_one else names[value]) + (units[place - 1] if place else "")
    return out


def _join_chinese(words: list[str]) -> str:
    """Join words without spaces, but for two neighbours in Latin script."""
    out = ""
    for word in words:
        latin = bool(out) and out[-1].isascii() and word[0].isascii()
        out += f" {word}" if latin else word
    return out


def content_length(text: str, language: str) -> int:
    """Count what can carry a mood: characters of normalised text that are not fillers.

    Args:
        text: Normalised text.
        language: One of :data:`LANGUAGES`.

    Returns:
        Number of letters (English), syllables (Korean) or characters (Chinese).
    """
    fillers = FILLERS[language]
    parts = text if SPECS[language].words == 0 else text.split()
    return sum(len(part) for part in parts if part not in fillers and not part.isspace())


def features(text: str, language: str) -> tuple[Ids, Weights]:
    """Hash the n-grams of normalised text.

    Word and character n-grams are two blocks, each of Euclidean length one
    (so a long text and its many character n-grams drown nothing); within a block
    the weight of an n-gram is ``1 + ln(count)``.

    Args:
        text: Normalised text, see :func:`normalise`.
        language: One of :data:`LANGUAGES`.

    Returns:
        Bucket ids, shape ``(n,)``, each below :data:`BUCKETS`, and their weights,
        shape ``(n,)``.  Text without any n-gram gives ``n == 0``.
    """
    spec = SPECS[language]
    blocks = [_block(_character_hashes(text, spec))]
    if spec.words:
        blocks.append(_block(_word_hashes(text, spec.words)))
    ids = np.concatenate([b[0] for b in blocks])
    weights = np.concatenate([b[1] for b in blocks])
    return ids, weights


def _block(hashes: npt.NDArray[np.uint64]) -> tuple[Ids, Weights]:
    """Count buckets and bring their weights to length one."""
    ids, counts = np.unique(hashes, return_counts=True)
    weights = 1.0 + np.log(counts)
    if len(weights):
        weights /= np.sqrt(np.square(weights).sum())
    return ids.astype(np.int64), weights.astype(np.float32)


def _word_hashes(text: str, longest: int) -> npt.NDArray[np.uint64]:
    """Hash word n-grams by CRC-32, which is the same on every machine."""
    words = text.split()
    grams = [
        zlib.crc32(" ".join(words[i : i + n]).encode(), n)
        for n in range(1, longest + 1)
        for i in range(len(words) - n + 1)
    ]
    return _bucket(np.array(grams, dtype=np.uint64))


_PRIME: Final = np.uint64(0x100000001B3)  # of FNV-1a, 64 bits
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio (Knuth's multiplicative hash)
_HALF: Final = np.uint64(32)
_SHIFT: Final = np.uint64(64 - BUCKET_BITS)


def _bucket(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Map hashes to buckets by multiply and shift."""
    mixed: npt.NDArray[np.uint64] = ((hashes ^ (hashes >> _HALF)) * _MIX) >> _SHIFT
    return mixed


def _character_hashes(text: str, spec: NgramSpec) -> npt.NDArray[np.uint64]:
    """Hash all character n-grams by one rolling polynomial, whole text at a time."""
    if not text:
        return np.zeros(0, dtype=np.uint64)
    padded = f" {text} " if spec.spaces else "".join(text.split())
    raw = np.frombuffer(padded.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    shortest, longest = spec.characters
    rolling, out = raw, []
    for n in range(1, longest + 1):
        if n > 1:
            if len(rolling) < 2:
                break
            rolling = rolling[:-1] * _PRIME + raw[n - 1 :]
        if n >= shortest:
            out.append(_bucket(rolling * _PRIME + np.uint64(n)))
    return np.concatenate(out) if out else np.zeros(0, dtype=np.uint64)
