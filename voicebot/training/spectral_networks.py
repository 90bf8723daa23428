"""Networks that look at a spectrogram themselves: a convolutional and a recurrent one.

Both end in the same way: attention over time (S. Mirsamadi et al., "Automatic speech emotion
recognition using recurrent neural networks with local attention", ICASSP 2017), then seven class
logits.  What is padding is kept at nought after every layer, so that a clip has one score,
whatever it is scored beside.

torch is asked for only when a network is made (``pip install 'voicebot[train-text]'``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Literal

from voicebot.events import EMOTIONS
from voicebot.training.spectrograms import HEARD_BANDS
from voicebot.training.text_encoder import need_torch

STEPS_JOINED: Final = 4
"""steps of 20 ms that the recurrent network takes at a time"""


@dataclass(frozen=True, slots=True)
class Spectral:
    """A network and how it is trained."""

    kind: Literal["cnn", "gru"]
    width: int = 64
    """filters of the last convolution; units of the recurrent layer in each direction"""
    samples: int = 40_000
    """clips that it sees, repetitions and conditions counted, as for the other networks"""
    batch: int = 64
    rate: float = 2e-3
    """highest learning rate"""
    decay: float = 1e-2
    """of the weights"""
    dropout: float = 0.3


def build(shape: Spectral) -> Any:
    """A network with random weights, drawn from torch's generator.

    Returns:
        A ``torch.nn.Module``: spectrograms ``(batch, steps, HEARD_BANDS)``, padded behind, and
        their lengths ``(batch,)`` to class logits ``(batch, 7)``.

    Raises:
        ModelError: torch is not installed.
    """
    return _convolutional(shape) if shape.kind == "cnn" else _recurrent(shape)


def _convolutional(shape: Spectral) -> Any:
    """Three convolutions over pitch and time, each halving both."""
    torch = need_torch()
    nn = torch.nn
    filters = (1, shape.width // 4, shape.width // 2, shape.width)

    class Net(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(
                nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)
                for before, after in pairwise(filters)
            )
            self.norms = nn.ModuleList(nn.BatchNorm2d(after) for after in filters[1:])
            high = math.ceil(HEARD_BANDS / 2 ** len(self.layers))
            self.dense = nn.Linear(shape.width * high, 2 * shape.width)
            self.head = _head(nn, 2 * shape.width, shape.dropout)
            self.attention = nn.Linear(2 * shape.width, 1)

        def forward(self, x: Any, lengths: Any) -> Any:
            x = x[:, None]
            for layer, norm in zip(self.layers, self.norms, strict=True):
                x = norm(layer(x)).relu()
                lengths = (lengths + 1) // 2
                x = x * _inside(torch, lengths, x.shape[2])[:, None, :, None]
            x = self.dense(x.permute(0, 2, 1, 3).flatten(2)).relu()
            return self.head(_attend(torch, x, self.attention(x), lengths))

    return Net().to(memory_format=torch.channels_last)  # two thirds of the time


def _recurrent(shape: Spectral) -> Any:
    """A gated recurrent layer in both directions."""
    torch = need_torch()
    nn = torch.nn

    class Net(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.dense = nn.Linear(STEPS_JOINED * HEARD_BANDS, shape.width)
            self.drop = nn.Dropout(shape.dropout / 2)
            self.layer = nn.GRU(shape.width, shape.width, batch_first=True, bidirectional=True)
            self.head = _head(nn, 2 * shape.width, shape.dropout)
            self.attention = nn.Linear(2 * shape.width, 1)

        def forward(self, x: Any, lengths: Any) -> Any:
            x = nn.functional.pad(x, (0, 0, 0, -x.shape[1] % STEPS_JOINED))
            x = x.reshape(x.shape[0], -1, STEPS_JOINED * HEARD_BANDS)
            lengths = (lengths + STEPS_JOINED - 1) // STEPS_JOINED
            x = self.drop(self.dense(x).relu())
            packed = nn.utils.rnn.pack_padded_sequence(
                x, lengths, batch_first=True, enforce_sorted=False
            )
            x, _ = nn.utils.rnn.pad_packed_sequence(self.layer(packed)[0], batch_first=True)
            return self.head(_attend(torch, x, self.attention(x), lengths))

    return Net()


def _head(nn: Any, width: int, dropout: float) -> Any:
    return nn.Sequential(nn.Dropout(dropout), nn.Linear(width, len(EMOTIONS)))


def _inside(torch: Any, lengths: Any, steps: int) -> Any:
    """1 where there is sound and 0 where there is padding, shape ``(batch, steps)``."""
    return (torch.arange(steps) < lengths[:, None]).float()


def _attend(torch: Any, x: Any, weight: Any, lengths: Any) -> Any:
    """Mean over time, weighted as the network wants; ``(batch, steps, n)`` to ``(batch, n)``."""
    outside = _inside(torch, lengths, x.shape[1]) == 0
    share = weight[..., 0].masked_fill(outside, -math.inf).softmax(dim=1)
    return (x * share[..., None]).sum(dim=1)
