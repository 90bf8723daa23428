"""Signals for tests, all at 8 kHz as int16 unless told otherwise; always the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from voicebot.audio.pcm import to_int16
from voicebot.events import Pcm

RATE = 8000
DATA = Path(__file__).parent / "data"


def speech(name: str = "speech_en_1") -> Pcm:
    """One synthesised sentence without silence around it."""
    pcm, rate = soundfile.read(DATA / f"{name}.flac", dtype="int16")
    assert rate == RATE
    return np.asarray(pcm, np.int16)


def silence(seconds: float, *, dbfs: float | None = None) -> Pcm:
    """Digital silence, or the noise floor of a quiet line."""
    if dbfs is None:
        return np.zeros(round(seconds * RATE), np.int16)
    return white(seconds, dbfs=dbfs)


def white(seconds: float, *, dbfs: float = -30.0, seed: int = 1) -> Pcm:
    """White noise."""
    noise = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return to_int16(noise * 10 ** (dbfs / 20))


def pink(seconds: float, *, dbfs: float = -30.0, seed: int = 2) -> Pcm:
    """Noise of 3 dB less an octave, above 50 Hz."""
    count = round(seconds * RATE)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(count))
    spectrum /= np.sqrt(np.maximum(np.fft.rfftfreq(count, 1 / RATE), 50.0))
    noise = np.fft.irfft(spectrum, count)
    return to_int16(noise / np.sqrt(np.mean(noise**2)) * 10 ** (dbfs / 20))


def tone(seconds: float, *hertz: float, dbfs: float = -15.0, rate: int = RATE) -> Pcm:
    """A sum of equal sines, whose peak stays below ``dbfs``."""
    t = np.arange(round(seconds * rate)) / rate
    wave: npt.NDArray[np.float64] = np.sum([np.sin(2 * np.pi * f * t) for f in hertz], axis=0)
    return to_int16(wave / len(hertz) * 10 ** (dbfs / 20))


def dtmf(keys: str = "159*0#7423", *, on: float = 0.1, off: float = 0.1) -> Pcm:
    """Touch tones (ITU-T Q.23)."""
    rows, columns = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
    layout = "123A456B789C*0#D"
    parts: list[Pcm] = []
    for pressed in keys:
        row, column = divmod(layout.index(pressed), 4)
        parts += [tone(on, rows[row], columns[column]), silence(off)]
    return np.concatenate(parts)


def music(seconds: float = 10.0, *, dbfs: float = -20.0) -> Pcm:
    """Music on hold: four chords with harmonics and decay, a bass line and drums at 110 bpm."""
    rng = np.random.default_rng(3)
    beat = 60 / 110
    count = round(seconds * RATE)
    out = np.zeros(count + RATE)
    chords = [
        (261.6, 329.6, 392.0),
        (220.0, 261.6, 329.6),
        (174.6, 220.0, 261.6),
        (196.0, 246.9, 293.7),
    ]
    for step in range(int(seconds / beat)):
        at = round(step * beat * RATE)
        t = np.arange(RATE) / RATE
        fade = np.exp(-3 * t) * np.minimum(t / 0.01, 1)
        chord = chords[step // 4 % 4]
        for note in (*chord, chord[0] / 2):
            for harmonic in range(1, 7):
                wave = np.sin(2 * np.pi * note * harmonic * t + rng.uniform(0, 6.28))
                out[at : at + RATE] += fade * wave / harmonic
        drum = rng.standard_normal(RATE) * np.exp(-(40 if step % 2 else 15) * t)
        out[at : at + RATE] += 1.5 * drum
    out = out[:count]
    return to_int16(np.clip(out / np.sqrt(np.mean(out**2)) * 10 ** (dbfs / 20), -1, 0.999))


def mixed(signal: Pcm, noise: Pcm) -> Pcm:
    """One laid over the other, which must be at least as long."""
    total = signal.astype(np.int32) + noise[: len(signal)]
    out: Pcm = np.clip(total, -32768, 32767).astype(np.int16)
    return out


def fax_calling(times: int = 4) -> Pcm:
    """The tone of a calling fax machine: 1100 Hz for half a second every 3.5 s (ITU-T T.30)."""
    return np.tile(np.concatenate((tone(0.5, 1100, dbfs=-10), silence(3.0))), times)


def fax_answering(seconds: float = 10.0) -> Pcm:
    """What answers: 3.3 s of 2100 Hz, its phase reversed, then 300 bit/s of V.21 (T.30, V.8)."""
    t = np.arange(round(3.3 * RATE)) / RATE
    answer = 0.3 * np.sin(2 * np.pi * 2100 * t + np.pi * (t // 0.45))
    bits = np.random.default_rng(5).integers(0, 2, round(seconds * 300))
    at = np.arange(round(seconds * RATE)) * 300 // RATE
    frequency = np.where(bits[at], 1650, 1850)
    data = 0.3 * np.sin(2 * np.pi * np.cumsum(frequency) / RATE)
    return np.concatenate((to_int16(answer), silence(0.1), to_int16(data)))


def barks(seconds: float = 20.0, *, dbfs: float = -10.0) -> Pcm:
    """A dog: short bursts, up to three in a row, of a gliding buzz of 350-1000 Hz and noise."""
    rng = np.random.default_rng(4)
    out = np.zeros(round(seconds * RATE))
    at = 0.3
    while at < seconds - 2.0:
        for _ in range(rng.integers(1, 4)):
            lasts = rng.uniform(0.12, 0.3)
            t = np.arange(round(lasts * RATE)) / RATE
            pitch = rng.uniform(350, 700) * (1 + 0.5 * np.sin(np.pi * t / lasts))
            phase = 2 * np.pi * np.cumsum(pitch) / RATE
            buzz = sum(np.sin(k * phase) / k**0.7 for k in range(1, 7))
            spectrum = np.fft.rfft(rng.standard_normal(len(t)))
            frequency = np.fft.rfftfreq(len(t), 1 / RATE)
            spectrum[(frequency < 400) | (frequency > 2500)] = 0
            noise = np.fft.irfft(spectrum, len(t))
            burst = (buzz + noise / noise.std()) * np.minimum(t / 0.01, 1) * np.exp(-4 * t / lasts)
            first = round(at * RATE)
            out[first : first + len(t)] += burst
            at += lasts + rng.uniform(0.08, 0.25)
        at += rng.uniform(0.3, 1.2)
    return to_int16(out / np.abs(out).max() * 10 ** (dbfs / 20))
