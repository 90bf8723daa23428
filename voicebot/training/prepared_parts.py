"""Preparing clips, a part of a corpus at a time, each kept as soon as it is done.

Every clip is resampled to 8 kHz, trimmed of the silence around the speech and put at
:data:`~voicebot.training.augmentation.TARGET_DBFS`.  One that is broken or silent has no samples
but a fault.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np

from voicebot.audio.pcm import to_float, to_int16
from voicebot.emotion.frames import RATE
from voicebot.errors import ModelError
from voicebot.events import Pcm
from voicebot.training.augmentation import TARGET_DBFS, at_level
from voicebot.training.speech_corpora import read_clip

SPEECH_DB: Final = 35.0
"""dB; a block this far below the loud ones is still taken for speech"""
MARGIN_SECONDS: Final = 0.1
"""s of silence that is left on either side"""
_BLOCK: Final = RATE // 50


class Fault(StrEnum):
    """Why a clip was left out."""

    BROKEN = "broken"
    SILENT = "silent"
    DUPLICATE = "duplicate"
    CONTRADICTION = "contradiction"


def trimmed(samples: Pcm) -> Pcm:
    """Cut off the silence around the speech, less :data:`MARGIN_SECONDS` on either side.

    Blocks of 20 ms count as speech down to :data:`SPEECH_DB` below the loud ones (their 95 %
    quantile), so breath and the ends of words stay, and in noise nothing is cut at all.
    """
    blocks = np.pad(to_float(samples), (0, -len(samples) % _BLOCK)).reshape(-1, _BLOCK)
    power = np.var(blocks, axis=1)  # without any constant offset
    speech = np.flatnonzero(power > np.quantile(power, 0.95) * 10 ** (-SPEECH_DB / 10))
    if not len(speech):
        return samples
    margin = int(MARGIN_SECONDS * RATE)
    start = max(0, int(speech[0]) * _BLOCK - margin)
    return samples[start : (int(speech[-1]) + 1) * _BLOCK + margin]


ClipFault = tuple[Fault, str] | None
"""what is wrong with a clip, and in detail"""


@dataclass(frozen=True, slots=True)
class Part:
    """Clips in a row; those with a fault have no samples."""

    samples: list[Pcm]
    faults: list[ClipFault]


def prepare_part(paths: Sequence[Path]) -> Part:
    """Prepare clips in a row."""
    prepared = [_prepare_clip(path) for path in paths]
    return Part([samples for samples, _ in prepared], [fault for _, fault in prepared])


def _prepare_clip(path: Path) -> tuple[Pcm, ClipFault]:
    nothing = np.zeros(0, np.int16)
    try:
        samples = trimmed(read_clip(path))
    except ModelError as err:
        return nothing, (Fault.BROKEN, err.what)
    if samples.max() == samples.min():
        return nothing, (Fault.SILENT, "no sound at all")
    return to_int16(at_level(to_float(samples), TARGET_DBFS)), None


def write_part(path: Path, part: Part) -> None:
    """Keep a part; it is there whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        np.savez(
            file,
            samples=np.concatenate(part.samples),
            ends=np.cumsum([len(samples) for samples in part.samples]),
            faults=np.array(json.dumps(part.faults)),
        )
    fresh.replace(path)


def read_part(path: Path) -> Part | None:
    """A part that was done before; None if it is not there or broken."""
    try:
        with np.load(path) as stored:
            samples = np.split(stored["samples"], stored["ends"][:-1])
            faults = json.loads(str(stored["faults"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return Part(samples, [None if f is None else (Fault(f[0]), f[1]) for f in faults])


def finished(path: Path) -> Part:
    """A part that must be there.

    Raises:
        OSError: it is not, or broken.
    """
    part = read_part(path)
    if part is None:
        raise OSError(f"{path}: not as it was written")
    return part
