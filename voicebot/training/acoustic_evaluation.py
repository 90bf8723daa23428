"""The shipped acoustic model on unseen speakers, along the path that a call takes.

Clips go through the same :meth:`AcousticModel.score` as windows of a call,
abstentions included, clean and under noises that training never heard.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from voicebot.emotion.acoustic import AcousticModel, AcousticReading
from voicebot.emotion.frames import RATE
from voicebot.events import EMOTIONS
from voicebot.training.acoustic import leave_corpora_out, training_tables
from voicebot.training.acoustic_model import Recipe
from voicebot.training.augmentation import CLEAN, TEST_NOISY, TRAINING, Condition, degrade
from voicebot.training.evaluation import anger_figures, class_figures, mean_of
from voicebot.training.report import Progress, Table
from voicebot.training.speech_corpora import (
    Clip,
    for_testing,
    read_clip,
    read_manifest,
    read_noises,
)

CONDITIONS: Final[Mapping[str, Condition]] = {"mu-law": CLEAN, "10 dB noise": TEST_NOISY}


@dataclass(frozen=True, slots=True)
class Heard:
    """A clip and what the model said of it."""

    clip: Clip
    condition: str
    reading: AcousticReading


def hear(
    data: Path,
    clips: Sequence[Clip],
    model: AcousticModel,
    *,
    conditions: Mapping[str, Condition] = CONDITIONS,
    seed: int = 0,
    progress: Progress,
) -> Iterator[Heard]:
    """Score clips under each condition.

    Args:
        data: Has ``noise/``.
        clips: What to score.
        model: As shipped.
        conditions: Name to what happens on the way.
        seed: Of the noise.
        progress: Told how far it is.

    Raises:
        ModelError: a clip or the noise cannot be read.
    """
    noisy = any(c.snr_db for c in conditions.values())
    noises = read_noises(data, for_testing) if noisy else []
    total = len(clips) * len(conditions)
    for number, (name, condition) in enumerate(conditions.items()):
        for index, clip in enumerate(clips):
            rng = np.random.default_rng((seed, number, zlib.crc32(clip.file.encode())))
            samples = degrade(read_clip(clip.path), condition, rng, noises)
            yield Heard(clip, name, model.score(samples, RATE, len(samples) / RATE))
            progress("acoustic", (number * len(clips) + index + 1) / total)


def evaluate_acoustic(data: Path, model: AcousticModel, *, seed: int, progress: Progress) -> Table:
    """Figures of the shipped model on the test split, by corpus and condition.

    Returns:
        Row such as ``nemo, mu-law`` to the figures of :func:`anger_figures` and
        :func:`class_figures` over the clips that were scored; ``happy_called_angry``, the share
        of happy clips above the threshold that catches 80 % of the angry ones; and
        ``abstained``, the share that were not scored.  The means over corpora come last.

    Raises:
        ModelError: the data is missing or broken.
    """
    clips = [c for c in read_manifest(data) if c.split == "test"]
    heard = list(hear(data, clips, model, seed=seed, progress=progress))
    rows: dict[str, dict[str, float]] = {}
    for condition in CONDITIONS:
        mine = []
        for corpus in sorted({c.corpus for c in clips}):
            chosen = [h for h in heard if h.condition == condition and h.clip.corpus == corpus]
            rows[f"{corpus}, {condition}"] = figures = _figures(chosen)
            mine.append(figures)
        rows[f"mean, {condition}"] = mean_of(mine)
    return rows


def evaluate_unseen(
    data: Path, *, seed: int, cache: Path | None, workers: int, progress: Progress
) -> Table:
    """Figures with each corpus left out of training in turn, under the training conditions.

    The models are fitted anew, so this takes minutes, most of them for features that are not yet
    in the cache.

    Raises:
        ModelError: the data is missing or broken, or the ``train`` extra is not installed.
        OutputError: the cache cannot be written.
    """
    clips, tables = training_tables(
        data, TRAINING, seed=seed, cache=cache, workers=workers, progress=progress
    )
    left_out = leave_corpora_out(tables, clips, Recipe(), seed, progress)
    angry = np.array([c.angry for c in clips])
    corpus = np.array([c.corpus for c in clips])
    names = ("mu-law", "0-20 dB noise", "cut to 1-3 s", "joined")
    rows: dict[str, dict[str, float]] = {}
    for number, name in enumerate(names):
        mine: dict[str, dict[str, float]] = {}
        for left in sorted(set(corpus)):
            chosen = corpus == left
            figures = anger_figures(left_out.anger[number, chosen], angry[chosen])
            # The raw logit is not calibrated, so only what depends on the order is told.
            mine[left] = {k: v for k, v in figures.items() if k not in ("brier", "ece")}
            rows[f"{left} unseen, {name}"] = mine[left]
        rows[f"mean unseen, {name}"] = mean_of(list(mine.values()))
    return rows


def happy_called_angry(logit: np.ndarray, emotion: np.ndarray, recall: float = 0.8) -> float | None:
    """Share of happy clips at or above the threshold that catches this share of the angry ones.

    Args:
        logit: Anger logits, shape ``(n,)``.
        emotion: Index of the true emotion, shape ``(n,)``.
        recall: Share of angry clips to catch, 0-1.

    Returns:
        0-1; None if there are no happy or no angry clips.
    """
    angry = -np.sort(-logit[emotion == EMOTIONS.index("anger")])
    happy = logit[emotion == EMOTIONS.index("happiness")]
    if not len(angry) or not len(happy):
        return None
    caught = int(np.ceil(recall * len(angry) - 1e-9))
    threshold = angry[max(caught, 1) - 1]
    return float(np.mean(happy >= threshold))


def _figures(heard: Sequence[Heard]) -> dict[str, float]:
    """Figures of some readings."""
    scored = [(h.clip, h.reading.score) for h in heard if h.reading.score is not None]
    figures = {"abstained": 1.0 - len(scored) / len(heard)}
    if not scored:
        return figures
    logit = np.array([score.anger_logit for _, score in scored])
    emotion = np.array([clip.emotion for clip, _ in scored])
    probabilities = np.array([[score.probabilities[e] for e in EMOTIONS] for _, score in scored])
    figures |= anger_figures(logit, emotion == EMOTIONS.index("anger"))
    figures |= class_figures(probabilities, emotion)
    if (share := happy_called_angry(logit, emotion)) is not None:
        figures["happy_called_angry"] = share
    return figures
