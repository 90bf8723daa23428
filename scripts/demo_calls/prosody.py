"""Changes a neutral synthetic voice into a mood: pitch, its range, brightness, emphasis, level.

What anger and joy do to a voice (Scherer 2003, Speech Communication 40; Juslin & Laukka 2003,
Psychological Bulletin 129): both raise F0, intensity, its variability, and rate; anger adds
energy above 1 kHz and hammers single syllables, where joy adds less and widens the melody.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Samples = np.ndarray
"""float samples, shape ``(samples,)``"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mood:
    """How a mood sounds, against the voice as synthesised."""

    speed: float = 1.0
    """of speaking; 1 = as synthesised"""
    pitch: float = 1.0
    """mean F0, as a factor"""
    spread: float = 1.0
    """range of log F0 about its mean, as a factor"""
    formants: float = 1.0
    """resonances, as a factor: above 1 for a smile or a raised larynx"""
    tilt: float = 0.0
    """dB, gain above 1 kHz against below"""
    emphasis: float = 1.0
    """differences in level between syllables, as a factor in dB: above 1 hammers the loud ones"""
    level: float = -26.0
    """dBFS, RMS of the spoken parts"""


def apply(samples: Samples, rate: int, mood: Mood) -> Samples:
    """Give a voice a mood (speed is left to the synthesiser; see :func:`synthesis_speed`).

    Args:
        samples: The voice as synthesised.
        rate: Hz.
        mood: What to make of it.

    Returns:
        Float samples, of the level that the mood names.
    """
    if mood.formants != 1:
        # Playing faster raises formants and pitch alike; the pitch is put right just below.
        position = np.arange(0, len(samples) - 1, mood.formants)
        samples = np.interp(position, np.arange(len(samples)), samples)
    if mood.pitch != mood.formants or mood.spread != 1:
        samples = bend_pitch(samples, rate, mood.pitch / mood.formants, mood.spread)
    samples = tilt(samples, rate, mood.tilt)
    samples = samples / (speech_rms(samples, rate) or 1.0)
    if mood.emphasis != 1:
        samples = emphasise(samples, rate, mood.emphasis)
        samples = samples / (speech_rms(samples, rate) or 1.0)
    return np.asarray(samples * 10 ** (mood.level / 20))


def synthesis_speed(mood: Mood) -> float:
    """The speed to ask of the synthesiser, as raising the formants makes speech faster too."""
    return mood.speed / mood.formants


def speech_rms(samples: Samples, rate: int) -> float:
    """RMS of the 20 ms frames within 25 dB of the loudest; 0 for silence."""
    size = rate // 50
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    power = np.mean(frames**2, axis=1) if len(frames) else np.zeros(1)
    return float(np.sqrt(np.mean(power[power >= power.max() * 10**-2.5])))


def emphasise(samples: Samples, rate: int, factor: float) -> Samples:
    """Widen (or narrow) the differences in level between syllables, by at most 12 dB.

    Args:
        samples: A voice of RMS 1.
        rate: Hz.
        factor: Of the level in dB about that RMS, smoothed over 80 ms (half a syllable).
    """
    window = np.hanning(rate * 8 // 100)
    power = np.convolve(samples**2, window / window.sum(), mode="same")
    level = 10 * np.log10(np.maximum(power, 1e-6))
    return samples * 10 ** (np.clip((factor - 1) * level, -12, 12) / 20)


def tilt(samples: Samples, rate: int, gain: float) -> Samples:
    """Raise what is above 1 kHz by ``gain`` dB against the rest, over two octaves."""
    octaves = np.log2(np.maximum(np.fft.rfftfreq(len(samples), 1 / rate), 1.0) / 1000)
    shape = 10 ** (gain * np.clip(octaves / 2 + 0.5, 0, 1) / 20)
    return np.fft.irfft(np.fft.rfft(samples) * shape, len(samples))


def track_pitch(samples: Samples, rate: int) -> tuple[Samples, int]:
    """F0 by normalised autocorrelation of 40 ms windows (Boersma 1993), median-smoothed.

    Returns:
        F0 in Hz (0 where unvoiced) for each hop, and the hop in samples.
    """
    hop, size = rate // 200, rate // 25
    shortest, longest = rate // 450, rate // 70
    padded = np.pad(samples, size)
    window = np.hanning(size)
    fade = np.fft.irfft(np.abs(np.fft.rfft(window, 2 * size)) ** 2)[: longest + 1]
    floor = speech_rms(samples, rate) * 0.05
    f0 = np.zeros(len(samples) // hop + 1)
    for i in range(len(f0)):
        start = i * hop + size - size // 2
        frame = padded[start : start + size]
        if np.sqrt(np.mean(frame**2)) < floor:
            continue
        spectrum = np.abs(np.fft.rfft((frame - frame.mean()) * window, 2 * size)) ** 2
        correlation = np.fft.irfft(spectrum)[: longest + 1]
        correlation = correlation / (correlation[0] or 1.0) / (fade / fade[0])
        # A little more weight to short lags keeps the octave below from winning.
        lags = correlation[shortest:] * (1 - 0.1 * np.linspace(0, 1, longest + 1 - shortest))
        best = int(np.argmax(lags))
        if lags[best] > 0.5:
            f0[i] = rate / (best + shortest)
    for i in range(2, len(f0) - 2):
        voiced = f0[i - 2 : i + 3][f0[i - 2 : i + 3] > 0]
        if f0[i] and len(voiced) >= 3:
            f0[i] = np.median(voiced)
    return f0, hop


def bend_pitch(samples: Samples, rate: int, shift: float, spread: float) -> Samples:
    """Change mean and range of F0, keeping length and formants (TD-PSOLA).

    Moulines & Charpentier 1990, Speech Communication 9: grains of two periods, cut about
    pitch marks, are laid again at the new distance.
    """
    f0, hop = track_pitch(samples, rate)
    if not np.any(f0):
        return samples
    mean = np.exp(np.mean(np.log(f0[f0 > 0])))
    marks, periods = _pitch_marks(samples, rate, f0, hop)
    size = len(samples) + rate // 10
    out, weight = np.zeros(size), np.zeros(size)
    at = float(marks[0])
    while at < marks[-1]:
        nearest = int(np.argmin(np.abs(marks - at)))
        mark, period = marks[nearest], periods[nearest]
        voice = f0[min(int(at) // hop, len(f0) - 1)]
        lo, hi = max(mark - period, 0), min(mark + period, len(samples))
        window = np.hanning(2 * period + 1)[lo - mark + period : hi - mark + period]
        to = round(at) - (mark - lo)
        if to >= 0:
            out[to : to + hi - lo] += samples[lo:hi] * window
            weight[to : to + hi - lo] += window
        if voice:
            target = mean * shift * (voice / mean) ** spread
            at += rate / float(np.clip(target, 60, 600))
        else:
            at += period
    return (out / np.maximum(weight, 0.3))[: len(samples)]


def _pitch_marks(
    samples: Samples, rate: int, f0: Samples, hop: int
) -> tuple[np.ndarray, np.ndarray]:
    """Marks on the peaks of each period (every 5 ms where unvoiced), and the local period."""
    marks, periods = [0], [rate // 200]
    position = 0
    while position < len(samples) - 1:
        voice = f0[min(position // hop, len(f0) - 1)]
        period = int(rate / voice) if voice else rate // 200
        target = marks[-1] + period
        if voice:
            reach = max(period // 5, 1)
            lo, hi = target - reach, min(target + reach, len(samples))
            if lo < hi:
                target = lo + int(np.argmax(samples[lo:hi]))
        position = max(target, marks[-1] + 1)
        marks.append(min(position, len(samples) - 1))
        periods.append(period)
    return np.array(marks), np.array(periods)
