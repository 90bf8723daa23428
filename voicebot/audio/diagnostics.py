"""What is odd about the level of a leg: silent, clipped, not a number."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from voicebot.audio import pcm
from voicebot.events import Leg

SILENT_DBFS: Final = -50.0
"""dBFS; a whole recording whose peak stays below holds no usable speech"""
CLIPPED_SHARE: Final = 0.01
"""a share of clipped samples beyond which the voice is distorted"""


class Inspector:
    """Counts, piece by piece, what may be wrong with the samples of each leg.

    Args:
        name: File or device, for the sentences.
        legs: The leg of each column.
    """

    def __init__(self, name: str, legs: tuple[Leg, ...]) -> None:
        self._name = name
        self._legs = legs
        self._samples = 0
        self._peak = np.zeros(len(legs))
        self._clipped = np.zeros(len(legs), np.int64)
        self._unreal = 0

    def clean(self, samples: pcm.Floats) -> pcm.Floats:
        """Count what is odd, and give back samples that are safe to work on.

        NaN and infinity become zero; magnitudes are limited to four times full scale
        so that no arithmetic overflows.

        Args:
            samples: Shape ``(samples, legs)``.
        """
        if not len(samples):
            return samples
        real = np.isfinite(samples)
        if not real.all():
            self._unreal += int(real.size - np.count_nonzero(real))
            samples = np.where(real, samples, np.float32(0))
        size: npt.NDArray[np.float32] = np.abs(samples)
        self._samples += len(samples)
        self._peak = np.maximum(self._peak, size.max(axis=0))
        self._clipped += np.count_nonzero(size >= pcm.CLIP_LEVEL / pcm.FULL_SCALE, axis=0)
        return np.clip(samples, -4, 4) if self._peak.max() > 4 else samples

    def findings(self) -> list[str]:
        """A sentence for each thing that is wrong so far."""
        found = []
        if self._unreal:
            found.append(
                f"{self._name}: {self._unreal} samples are not a number or infinite and were"
                " taken as silence (export the file again, as 16-bit)"
            )
        if not self._samples:
            found.append(f"{self._name}: holds no audio at all (record or export it again)")
            return found
        for column, leg in enumerate(self._legs):
            peak = float(self._peak[column])
            share = float(self._clipped[column]) / self._samples
            if peak == 0.0:
                found.append(
                    f"{self._name}: the {leg} leg is digital silence"
                    " (check the recorder, or the channels with --legs)"
                )
            elif 20.0 * np.log10(peak) < SILENT_DBFS:
                found.append(
                    f"{self._name}: the {leg} leg is all but silent, peak"
                    f" {20.0 * np.log10(peak):.0f} dBFS (raise the recording level)"
                )
            elif share > CLIPPED_SHARE:
                beyond = f", up to {peak:.3g} times full scale" if peak > 1.01 else ""
                found.append(
                    f"{self._name}: the {leg} leg is far too loud, {share:.0%} of its samples"
                    f" are clipped{beyond} (lower the recording level)"
                )
        return found
