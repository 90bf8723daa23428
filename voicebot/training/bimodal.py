"""Voice and words of the same clip: what the fusion gains.

Two kinds of pairs:

* **real**: Korean clips of ``ko`` whose speakers read emotional scripts, so
  voice and words agree.  The words are the script, or what the Korean
  recogniser hears of it at 8 kHz, with the confidence it gives.
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

from voicebot.emotion.acoustic import AcousticModel, AcousticReading
from voicebot.emotion.calibration import REFERENCE_LOGIT
from voicebot.emotion.fusion import FusionParams, fuse
from voicebot.emotion.text import TextModel
from voicebot.emotion.text_features import normalise
from voicebot.events import EMOTIONS, EmotionScore
from voicebot.speech.engines import open_engine
from voicebot.speech.evaluation import read_clip as read_for_recogniser
from voicebot.speech.evaluation import transcribe
from voicebot.speech.recognizer import SttParams
from voicebot.training.acoustic_evaluation import happy_called_angry, hear
from voicebot.training.augmentation import CLEAN
from voicebot.training.evaluation import anger_figures
from voicebot.training.report import Progress, Table
from voicebot.training.speech_corpora import Clip, read_manifest
from voicebot.training.text import mishear
from voicebot.training.text_corpora import CORPORA, OTHERS, load

EMOTIONAL_SPEAKERS: Final = "ko:ne"
"""Speakers of ``ko`` who read emotional scripts."""
SIMULATED_CONFIDENCE: Final = 0.8
"""What a recogniser gives for text with about one word in eight lost or mistaken."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What was heard and read of one clip."""

    clip: Clip
    voice: AcousticReading
    words: EmotionScore | None
    confidence: float
    """0-1, of the recogniser"""

    def fused(self, params: FusionParams) -> EmotionScore | None:
        """Voice and words joined."""
        return fuse(
            self.voice.score, self.words, speech_seconds=self.clip.seconds,
            snr_db=self.voice.snr_db, stt_confidence=self.confidence, params=params,
        )  # fmt: skip


def evaluate_korean(
    data: Path, acoustic: AcousticModel, text: TextModel, params: FusionParams, progress: Progress
) -> Table:
    """Voice, words and both on the real Korean pairs of the test split.

    Returns:
        Rows for the scripts, and for what the recogniser heard where one is installed.

    Raises:
        ModelError: the data is missing or broken, or there is no Korean recogniser.
    """
    clips = [
        c
        for c in read_manifest(data)
        if c.split == "test" and c.speaker.startswith(EMOTIONAL_SPEAKERS) and c.text
    ]
    if not clips:
        return {}
    voices = [
        h.reading
        for h in hear(data, clips, acoustic, conditions={"mu-law": CLEAN}, progress=progress)
    ]
    said = [Pair(c, v, text.score(c.text), 1.0) for c, v in zip(clips, voices, strict=True)]
    heard = [
        Pair(c, v, text.score(words), confidence)
        for c, v, (words, confidence) in zip(clips, voices, recognise(clips, progress), strict=True)
    ]
    return {
        **compare("ko script", said, params),
        **compare("ko recognised at 8 kHz", heard, params),
    }


def evaluate_drawn(
    data: Path,
    acoustic: AcousticModel,
    text: TextModel,
    params: FusionParams,
    *,
    seed: int,
    progress: Progress,
) -> Table:
    """Voice, words and both on drawn pairs: every test clip with a text of its emotion.

    Raises:
        ModelError: the data is missing or broken.
    """
    clips = [c for c in read_manifest(data) if c.split == "test"]
    draw = drawer(data, text.language, seed)
    pairs = []
    for heard in hear(data, clips, acoustic, conditions={"mu-law": CLEAN}, progress=progress):
        if (words := draw(EMOTIONS[heard.clip.emotion])) is not None:
            score = text.score(words)
            pairs.append(Pair(heard.clip, heard.reading, score, SIMULATED_CONFIDENCE))
    return compare(f"drawn, {text.language} words", pairs, params)


def recognise(clips: Sequence[Clip], progress: Progress) -> list[tuple[str, float]]:
    """What the recogniser hears in each clip over a telephone, and its mean confidence, 0-1.

    Raises:
        ModelError: no recogniser is installed for the clips' language.
    """
    engine = open_engine(clips[0].language, SttParams())
    assert engine is not None
    try:
        out = []
        for index, clip in enumerate(clips):
            words, sure = transcribe(engine, read_for_recogniser(clip.path, 8000), 8000)
            out.append((words, float(np.mean(sure)) if sure else 0.0))
            progress("recognition", (index + 1) / len(clips))
        return out
    finally:
        engine.close()


def compare(name: str, pairs: Sequence[Pair], params: FusionParams) -> Table:
    """Figures of voice, words and both over the pairs that have a voice score.

    A pair without words counts for the words as the reference prior: it says nothing.
    """
    pairs = [p for p in pairs if p.voice.score is not None]
    emotion = np.array([p.clip.emotion for p in pairs])
    scores: dict[str, list[EmotionScore | None]] = {
        "voice": [p.voice.score for p in pairs],
        "words": [p.words for p in pairs],
        "both": [p.fused(params) for p in pairs],
    }
    rows: dict[str, dict[str, float]] = {}
    for which, mine in scores.items():
        logit = np.array([s.anger_logit if s is not None else REFERENCE_LOGIT for s in mine])
        figures = anger_figures(logit, emotion == EMOTIONS.index("anger"))
        if (share := happy_called_angry(logit, emotion)) is not None:
            figures["happy_called_angry"] = share
        rows[f"{name}: {which}"] = figures
    return rows


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
