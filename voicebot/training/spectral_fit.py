"""Training and running the networks on spectrograms.

Training hides bands and stretches of time (D. Park et al., "SpecAugment", 2019).  The emotion is
the target and anger's log-odds the score, as for the small networks on features of whole clips.
torch works on one thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from voicebot.emotion.calibration import ANGER
from voicebot.training.spectral_networks import Spectral, build
from voicebot.training.spectrograms import HEARD_BANDS, Spectrograms
from voicebot.training.speech_corpora import Clip, balanced_weights
from voicebot.training.text_encoder import need_torch

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

MOST_BANDS_HIDDEN: Final = 8
MOST_TIME_HIDDEN: Final = 0.2
"""share of the clip"""
WARM_UP: Final = 0.1
"""share of the training in which the learning rate rises"""
_POOL: Final = 16
"""Batches that are sorted by length together, so that little of a batch is padding."""


@dataclass(frozen=True, slots=True)
class FittedSpectral:
    """A trained network."""

    net: Any
    mean: Floats
    """of each band, shape ``(HEARD_BANDS,)``"""
    scale: Floats

    def anger(self, clips: Sequence[Floats]) -> Floats:
        """Log-odds of anger of spectrograms ``(steps, HEARD_BANDS)``, shape ``(n,)``."""
        torch = need_torch()
        order = np.argsort([len(clip) for clip in clips], kind="stable")
        out = np.zeros(len(clips), dtype=np.float32)
        self.net.eval()
        with _one_thread(torch), torch.no_grad():
            for start in range(0, len(order), 64):
                some = order[start : start + 64]
                x, lengths = _batch([(clips[i] - self.mean) / self.scale for i in some])
                logits = self.net(torch.from_numpy(x), torch.from_numpy(lengths))
                out[some] = _log_odds(logits.numpy())
        return out

    @property
    def numbers(self) -> int:
        """How many numbers the network and its input's scaling hold."""
        state = self.net.state_dict().values()
        return sum(int(value.numel()) for value in state) + 2 * HEARD_BANDS


def fit_spectral(
    spectra: Sequence[Spectrograms],
    clips: Sequence[Clip],
    rows: Indices,
    shape: Spectral,
    seed: int,
    progress: Callable[[float], None],
) -> FittedSpectral:
    """Train a network on all conditions of some clips, balanced as the other models are.

    Args:
        spectra: One for each condition, of all clips.
        clips: All clips.
        rows: Which of them to train on.
        shape: What to train.
        seed: Of all chance.
        progress: Told the share that is done.

    Raises:
        ModelError: torch is not installed.
    """
    torch = need_torch()
    rng = np.random.default_rng(seed)
    jobs = [(condition, int(row)) for condition in range(len(spectra)) for row in rows]
    chosen = [clips[row] for row in rows]
    weight = np.tile(balanced_weights(chosen), len(spectra)).astype(np.float32)
    emotion = np.tile([c.emotion for c in chosen], len(spectra)).astype(np.int64)
    lengths = np.array([spectra[condition].lengths[row] for condition, row in jobs])
    mean, scale = _scaling(spectra, rows)
    batches = _batches(lengths, shape, rng)
    with _one_thread(torch), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = build(shape)
        optimiser = torch.optim.AdamW(net.parameters(), shape.rate, weight_decay=shape.decay)
        net.train()
        for step, some in enumerate(batches):
            pieces = [spectra[jobs[i][0]][jobs[i][1]] for i in some]
            x, long = _batch([_hidden((piece - mean) / scale, rng) for piece in pieces])
            for group in optimiser.param_groups:
                group["lr"] = shape.rate * _pace(step / len(batches))
            logits = net(torch.from_numpy(x), torch.from_numpy(long))
            loss = torch.nn.functional.cross_entropy(
                logits, torch.from_numpy(emotion[some]), reduction="none"
            )
            optimiser.zero_grad()
            (loss * torch.from_numpy(weight[some])).mean().backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            progress((step + 1) / len(batches))
    return FittedSpectral(net, mean, scale)


def _scaling(spectra: Sequence[Spectrograms], rows: Indices) -> tuple[Floats, Floats]:
    """Mean and deviation of each band over the clips, each clip counting alike."""
    means, squares = [], []
    for some in spectra:
        for row in rows:
            x = some[row]
            means.append(x.mean(axis=0))
            squares.append(np.square(x).mean(axis=0))
    mean = np.mean(means, axis=0, dtype=np.float64)
    variance = np.mean(squares, axis=0, dtype=np.float64) - mean**2
    scale = np.sqrt(np.maximum(variance, 1e-6))
    return np.asarray(mean, np.float32), np.asarray(scale, np.float32)


def _batches(lengths: Indices, shape: Spectral, rng: np.random.Generator) -> list[Indices]:
    """Indices of each batch: clips of like length together, in an order left to chance."""
    epochs = max(1, round(shape.samples / len(lengths)))
    out = []
    for _ in range(epochs):
        order = rng.permutation(len(lengths))
        batches = []
        for start in range(0, len(order), shape.batch * _POOL):
            pool = order[start : start + shape.batch * _POOL]
            pool = pool[np.argsort(lengths[pool], kind="stable")]
            batches += [pool[i : i + shape.batch] for i in range(0, len(pool), shape.batch)]
        # A single clip has no variance to normalise a batch by.
        batches = [batch for batch in batches if len(batch) > 1]
        out += [batches[i] for i in rng.permutation(len(batches))]
    return out


def _batch(pieces: Sequence[Floats]) -> tuple[Floats, Indices]:
    """Spectrograms padded to one length, and their own lengths."""
    lengths = np.array([len(piece) for piece in pieces], dtype=np.int64)
    x = np.zeros((len(pieces), int(lengths.max()), HEARD_BANDS), dtype=np.float32)
    for row, piece in zip(x, pieces, strict=True):
        row[: len(piece)] = piece
    return x, lengths


def _hidden(x: Floats, rng: np.random.Generator) -> Floats:
    """A scaled spectrogram with some bands and a stretch of time at their mean."""
    high = int(rng.integers(MOST_BANDS_HIDDEN + 1))
    low = int(rng.integers(HEARD_BANDS - high + 1))
    x[:, low : low + high] = 0.0
    long = int(rng.integers(int(len(x) * MOST_TIME_HIDDEN) + 1))
    start = int(rng.integers(len(x) - long + 1))
    x[start : start + long] = 0.0
    return x


def _pace(done: float) -> float:
    """Learning rate as a share of the highest: up in a line, down in half a cosine."""
    if done < WARM_UP:
        return (done + 1e-3) / (WARM_UP + 1e-3)
    return 0.5 * (1.0 + math.cos(math.pi * (done - WARM_UP) / (1.0 - WARM_UP)))


def _log_odds(logits: Floats) -> Floats:
    """Anger against the six others."""
    others = np.delete(logits, ANGER, axis=1)
    peak = others.max(axis=1)
    total = peak + np.log(np.exp(others - peak[:, None]).sum(axis=1))
    return np.asarray(logits[:, ANGER] - total, dtype=np.float32)


@contextmanager
def _one_thread(torch: Any) -> Iterator[None]:
    """Work on one core, and leave torch as it was."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
