"""What the corpora lack and a service call has: denials, and politeness in anger.

The rules know grammar only, no word of emotion: which words make a text angry is left to
the corpora.

* **Denials.** "I am not angry" hardly occurs in posts, so a sum of n-grams reads "not"
  and "angry" as two pieces of bad news.  From angry texts with a predicate of the first
  person (English) or behind an adverb of degree (Chinese), the denied predicate alone is
  taken as a calm text, if the corpora know its word from angry texts above all.
* **Politeness (Korean).** In drama and posts those who speak politely are calm; on a
  service line nearly everybody ends a sentence with the particle "yo", furious or not.
  Each text is repeated in the other form, where adding or dropping the particle makes one.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from voicebot.emotion.text_features import SPECS, normalise
from voicebot.training.text_corpora import Example, shares

DROP, REPLACE = 0.07, 0.05
"""Shares of words that a recogniser is taken to lose and to mistake, for calibration."""

_PREDICATE_EN: Final = re.compile(
    r"\b(i|we)( am|'m| was|'re| are| were)"
    r"( so| very| really| pretty| quite| just| still| extremely| that)? ([a-z]+)\b"
)
_PREDICATE_ZH: Final = re.compile("(?:很|好|太|真的|真|非常|有点|特别|超级|超|十分|这么)+(\\w\\w)")
_DENIALS_ZH: Final = ("我不{}", "我没有{}", "我没{}", "我并不{}", "不是{}")
_MIN_TEXTS: Final = 8
_MIN_ANGRY: Final = 0.45
# Plain speech becomes polite by the particle alone where it ends in an open syllable with one
# of these vowels (a, ae, eo, e, yeo, wa, wae, wo, as indices in the Unicode block) ...
_OPEN_VOWELS_KO: Final = frozenset({0, 1, 4, 5, 6, 9, 10, 14})
# ... but for these, which are sentence endings of their own, or in one of those.
_NEVER_KO: Final = "다까자라냐"
_ALSO_KO: Final = ("지", "고", "군", "거든")
_FIRST_SYLLABLE: Final = 0xAC00
_LAST_SYLLABLE: Final = 0xD7A3


def augment(examples: Iterable[Example], language: str) -> Iterator[Example]:
    """Examples to add to training; the originals are not among them.

    Args:
        examples: Of the train split.
        language: ISO 639-1.
    """
    if language == "ko":
        for example in examples:
            if (other := other_politeness(example.text)) is not None:
                yield replace(example, text=other)
        return
    examples = [replace(e, text=normalise(e.text, language)) for e in examples]
    angry = angry_words(examples, language)
    calm = shares({"neutral": 1.0})
    for example in examples:
        if example.anger == 1.0:
            for text in denials(example.text, language, angry):
                yield replace(example, text=text, anger=0.0, others=calm, labels=())


def angry_words(examples: Iterable[Example], language: str) -> frozenset[str]:
    """Words (Chinese: pairs of characters) that the corpora know from angry texts above all.

    Args:
        examples: Normalised.
        language: ISO 639-1.
    """
    seen: Counter[str] = Counter()
    angry: defaultdict[str, float] = defaultdict(float)
    for example in examples:
        if example.anger is None:
            continue
        text = example.text
        pairs = (text[i : i + 2] for i in range(len(text) - 1))
        for word in set(pairs if language == "zh" else text.split()):
            seen[word] += 1
            angry[word] += example.anger
    return frozenset(w for w, n in seen.items() if n >= _MIN_TEXTS and angry[w] > _MIN_ANGRY * n)


def denials(text: str, language: str, angry: Container[str]) -> list[str]:
    """The angry predicates of a normalised text, denied; English or Chinese.

    Example:
        >>> denials("i was so angry when they left", "en", {"angry"})
        ['i was not so angry', "i'm not angry", 'not angry']
    """
    if language == "zh":
        found = [word for word in _PREDICATE_ZH.findall(text) if word in angry]
        return [form.format(word) for word in found for form in _DENIALS_ZH]
    return [
        form
        for subject, verb, degree, word in _PREDICATE_EN.findall(text)
        if word in angry
        for form in (f"{subject}{verb} not{degree} {word}", f"i'm not {word}", f"not {word}")
    ]


def other_politeness(text: str) -> str | None:
    """A Korean text in the plain form if it was polite, else in the polite one.

    Returns:
        Normalised text, or None if the particle alone does not make the other form.
    """
    text = normalise(text, "ko")
    if text.endswith("요") and len(text) > 2:
        plain = text[:-1]
        return plain if _is_plain(plain) else None
    return f"{text}요" if _is_plain(text) else None


def _is_plain(text: str) -> bool:
    """Whether a text ends as plain speech does before the particle."""
    if text.endswith(_ALSO_KO):
        return True
    last = text[-1:]
    if not last or last in _NEVER_KO or not _FIRST_SYLLABLE <= ord(last) <= _LAST_SYLLABLE:
        return False
    vowel, final = divmod((ord(last) - _FIRST_SYLLABLE) % 588, 28)
    return final == 0 and vowel in _OPEN_VOWELS_KO


def mishear(texts: Sequence[str], language: str, seed: int) -> list[str]:
    """Lose and mistake words (Chinese: characters) as a recogniser does.

    Args:
        texts: Normalised.
        language: ISO 639-1.
        seed: Of the choice.
    """
    rng = np.random.default_rng(seed)
    apart = SPECS[language].words == 0
    split = [list(t) if apart else t.split() for t in texts]
    every = [word for words in split for word in words]
    out = []
    for words in split:
        chance = rng.random(len(words))
        other = rng.integers(0, max(len(every), 1), len(words))
        heard = [
            every[other[i]] if chance[i] < DROP + REPLACE else word
            for i, word in enumerate(words)
            if chance[i] >= DROP
        ]
        out.append(("" if apart else " ").join(heard))
    return out
