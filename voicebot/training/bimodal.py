"""Voice and words of the same clip, to see what their fusion gains.

Two kinds of pairs:

* **real**: Korean clips of ``ko`` whose speakers read emotional scripts, so
  voice and words agree.  The words are the script, or what the Korean
  recogniser hears of it over the same line, with the confidence it gives.
* **drawn**: a clip of any corpus with a text of the same emotion drawn from
  the test split of a text corpus, its words corrupted as by a recogniser.
  This *assumes* that voice and words are independent given the emotion, which
  real callers break; it shows that the arithmetic is sound, no more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from voicebot.emotion.text import TextModel
from voicebot.emotion.text_features import normalise
from voicebot.events import EMOTIONS, EmotionScore
from voicebot.training.augmentation import Condition
from voicebot.training.predictions import Predictions
from voicebot.training.recognised import recognise_clips
from voicebot.training.report import Progress
from voicebot.training.speech_corpora import Clip
from voicebot.training.text_augmentation import mishear
from voicebot.training.text_corpora import CORPORA, OTHERS, load

EMOTIONAL_SPEAKERS: Final = "ko:ne"
"""Speakers of ``ko`` who read emotional scripts."""
SIMULATED_CONFIDENCE: Final = 0.8
"""What a recogniser gives for text with about one word in eight lost or mistaken."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Clips and the words that go with them."""

    name: str
    voice: Predictions
    """what the voice says, one entry a clip"""
    words: tuple[EmotionScore | None, ...]
    """what the words say, one entry a clip; None if there are too few"""
    confidence: tuple[float, ...]
    """0-1, of the recogniser, one entry a clip"""


def emotional_clips(clips: Sequence[Clip]) -> tuple[Clip, ...]:
    """Clips whose words carry the emotion of the voice."""
    return tuple(c for c in clips if c.speaker.startswith(EMOTIONAL_SPEAKERS) and c.text)


def read_pairs(name: str, clips: Sequence[Clip], voice: Predictions, text: TextModel) -> Pairs:
    """Clips with their scripts, read without a mistake."""
    words = tuple(text.score(c.text) for c in clips)
    return Pairs(name, voice, words, (1.0,) * len(clips))


def recognised_pairs(
    name: str,
    data: Path,
    clips: Sequence[Clip],
    voice: Predictions,
    text: TextModel,
    condition: Condition,
    *,
    seed: int,
    cache: Path,
    progress: Progress,
) -> Pairs:
    """Clips with what the recogniser hears of them under a condition of the line.

    Raises:
        ModelError: a clip cannot be read, or no recogniser is installed for the language.
        OutputError: the cache cannot be written.
    """
    heard = recognise_clips(data, clips, condition, seed=seed, cache=cache, progress=progress)
    words = tuple(text.score(h.text) for h in heard)
    return Pairs(name, voice, words, tuple(h.confidence for h in heard))


def drawn_pairs(name: str, data: Path, voice: Predictions, text: TextModel, seed: int) -> Pairs:
    """Clips with a misheard text of their emotion, where the corpora have one.

    Raises:
        ModelError: a text corpus is missing or broken.
    """
    draw = drawer(data, text.language, seed)
    texts = [draw(EMOTIONS[emotion]) for emotion in voice.emotion]
    there = np.array([t is not None for t in texts], dtype=bool)
    words = tuple(text.score(t) for t in texts if t is not None)
    return Pairs(name, voice.select(there), words, (SIMULATED_CONFIDENCE,) * len(words))


def drawer(data: Path, language: str, seed: int) -> Callable[[str], str | None]:
    """A function that draws a misheard test text of an emotion, None if there is none."""
    by_emotion: dict[str, list[str]] = defaultdict(list)
    for corpus in CORPORA:
        if corpus.language != language:
            continue
        for example in load(corpus, data):
            if example.split != "test" or example.anger is None:
                continue
            if example.anger >= 1.0:
                by_emotion["anger"].append(example.text)
            elif example.others is not None and example.anger == 0.0:
                top = int(np.argmax(example.others))
                if example.others[top] > 0.5:
                    by_emotion[OTHERS[top]].append(example.text)
    rng = np.random.default_rng(seed)

    def draw(emotion: str) -> str | None:
        texts = by_emotion[emotion]
        if not texts:
            return None
        text = normalise(texts[int(rng.integers(len(texts)))], language)
        return str(mishear([text], language, int(rng.integers(1 << 31)))[0])

    return draw
