"""A clip as it is heard over a line, the same for everybody who asks.

Features, spectrograms and figures rest on one sound: chance is seeded by seed, condition and
file name, so it depends neither on the order of clips nor on the number of processes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from voicebot.events import Pcm
from voicebot.training.augmentation import Condition, degrade
from voicebot.training.speech_corpora import Clip, read_clip, read_noises


@dataclass(frozen=True, slots=True)
class Hearing:
    """How clips are heard; small, so that it may be sent with each job."""

    data: Path
    """has ``noise/``"""
    keep_noise: Callable[[str], bool]
    """which noises, by file name; a function of a module"""
    condition: Condition
    seed: int

    def of(self, clip: Clip) -> Pcm:
        """The clip as it arrives, 8 kHz.

        Raises:
            ModelError: the clip or the noise cannot be read.
        """
        # Salted by condition, so that one clip meets another stretch of noise in each.
        salt = zlib.crc32(repr(self.condition).encode())
        rng = np.random.default_rng((self.seed, salt, zlib.crc32(clip.file.encode())))
        noises = _noises(self.data, self.keep_noise) if self.condition.snr_db else ()
        return degrade(read_clip(clip.path), self.condition, rng, noises)


@lru_cache(maxsize=1)
def _noises(data: Path, keep: Callable[[str], bool]) -> tuple[Pcm, ...]:
    """The noises, read once by each worker: smaller to name than to send."""
    return tuple(read_noises(data, keep))
