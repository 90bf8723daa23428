"""Spectrograms of many clips as they are heard on a line: what networks in time and pitch see.

The clips are put through the very conditions, with the very chance, that
:mod:`voicebot.training.feature_cache` gives the other models, so that families can be compared
on the same sound.  Of the spectrogram, two neighbouring frames are averaged (20 ms a step), and
the bands above 4 kHz, which stand at the floor on any telephone, are dropped.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from voicebot.emotion.logmel import log_mel
from voicebot.events import Pcm
from voicebot.training.augmentation import Condition
from voicebot.training.feature_cache import MAX_SECONDS, MIN_SECONDS, end_of
from voicebot.training.hearing import Hearing
from voicebot.training.score_cache import digest_of, keep_file, spread_over
from voicebot.training.speech_corpora import Clip

HEARD_BANDS: Final = 63
"""Mel bands that reach below 4 kHz."""
POOLED: Final = 2
"""frames of :func:`voicebot.emotion.logmel.log_mel` that are averaged into one step"""
MAX_STEPS: Final = 300
"""6 s; of a longer clip only the end counts"""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Spectrograms:
    """One spectrogram for each clip, one after another."""

    steps: npt.NDArray[np.float16]
    """all steps of all clips, shape ``(steps, HEARD_BANDS)``"""
    starts: npt.NDArray[np.int64]
    """where each clip begins and the last one ends, shape ``(clips + 1,)``"""

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, clip: int) -> Floats:
        """The spectrogram of one clip, shape ``(steps, HEARD_BANDS)``."""
        return self.steps[self.starts[clip] : self.starts[clip + 1]].astype(np.float32)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Steps of each clip, shape ``(clips,)``."""
        return np.diff(self.starts)


def spectrogram(pcm: Pcm) -> Floats:
    """The spectrogram of the end of a clip.

    Args:
        pcm: At 8 kHz; as for :func:`voicebot.training.feature_cache.clip_features`, a shorter one
            than its ``MIN_SECONDS`` is padded with silence.

    Returns:
        Shape ``(steps, HEARD_BANDS)``, at most :data:`MAX_STEPS` of 20 ms.
    """
    frames = log_mel(end_of(pcm))[:HEARD_BANDS].T
    whole = frames[: len(frames) // POOLED * POOLED]
    steps = whole.reshape(-1, POOLED, HEARD_BANDS).mean(axis=1)
    return np.asarray(steps[-MAX_STEPS:], dtype=np.float32)


def spectrograms(
    data: Path,
    clips: Sequence[Clip],
    condition: Condition,
    keep_noise: Callable[[str], bool],
    *,
    seed: int,
    cache: Path,
    progress: Callable[[float], None],
    workers: int,
) -> Spectrograms:
    """Spectrograms of all clips under one condition, from the cache where they are there.

    Args:
        data: Has ``noise/``.
        clips: From :func:`voicebot.training.speech_corpora.read_manifest`.
        condition: How each clip is heard.
        keep_noise: Which noises, by file name.
        seed: Of all chance.
        cache: Folder for the cache, created if missing.
        progress: Told the share that is done.
        workers: Processes; 1 works in this one.

    Raises:
        ModelError: a clip or the noise cannot be read.
        OutputError: the cache cannot be written.
    """
    path = cache / f"spectrograms-{_key(data, clips, condition, seed)}.npz"
    if (kept := _kept(path, len(clips))) is not None:
        progress(1.0)
        return kept
    work = partial(_heard, Hearing(data, keep_noise, condition, seed))
    rows: list[npt.NDArray[np.float16]] = []
    with spread_over(workers) as spread:
        for row in spread(work, clips):
            rows.append(row)
            progress(len(rows) / len(clips))
    starts = np.cumsum([0, *(len(row) for row in rows)], dtype=np.int64)
    found = Spectrograms(np.concatenate(rows), starts)
    _keep(path, found)
    return found


def _heard(hearing: Hearing, clip: Clip) -> npt.NDArray[np.float16]:
    return spectrogram(hearing.of(clip)).astype(np.float16)


def _key(data: Path, clips: Sequence[Clip], condition: Condition, seed: int) -> str:
    """Digest of everything that the values depend on, the code that makes them included."""
    return digest_of(
        [Path(__file__)],
        (
            "voicebot.emotion.logmel",
            "voicebot.training.hearing",
        ),
        [(clip.file, clip.path.stat().st_size) for clip in clips],
        [(noise.name, noise.stat().st_size) for noise in sorted((data / "noise").glob("*.ogg"))],
        (condition, seed, MIN_SECONDS, MAX_SECONDS),
    )


def _kept(path: Path, count: int) -> Spectrograms | None:
    """What an earlier run made, or None if it is not there, broken or of another shape."""
    try:
        with np.load(path) as file:
            found = Spectrograms(file["steps"], file["starts"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    fits = found.steps.ndim == 2 and found.steps.shape[1] == HEARD_BANDS and len(found) == count
    return found if fits and found.starts[-1] == len(found.steps) else None


def _keep(path: Path, found: Spectrograms) -> None:
    def write(part: Path) -> None:
        with part.open("wb") as file:
            np.savez(file, steps=found.steps, starts=found.starts)

    keep_file(path, write)
