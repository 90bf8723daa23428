"""Comfort noise (RFC 3389): what a peer sends once in a while instead of silence."""

from __future__ import annotations

from typing import Final

import numpy as np

from voicebot.audio.pcm import FULL_SCALE
from voicebot.events import Pcm

_LOUDEST: Final = 30
"""-dBov; what claims to be background and is louder is taken for this"""


class ComfortNoise:
    """Fills the silence of one stream.  The spectrum that a peer may send is not used."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)
        self._rms = 0.0

    @property
    def audible(self) -> bool:
        """Whether it is more than digital silence."""
        return self._rms > 0.0

    def update(self, payload: bytes) -> None:
        """Take the level that a comfort noise packet says: its first octet, in -dBov."""
        if payload:
            self._rms = FULL_SCALE * 10.0 ** (-max(payload[0] & 0x7F, _LOUDEST) / 20.0)

    def silence(self) -> None:
        """From now on, digital silence."""
        self._rms = 0.0

    def take(self, samples: int) -> Pcm:
        """The next samples."""
        if not self._rms:
            return np.zeros(samples, np.int16)
        noise = self._random.standard_normal(samples) * self._rms
        return np.clip(np.rint(noise), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
