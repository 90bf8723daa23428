"""Making clean recordings sound like a phone line.

Each function takes float samples in -1..1 at 8 kHz; :func:`degrade` strings them together in
the order in which a call suffers them: room and handset, background noise, level, codec.
All randomness comes from the generator that is handed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from voicebot.audio import g711
from voicebot.audio.pcm import to_float, to_int16
from voicebot.emotion.frames import RATE
from voicebot.events import Pcm

Samples = npt.NDArray[np.float32]

TARGET_DBFS: Final = -23.0
"""dBFS; level of active speech before the random gain, about that of a telephone network."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What happens to a clip on its way, each range drawn evenly."""

    snr_db: tuple[float, float] | None = None
    """dB; None adds no noise"""
    gain_db: tuple[float, float] = (0.0, 0.0)
    """dB around the target level"""
    tilt_db: float = 0.0
    """dB; the spectrum between 300 and 3400 Hz is tilted by up to this, either way"""
    codecs: tuple[str, ...] = ("mulaw",)
    """one of them is drawn: ``mulaw``, ``alaw``"""
    crop_seconds: tuple[float, float] | None = None
    """s; a longer clip is cut to a random piece of such a length"""
    join: bool = False
    """join a second clip of the same voice and mood, with a pause between"""


CLEAN: Final = Condition()
NOISY: Final = Condition((0.0, 20.0), (-10.0, 10.0), 6.0, ("mulaw", "alaw"))
CROPPED: Final = Condition((5.0, 30.0), (-10.0, 10.0), 6.0, ("mulaw", "alaw"), (1.0, 3.0))
JOINED: Final = Condition((5.0, 30.0), (-10.0, 10.0), 6.0, ("mulaw", "alaw"), (1.5, 8.0), join=True)
TRAINING: Final = (CLEAN, NOISY, CROPPED, JOINED)
"""A clip is heard in each of these ways in training."""
TEST_NOISY: Final = Condition((10.0, 10.0))
"""Evaluation under noise: 10 dB, with noises that training never heard."""


def degrade(
    pcm: Pcm,
    condition: Condition,
    rng: np.random.Generator,
    noises: Sequence[Pcm] = (),
    partner: Pcm | None = None,
) -> Pcm:
    """Put a clip through a condition.

    Args:
        pcm: Mono at 8 kHz.
        condition: What to do.
        rng: Source of all chance.
        noises: Background noises at 8 kHz; must not be empty if the condition asks for noise.
        partner: Second clip for :attr:`Condition.join`, at 8 kHz.
    """
    x = at_level(to_float(pcm), TARGET_DBFS)
    if condition.join and partner is not None:
        pause = np.zeros(int(rng.uniform(0.1, 0.5) * RATE), dtype=np.float32)
        x = np.concatenate([x, pause, at_level(to_float(partner), TARGET_DBFS)])
    if condition.crop_seconds is not None:
        length = int(rng.uniform(*condition.crop_seconds) * RATE)
        if len(x) > length:
            start = int(rng.integers(len(x) - length + 1))
            x = x[start : start + length]
    if condition.tilt_db:
        x = tilt(x, float(rng.uniform(-condition.tilt_db, condition.tilt_db)))
    if condition.snr_db is not None:
        noise = to_float(noises[int(rng.integers(len(noises)))])
        x = add_noise(x, noise, float(rng.uniform(*condition.snr_db)), rng)
    x = x * np.float32(10 ** (rng.uniform(*condition.gain_db) / 20))
    codec = condition.codecs[int(rng.integers(len(condition.codecs)))]
    return through_codec(to_int16(x), codec)


def active_rms(x: Samples) -> float:
    """RMS of the louder 20 ms blocks: those within 20 dB of the loudest; 0 for silence."""
    block = RATE // 50
    blocks = x[: len(x) // block * block].reshape(-1, block) if len(x) >= block else x[None, :]
    power = np.mean(np.square(blocks, dtype=np.float64), axis=1)
    loud = power[power > power.max() * 0.01]
    return float(np.sqrt(loud.mean())) if len(loud) else 0.0


def at_level(x: Samples, dbfs: float) -> Samples:
    """Scale so that active speech has this RMS level; silence stays silence."""
    rms = active_rms(x)
    return x if rms == 0.0 else (x * np.float32(10 ** (dbfs / 20) / rms)).astype(np.float32)


def add_noise(x: Samples, noise: Samples, snr_db: float, rng: np.random.Generator) -> Samples:
    """Add a random stretch of noise, repeated if too short, ``snr_db`` below the active speech."""
    start = int(rng.integers(len(noise)))
    piece = np.take(noise, np.arange(start, start + len(x)), mode="wrap")
    rms = float(np.sqrt(np.mean(np.square(piece, dtype=np.float64))))
    if rms < 1e-6:
        return x
    return (x + piece * np.float32(active_rms(x) / rms * 10 ** (-snr_db / 20))).astype(np.float32)


def tilt(x: Samples, db: float) -> Samples:
    """Tilt the spectrum linearly in octaves: +db/2 at 3400 Hz, -db/2 at 300 Hz, held outside."""
    spectrum = np.fft.rfft(x)
    f = np.clip(np.fft.rfftfreq(len(x), 1 / RATE), 300.0, 3400.0)
    gain = db * (np.log2(f / 300.0) / np.log2(3400.0 / 300.0) - 0.5)
    return np.fft.irfft(spectrum * 10 ** (gain / 20), len(x)).astype(np.float32)


def through_codec(pcm: Pcm, codec: str) -> Pcm:
    """Encode and decode with ``mulaw`` or ``alaw``."""
    if codec == "mulaw":
        return g711.decode_mulaw(g711.encode_mulaw(pcm))
    if codec == "alaw":
        return g711.decode_alaw(g711.encode_alaw(pcm))
    raise ValueError(f"unknown codec {codec!r}")
