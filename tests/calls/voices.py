"""Clips that were never recorded: each mood a noise of its own colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from voicebot.events import EMOTIONS, Pcm
from voicebot.training.speech_corpora import Clip

MOODS = ("anger", "neutral", "happiness", "sadness")
SECONDS = 2.2


def clips(*speakers: str, split: str = "dev") -> list[Clip]:
    """Five clips of every mood for each speaker."""
    return [
        Clip(
            Path(f"{speaker}-{mood}-{n}"), f"{speaker}-{mood}-{n}", speaker.partition(":")[0], "en",
            speaker, EMOTIONS.index(mood), SECONDS, split, "",
        )
        for speaker in speakers
        for mood in MOODS
        for n in range(5)
    ]  # fmt: skip


def read(path: Path) -> Pcm:
    """Noise between two silences, the louder the angrier."""
    rng = np.random.default_rng(len(path.name) + int(path.name[-1]))
    peak = 6000 if "anger" in path.name else 2000
    noise = rng.normal(scale=peak / 3, size=round(SECONDS * 8000) - 4000)
    return np.clip(np.pad(noise, 2000), -peak, peak).astype(np.int16)
