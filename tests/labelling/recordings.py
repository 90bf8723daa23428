"""Recordings to label: real synthetic speech with pauses, so that utterances are found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from tests.signals import RATE, silence, speech
from voicebot.events import Pcm


def call(*pieces: Pcm | float) -> Pcm:
    """Speech and pauses (seconds) one after the other, on a quiet line."""
    return np.concatenate(
        [silence(p, dbfs=-65.0) if isinstance(p, int | float) else p for p in pieces]
    )


def write_call(path: Path, *, two_legs: bool = True, seed: int = 0) -> Path:
    """Two utterances of the caller, 1 s of pause before, between and after; in all about 9 s.

    Args:
        path: To write.
        two_legs: The agent's leg beside the caller's.
        seed: Recordings of different seeds differ by a faint noise.
    """
    said = speech()
    pcm = call(1.0, said, 1.5, said, 1.0)
    hiss = np.random.default_rng(seed).integers(-3, 4, len(pcm), dtype=np.int16)
    pcm = np.clip(pcm.astype(np.int32) + hiss, -32768, 32767).astype(np.int16)
    path.parent.mkdir(parents=True, exist_ok=True)
    if two_legs:
        pcm = np.stack([pcm, np.roll(pcm // 2, RATE)], axis=1)
    soundfile.write(path, pcm, RATE)
    return path
