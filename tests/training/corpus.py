"""A tiny made-up corpus: three corpora of harmonic "voices", angry ones higher and brighter."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from tests.emotion.test_features import speechlike

EMOTIONS = ("angry", "happy", "neutral", "sad")
COLUMNS = ("file", "corpus", "language", "speaker", "emotion", "seconds", "split", "text")


def make_corpus(folder: Path, clips: int = 6) -> Path:
    """Write ``speech/`` and ``noise/`` below a folder: 3 corpora, 3 speakers each."""
    rng = np.random.default_rng(0)
    rows = []
    (folder / "speech").mkdir(parents=True)
    (folder / "noise").mkdir()
    for corpus in ("aa", "bb", "cc"):
        for speaker, split in enumerate(("train", "dev", "test")):
            base = 110.0 * (1 + 0.3 * speaker)
            for index in range(clips):
                emotion = EMOTIONS[index % len(EMOTIONS)]
                angry = emotion == "angry"
                samples = speechlike(
                    hz=base * (1.5 if angry else 1.0) * rng.uniform(0.95, 1.05),
                    syllables=rng.uniform(4, 6) if angry else rng.uniform(2, 4),
                    tilt=rng.uniform(0.4, 0.8) if angry else rng.uniform(1.0, 1.6),
                    seconds=1.0,
                )
                name = f"{corpus}_{speaker}_{index}.wav"
                soundfile.write(folder / "speech" / name, samples, 8000)
                rows.append((name, corpus, "en", f"{corpus}:{speaker}", emotion, "1.0", split, ""))
    for name in ("esc10_rain_1-1-A.ogg", "esc10_rain_5-1-A.ogg"):
        soundfile.write(
            folder / "noise" / name, (rng.normal(size=8000) * 0.1).astype(np.float32), 8000
        )
    write_manifest(folder, rows)
    return folder


def write_manifest(
    folder: Path, rows: Sequence[tuple[str, ...]], columns: tuple[str, ...] = COLUMNS
) -> None:
    """Write ``speech/manifest.csv``."""
    with (folder / "speech" / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
