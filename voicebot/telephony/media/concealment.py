"""What is heard in the place of lost packets.

The last pitch period is repeated and fades, as in ITU-T G.711 Appendix I (09/1999).
The standard delays its output by 3.75 ms to smooth what came before the gap; here
nothing is delayed, so instead the step at the start of the gap is faded out.
:mod:`voicebot.training.packet_loss` does the same to recordings, for training.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from voicebot.events import Pcm

_Floats = npt.NDArray[np.float64]

_SHORTEST, _LONGEST, _COMPARED = 0.005, 0.015, 0.02
"""s; pitch periods tried, and how much is compared (I.2.2)"""
HISTORY: Final = 0.0375
"""s of audio that must be known before a gap: the longest period and a half, and 15 ms"""
_KEPT = 0.01
"""s that is repeated at full level (I.2.7)"""
_FADE = 0.05
"""s over which it then fades to nothing (I.2.7: 20 % in each 10 ms)"""


class Concealment:
    """Makes up one gap.

    Args:
        history: What was heard last, at least :data:`HISTORY` of it; shorter means silence.
        rate: Hz.
    """

    def __init__(self, history: Pcm, rate: int) -> None:
        self._rate = rate
        self._place = 0
        self._cycle: _Floats | None = None
        if len(history) >= round(HISTORY * rate):
            self._cycle, self._step = _cycle(history[-round(HISTORY * rate) :], rate)

    def take(self, samples: int) -> Pcm:
        """The next samples of the gap."""
        start, self._place = self._place, self._place + samples
        # Beyond the fade all is silence: work on no more than is audible.
        audible = min(samples, round((_KEPT + _FADE) * self._rate) - start)
        out: Pcm = np.zeros(samples, np.int16)
        if self._cycle is not None and audible > 0:
            out[:audible] = self._made_up(start, audible)
        return out

    def blend(self, pcm: Pcm) -> Pcm:
        """Fade into the first audio after the gap (I.2.5); same length."""
        length = min(len(pcm), round(0.005 * self._rate))
        if self._cycle is None or not length or self._place >= (_KEPT + _FADE) * self._rate:
            return pcm
        share = np.arange(1, length + 1) / length
        out = pcm.copy()
        out[:length] = np.rint(
            self._made_up(self._place, length) * (1.0 - share) + pcm[:length] * share
        )
        return out

    def _made_up(self, start: int, samples: int) -> _Floats:
        assert self._cycle is not None
        at = np.arange(start, start + samples)
        seconds = at / self._rate
        out = np.take(self._cycle, at, mode="wrap")
        out += self._step * np.maximum(1.0 - seconds / _SHORTEST, 0.0)
        out *= np.clip(1.0 - (seconds - _KEPT) / _FADE, 0.0, 1.0)
        return np.clip(np.rint(out), -32768, 32767)


def _cycle(history: Pcm, rate: int) -> tuple[_Floats, float]:
    """The last pitch period, made to repeat without a step; and the step from what was heard."""
    wide = history.astype(np.float64)
    shortest, longest = round(_SHORTEST * rate), round(_LONGEST * rate)
    compared = round(_COMPARED * rate)
    last = wide[-compared:]
    view = np.lib.stride_tricks.sliding_window_view(wide[-compared - longest :], compared)
    before = view[longest - np.arange(shortest, longest + 1)]
    energy = np.maximum(np.einsum("ij,ij->i", before, before), 250.0)
    period = shortest + int(np.argmax(before @ last / np.sqrt(energy)))
    cycle = wide[-period:].copy()
    overlap = min(period // 4, len(wide) - period)
    share = np.arange(1, overlap + 1) / overlap
    cycle[-overlap:] = cycle[-overlap:] * (1.0 - share) + wide[-period - overlap : -period] * share
    return cycle, float(wide[-1] - cycle[-1])
