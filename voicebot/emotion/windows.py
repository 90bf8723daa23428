"""Which stretches of an utterance are scored, and when.

While the caller speaks, a window over the last few seconds is due about once a
second: it keeps the display alive and shows a rise early.  When the utterance
ends it is scored as a whole, and only that *settled* score becomes evidence.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise

import numpy as np

from voicebot.events import Pcm
from voicebot.params import Params, key


class WindowParams(Params):
    """When to score and over how much speech."""

    window_seconds: float = key(
        3.0, "Speech that one running window covers.", unit="s", ge=1.0, le=8.0
    )
    hop_seconds: float = key(
        1.0, "New speech between two running windows; 0 scores finished utterances only.",
        unit="s", ge=0.0, le=8.0,
    )  # fmt: skip
    piece_seconds: float = key(
        8.0, "A finished utterance longer than this is scored in equal pieces and averaged: "
        "the models were trained on clips of a few seconds.", unit="s", ge=2.0, le=8.0,
    )  # fmt: skip


class RunningWindow:
    """The running window of one utterance; holds ``window_seconds`` of audio, no more."""

    def __init__(self, params: WindowParams, rate: int) -> None:
        self._keep = round(params.window_seconds * rate)
        self._hop = round(params.hop_seconds * rate)
        self._blocks: deque[Pcm] = deque()
        self._held = 0
        self._since = 0

    def push(self, pcm: Pcm) -> Pcm | None:
        """Take a block; return the window if one is due, else None.

        Args:
            pcm: Audio of the utterance, shape (samples,), any length.
        """
        self._blocks.append(pcm)
        self._held += len(pcm)
        self._since += len(pcm)
        while self._held - len(self._blocks[0]) >= self._keep:
            self._held -= len(self._blocks.popleft())
        if self._hop == 0 or self._since < self._hop:
            return None
        self._since = 0
        return np.concatenate(self._blocks)[-self._keep :]


def pieces(pcm: Pcm, rate: int, params: WindowParams) -> list[Pcm]:
    """Cut a finished utterance into equal pieces, none longer than ``piece_seconds``.

    Example:
        >>> [len(p) for p in pieces(np.zeros(20 * 8000, np.int16), 8000, WindowParams())]
        [53333, 53334, 53333]
    """
    count = max(1, -(-len(pcm) // round(params.piece_seconds * rate)))
    edges = [round(i * len(pcm) / count) for i in range(count + 1)]
    return [pcm[a:b] for a, b in pairwise(edges)]
