"""Making clean recordings sound like a phone line.

Each function takes float samples in -1..1 at 8 kHz; :func:`degrade` strings them together in
the order in which a call suffers them: the speaker, room and handset, background noise,
level, an overdriven microphone, a mobile line, the codec and the packets of the network.
All randomness comes from the generator that is handed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from voicebot.audio import g711
from voicebot.audio.pcm import to_float, to_int16
from voicebot.emotion.frames import RATE
from voicebot.events import Pcm
from voicebot.training.low_rate_codec import through_gsm
from voicebot.training.packet_loss import PACKET, conceal, draw_losses
from voicebot.training.rooms import impulse_response, in_room
from voicebot.training.tempo import change_voice

Samples = npt.NDArray[np.float32]
Range = tuple[float, float]

TARGET_DBFS: Final = -23.0
"""dBFS; level of active speech before the random gain, about that of a telephone network."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What happens to a clip on its way, each range drawn evenly.

    A share is the probability, 0-1, that a clip suffers it at all.
    """

    snr_db: Range | None = None
    """dB; None adds no noise"""
    gain_db: Range = (0.0, 0.0)
    """dB around the target level"""
    tilt_db: float = 0.0
    """dB; the spectrum between 300 and 3400 Hz is tilted by up to this, either way"""
    codecs: tuple[str, ...] = ("mulaw",)
    """one of them is drawn: ``mulaw``, ``alaw``"""
    noise_share: float = 1.0
    voice_share: float = 0.0
    """tempo and pitch"""
    tempo: Range = (0.9, 1.1)
    """1.1 is 10 % faster"""
    semitones: Range = (-2.0, 2.0)
    """of pitch, formants included"""
    room_share: float = 0.0
    rt60_seconds: Range = (0.15, 0.6)
    """s; reverberation time"""
    direct_db: Range = (0.0, 15.0)
    """dB; direct sound against all that the room adds"""
    clip_share: float = 0.0
    clip_db: Range = (3.0, 12.0)
    """dB above the RMS of active speech, where samples are cut off"""
    low_rate_share: float = 0.0
    """GSM 06.10, before the codec of the network"""
    loss_share: float = 0.0
    loss: Range = (0.0, 0.05)
    """share of packets, 0-1, lost in bursts and concealed"""


CLEAN: Final = Condition()
NOISY: Final = Condition((0.0, 20.0), (-10.0, 10.0), 6.0, ("mulaw", "alaw"))
LINE: Final = replace(
    NOISY,
    noise_share=0.6,
    voice_share=0.3,
    room_share=0.3,
    clip_share=0.1,
    low_rate_share=0.25,
    loss_share=0.4,
)
"""Everything that a line may do to a voice, mildly and at random."""
ROUGH: Final = replace(LINE, snr_db=(0.0, 15.0), noise_share=1.0, loss_share=0.7, loss=(0.0, 0.08))
"""A bad line: always noisy, most often losing packets."""
TRAINING: Final = (CLEAN, LINE, ROUGH)
"""A clip is heard in each of these ways in training.  (Cutting clips short, and joining two of one
voice and mood, were tried as well: with a corpus left out they cost .01 to .03 of AUC.)"""

TEST_20DB: Final = Condition((20.0, 20.0))
TEST_NOISY: Final = Condition((10.0, 10.0))
TEST_5DB: Final = Condition((5.0, 5.0))
TEST_ALAW: Final = Condition(codecs=("alaw",))
TEST_LOW_RATE: Final = Condition(low_rate_share=1.0)
TEST_LOSS: Final = Condition(loss_share=1.0, loss=(0.03, 0.03))
TEST_HARD: Final = replace(TEST_LOSS, snr_db=(5.0, 5.0))
"""Evaluation: noise (with noises that training never heard), A-law, a mobile line, 3 % of packets
lost; and 5 dB of noise together with that loss."""


def degrade(
    pcm: Pcm,
    condition: Condition,
    rng: np.random.Generator,
    noises: Sequence[Pcm] = (),
) -> Pcm:
    """Put a clip through a condition.

    Args:
        pcm: Mono at 8 kHz.
        condition: What to do.
        rng: Source of all chance.
        noises: Background noises at 8 kHz; must not be empty if the condition asks for noise.
    """
    x = at_level(to_float(pcm), TARGET_DBFS)
    if _happens(condition.voice_share, rng):
        x = change_voice(x, rng.uniform(*condition.tempo), rng.uniform(*condition.semitones))
    if _happens(condition.room_share, rng):
        rt60, direct = rng.uniform(*condition.rt60_seconds), rng.uniform(*condition.direct_db)
        x = at_level(in_room(x, impulse_response(rt60, direct, rng)), TARGET_DBFS)
    if condition.tilt_db:
        x = tilt(x, float(rng.uniform(-condition.tilt_db, condition.tilt_db)))
    speech = active_rms(x)
    if condition.snr_db is not None and _happens(condition.noise_share, rng):
        noise = to_float(noises[int(rng.integers(len(noises)))])
        x = add_noise(x, noise, float(rng.uniform(*condition.snr_db)), rng)
    if _happens(condition.clip_share, rng):
        bound = speech * 10 ** (rng.uniform(*condition.clip_db) / 20)
        x = np.clip(x, -bound, bound)
    x = x * np.float32(10 ** (rng.uniform(*condition.gain_db) / 20))
    codec = condition.codecs[int(rng.integers(len(condition.codecs)))]
    heard = to_int16(x)
    if _happens(condition.low_rate_share, rng):
        heard = through_gsm(heard)
    heard = through_codec(heard, codec)
    if _happens(condition.loss_share, rng):
        lost = draw_losses(-(-len(heard) // PACKET), rng.uniform(*condition.loss), rng)
        heard = to_int16(conceal(to_float(heard), lost))
    return heard


def _happens(share: float, rng: np.random.Generator) -> bool:
    """Draw whether it happens; what never or always does takes nothing from the generator."""
    return share > 0.0 and (share >= 1.0 or bool(rng.random() < share))


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
