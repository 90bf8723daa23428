"""Labelled speech: the manifest, the clips, and how much each clip counts.

The folder is laid out as ``speech/manifest.csv`` with the columns ``file,
corpus, language, speaker, emotion, seconds, split, text``, files relative to
``speech/``.  Splits are speaker-independent; a manifest that puts one speaker
into two splits is refused, for every figure made from it would flatter.
"""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import soundfile

from voicebot.audio.pcm import resample
from voicebot.emotion.frames import RATE
from voicebot.errors import ModelError
from voicebot.events import EMOTIONS, Pcm

LABELS: Final = {
    "angry": "anger", "anger": "anger",
    "disgust": "disgust", "disgusted": "disgust",
    "fearful": "fear", "fear": "fear",
    "happy": "happiness", "happiness": "happiness",
    "neutral": "neutral", "calm": "neutral",
    "sad": "sadness", "sadness": "sadness",
    "surprised": "surprise", "surprise": "surprise",
    "other": "neutral",
}  # fmt: skip
"""Label in a manifest to one of ``EMOTIONS``.  ``other`` is what is marked in calls of one's own:
not angry, and nobody said what; most of it is neutral by far."""
SPLITS: Final = ("train", "dev", "test")
_COLUMNS: Final = ("file", "corpus", "language", "speaker", "emotion", "seconds", "split")
_MEND: Final = (
    "give --data a folder with speech/manifest.csv (columns file, corpus, language, speaker, "
    "emotion, seconds, split, text) and noise/*.ogg"
)


@dataclass(frozen=True, slots=True)
class Clip:
    """One labelled recording."""

    path: Path
    file: str
    """as in the manifest"""
    corpus: str
    language: str
    """ISO 639-1"""
    speaker: str
    emotion: int
    """index into ``EMOTIONS``"""
    seconds: float
    split: str
    """one of ``SPLITS``"""
    text: str
    """what is said, where the corpus knows it"""

    @property
    def angry(self) -> bool:
        """Whether the clip is anger."""
        return EMOTIONS[self.emotion] == "anger"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong with a corpus."""

    what: str
    """names the file and row"""
    mend: str
    fatal: bool = True
    """whether nothing can be trained on the corpus as it is"""

    def __str__(self) -> str:
        return f"{self.what} ({self.mend})"


def read_manifest(data: Path) -> list[Clip]:
    """Read the labelled clips of a data folder.

    Raises:
        ModelError: no manifest, a missing column, an unknown label or split, a missing file, or
            one speaker in two splits; the first of all problems.
    """
    clips, problems = scan_manifest(data)
    if problems:
        raise ModelError(problems[0].what, problems[0].mend)
    return clips


def scan_manifest(data: Path) -> tuple[list[Clip], list[Problem]]:
    """Read the labelled clips of a data folder, and all that is wrong with its manifest.

    Returns:
        The clips of the sound rows, and the problems.

    Raises:
        ModelError: there is no manifest, it cannot be read, or it has no rows or lacks a column.
    """
    path = data / "speech" / "manifest.csv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, restval="")
            if missing := [c for c in _COLUMNS if c not in (reader.fieldnames or ())]:
                raise ModelError(f"{path}: no column {missing[0]!r}", _MEND)
            found = [_clip(path, number, row) for number, row in enumerate(reader, start=2)]
    except FileNotFoundError:
        raise ModelError(f"{path}: no labelled speech", _MEND) from None
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        raise ModelError(f"{path}: {err}", _MEND) from err
    if not found:
        raise ModelError(f"{path}: no clips", _MEND)
    clips = [clip for clip in found if isinstance(clip, Clip)]
    problems = [problem for problem in found if isinstance(problem, Problem)]
    splits: dict[str, list[str]] = defaultdict(list)
    for clip in clips:
        if clip.split not in splits[clip.speaker]:
            splits[clip.speaker].append(clip.split)
    for speaker, among in splits.items():
        if len(among) > 1:
            problems.append(
                Problem(
                    f"{path}: speaker {speaker!r} is in the splits "
                    f"{' and '.join(repr(split) for split in among)}",
                    "give each speaker one split",
                )
            )
    return clips, problems


def read_clip(path: Path) -> Pcm:
    """Read a recording as mono at 8 kHz.

    Raises:
        ModelError: it cannot be read or is empty.
    """
    try:
        samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
    except (OSError, RuntimeError) as err:  # soundfile's own error is a RuntimeError
        raise ModelError(f"{path}: {err}", "replace the file or drop it from its manifest") from err
    if not len(samples):
        raise ModelError(f"{path}: empty", "replace the file or drop it from its manifest")
    mono: Pcm = samples[:, 0] if samples.shape[1] == 1 else samples.mean(1).astype(np.int16)
    return resample(mono, int(rate), RATE)


def balanced_weights(clips: Sequence[Clip]) -> npt.NDArray[np.float64]:
    """Weight of each clip so that every corpus counts alike, and every emotion within it.

    A corpus counts by the square root of its size, so that twenty clips do not outvote four
    thousand; within a corpus the emotions share its weight evenly.

    Returns:
        Shape ``(clips,)``, mean 1.
    """
    size = Counter(c.corpus for c in clips)
    cell = Counter((c.corpus, c.emotion) for c in clips)
    emotions: dict[str, set[int]] = defaultdict(set)
    for c in clips:
        emotions[c.corpus].add(c.emotion)
    weight = np.array(
        [
            np.sqrt(size[c.corpus]) / (len(emotions[c.corpus]) * cell[c.corpus, c.emotion])
            for c in clips
        ]
    )
    return np.asarray(weight / weight.mean(), dtype=np.float64)


def read_noises(data: Path, keep: Callable[[str], bool]) -> list[Pcm]:
    """Read background noises of a data folder as mono at 8 kHz.

    Args:
        data: Has ``noise/*.ogg``.
        keep: Whether to take a file, by its name.

    Raises:
        ModelError: none is there.
    """
    names = sorted(p for p in (data / "noise").glob("*.ogg") if keep(p.name))
    if not names:
        raise ModelError(f"{data / 'noise'}: no background noise (*.ogg)", _MEND)
    return [read_clip(path) for path in names]


def for_training(name: str) -> bool:
    """Whether a noise file is for training: folds 1 to 4 of ESC-10; the rest is for tests."""
    return re.fullmatch(r"esc10_\w+?_[1-4]-.*\.ogg", name) is not None


def for_testing(name: str) -> bool:
    """Whether a noise file is for tests alone: fold 5 of ESC-10, typing and ambience."""
    return not for_training(name)


def _clip(manifest: Path, number: int, row: dict[str, str]) -> Clip | Problem:
    """One line of a manifest, or what is wrong with it."""
    emotion = LABELS.get(row["emotion"].strip().lower())
    if emotion is None:
        return Problem(
            f"{manifest}:{number}: unknown emotion {row['emotion']!r}",
            f"use one of {', '.join(LABELS)}",
        )
    if row["split"] not in SPLITS:
        return Problem(
            f"{manifest}:{number}: unknown split {row['split']!r}", "use train, dev or test"
        )
    path = manifest.parent / row["file"]
    if not path.is_file():
        return Problem(
            f"{manifest}:{number}: no file {path}", "restore it or drop it from the manifest"
        )
    try:
        seconds = float(row["seconds"])
    except ValueError:
        return Problem(f"{manifest}:{number}: seconds is {row['seconds']!r}", "give a number")
    return Clip(
        path, row["file"], row["corpus"], row["language"], row["speaker"], EMOTIONS.index(emotion),
        seconds, row["split"], row.get("text") or "",
    )  # fmt: skip
