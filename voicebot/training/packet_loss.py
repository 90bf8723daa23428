"""Lost packets, and what a receiver plays in their place.

Loss comes in bursts, as a chain of two states: in one every packet arrives, in
the other every one is lost.

Concealment repeats the last pitch period, as the receivers of G.711 do.  The
standard delays its output by 3.75 ms so that it can still smooth what came
before the gap; working on a whole recording needs no delay, so the output here
is in time with the input.

Sources:
    E. N. Gilbert, "Capacity of a burst-noise channel", Bell System Technical
    Journal 39(5), 1960; E. O. Elliott, "Estimates of error rates for codes on
    burst-noise channels", ibid. 42(5), 1963: the chain.
    ITU-T G.711 Appendix I (09/1999), "A high quality low-complexity algorithm
    for packet loss concealment with G.711": concealment; section numbers below.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from voicebot.emotion.frames import RATE

Samples = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

PACKET: Final = RATE // 50
"""samples; 20 ms, the usual packet of a phone line"""
MEAN_BURST: Final = 1.5
"""packets; loss on wide-area networks is mostly of one packet, sometimes of several"""

_FRAME: Final = RATE // 100
_SHORTEST, _LONGEST = RATE // 200, RATE * 3 // 200
"""samples; pitch periods of 5 to 15 ms (I.2.2)"""
_COMPARED: Final = RATE // 50
"""samples; the last 20 ms are compared with what was a pitch period before (I.2.2)"""
_HISTORY: Final = 3 * _LONGEST + _LONGEST // 4
"""samples; 48.75 ms (I.2.1)"""
_FADE: Final = 0.2
"""of the amplitude that is lost in each 10 ms after the first (I.2.7)"""
_SILENT_AFTER: Final = 6
"""frames; 60 ms (I.2.7)"""


def draw_losses(
    packets: int, rate: float, rng: np.random.Generator, mean_burst: float = MEAN_BURST
) -> Mask:
    """Draw which packets are lost.

    Args:
        packets: How many are sent.
        rate: Expected share lost, 0 to below 1.
        rng: Source of chance.
        mean_burst: Mean number of packets lost in a row, at least 1.

    Returns:
        True where lost, shape ``(packets,)``.

    Raises:
        ValueError: rate or mean_burst is out of range, or no chain has both.
    """
    if not 0.0 <= rate < 1.0 or mean_burst < 1.0:
        raise ValueError(f"loss rate {rate} (0 to below 1), mean burst {mean_burst} (at least 1)")
    leave = 1.0 / mean_burst
    enter = rate * leave / (1.0 - rate)
    if enter > 1.0:
        raise ValueError(f"bursts of {mean_burst} packets are too short for a loss of {rate}")
    lost = np.zeros(packets, dtype=np.bool_)
    chance = rng.random(packets + 1)
    bad = chance[0] < rate
    for index in range(packets):
        lost[index] = bad
        bad = chance[index + 1] >= leave if bad else chance[index + 1] < enter
    return lost


def conceal(x: Samples, lost: Mask) -> Samples:
    """Replace lost packets as a G.711 receiver does.

    Args:
        x: Decoded samples at 8 kHz, shape ``(samples,)``; what is in lost packets is not looked at.
        lost: True where lost, shape ``(ceil(samples / PACKET),)``.

    Returns:
        Same shape as ``x``, in time with it.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], lost, [False]]).astype(np.int8)))
    padding = (-len(x)) % _FRAME
    out = np.concatenate([np.zeros(_HISTORY), x, np.zeros(padding)])
    for start, end in edges.reshape(-1, 2) * PACKET + _HISTORY:
        _fill(out, int(start), min(int(end), len(out)))
    return np.asarray(out[_HISTORY : _HISTORY + len(x)], dtype=np.float32)


def _fill(out: npt.NDArray[np.float64], start: int, end: int) -> None:
    """Conceal one gap in place, and blend into what follows it."""
    history = out[start - _HISTORY : start].copy()
    period = _pitch(history)
    overlap = period // 4
    frames = (end - start) // _FRAME
    source = _repeated(history, period, 1)
    # I.2.3: what was played just before the gap already fades into the repetition.
    out[start - overlap : start] = source[-overlap:]
    place = 0
    for number in range(frames):
        frame = _read(source, place, _FRAME)
        if number in (1, 2):
            # I.2.6: after each 10 ms one more period, lest repetition sound like a buzzer.
            place %= period
            source = _repeated(history, period, number + 1)
            fresh = _read(source, place, _FRAME)
            fresh[:overlap] = _blend(frame[:overlap], fresh[:overlap])
            frame = fresh
        at = start + number * _FRAME
        out[at : at + _FRAME] = frame * _gain(number, np.arange(_FRAME) / _FRAME)
        place += _FRAME
    # I.2.5: the first good samples fade in over a quarter period and 4 ms for each lost frame more.
    length = min(overlap + (frames - 1) * (_FRAME * 2 // 5), _FRAME, len(out) - end)
    tail = _read(source, place, length) * _gain(frames, np.zeros(length))
    out[end : end + length] = _blend(tail, out[end : end + length])


def _pitch(history: npt.NDArray[np.float64]) -> int:
    """Pitch period in samples: the lag of the highest normalised cross-correlation (I.2.2)."""
    last = history[-_COMPARED:]
    lags = np.arange(_SHORTEST, _LONGEST + 1)
    view = np.lib.stride_tricks.sliding_window_view(history[-_COMPARED - _LONGEST :], _COMPARED)
    before = view[_LONGEST - lags]
    energy = np.maximum(np.einsum("ij,ij->i", before, before), 250.0 / 32768.0**2)
    return int(lags[np.argmax(before @ last / np.sqrt(energy))])


def _repeated(history: npt.NDArray[np.float64], period: int, count: int) -> npt.NDArray[np.float64]:
    """The last periods of the history, their end blended so that they repeat without a step."""
    overlap, length = period // 4, period * count
    source = history[-length:].copy()
    before = history[-length - overlap : -length]
    source[-overlap:] = _blend(source[-overlap:], before)
    return source


def _read(source: npt.NDArray[np.float64], place: int, length: int) -> npt.NDArray[np.float64]:
    """Samples of an endless repetition."""
    return np.asarray(np.take(source, np.arange(place, place + length), mode="wrap"))


def _blend(old: npt.NDArray[np.float64], new: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Fade linearly from one to the other."""
    share = np.arange(1, len(old) + 1) / max(len(old), 1)
    return np.asarray(old * (1.0 - share) + new * share)


def _gain(frame: int, within: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Amplitude in a lost frame, at points 0-1 within it (I.2.7)."""
    if frame >= _SILENT_AFTER:
        return np.zeros_like(within)
    return np.asarray(1.0 - _FADE * np.maximum(frame - 1 + within, 0.0) * (frame > 0))
