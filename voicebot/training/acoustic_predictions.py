"""What an acoustic model says of labelled clips, along the path that a call takes; kept.

Clips go through the same :meth:`AcousticModel.score` as windows of a call,
abstentions included.  What the model abstained from is scored once more with the
gates open, so that it can be told what abstaining cost or saved.

The work is spread over processes, and what comes out is kept under a name that
digests all that it depends on (the model, the clips, the condition, the code), so
figures and pictures can be changed without scoring again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from voicebot.emotion.acoustic import AcousticModel, AcousticParams
from voicebot.emotion.frames import RATE
from voicebot.events import EMOTIONS, Pcm
from voicebot.training.augmentation import Condition
from voicebot.training.hearing import Hearing
from voicebot.training.predictions import Floats, Predictions, Strings, score_rows
from voicebot.training.report import Progress
from voicebot.training.score_cache import (
    Row,
    digest_of,
    model_files,
    rows_of,
)
from voicebot.training.speakers import genders
from voicebot.training.speech_corpora import Clip, for_testing

OPEN: Final = AcousticParams(min_speech_seconds=0.3, min_snr_db=-10.0, max_clipped_share=1.0)
"""Never abstains, but from silence."""
_COLUMNS: Final = len(EMOTIONS) + 3
"""Of what is kept of a clip: logit, probabilities, seconds, SNR."""
_CODE: Final = ("voicebot.emotion.acoustic", "voicebot.training.hearing")
"""Modules that the scores depend on, with what they import."""


@dataclass(frozen=True, slots=True)
class Request:
    """Clips to be scored by one model under one condition."""

    model: Path
    """model folder"""
    clips: tuple[Clip, ...]
    condition: Condition
    params: AcousticParams = field(default_factory=AcousticParams)


@dataclass(frozen=True, slots=True)
class _Job:
    data: Path
    model: Path
    params: AcousticParams
    clip: Clip
    condition: Condition
    seed: int


def predict(
    data: Path,
    requests: Sequence[Request],
    *,
    seed: int,
    cache: Path,
    workers: int,
    progress: Progress,
) -> list[Predictions]:
    """Score clips, or take what was kept of an earlier run.

    Args:
        data: Has ``speech/`` and ``noise/``; of the noises only those that training never heard
            are taken.
        requests: What to score by which model.
        seed: Of the noise and all other chance; the outcome depends on no order or number.
        cache: Folder to keep the scores in, created if missing.
        workers: Processes; 1 works in this one.
        progress: Told how far it is.

    Returns:
        One for each request, entries in the order of its clips.

    Raises:
        ModelError: a model, a clip or the noise cannot be read.
        OutputError: the scores cannot be kept.
    """
    known = genders(data, {c.speaker for r in requests for c in r.clips})
    batches = [
        (
            cache / f"acoustic-{_digest(data, r, seed)}.npz",
            [_Job(data, r.model, r.params, clip, r.condition, seed) for clip in r.clips],
        )
        for r in requests
    ]
    found = rows_of(_score, batches, _COLUMNS, workers=workers, what="scoring", progress=progress)
    return [_predictions(r.clips, *rows, known) for r, rows in zip(requests, found, strict=True)]


def heard(data: Path, clip: Clip, condition: Condition, seed: int) -> Pcm:
    """A clip as it arrives, 8 kHz: the same samples that :func:`predict` scores.

    Raises:
        ModelError: the clip or the noise cannot be read.
    """
    return Hearing(data, for_testing, condition, seed).of(clip)


def _score(job: _Job) -> Row:
    samples = heard(job.data, job.clip, job.condition, job.seed)
    seconds = len(samples) / RATE
    reading = _model(job.model, job.params).score(samples, RATE, seconds)
    score = reading.score
    if score is None:
        score = _model(job.model, OPEN).score(samples, RATE, seconds).score
    logit, probabilities = score_rows([score])
    numbers = np.concatenate([logit, probabilities[0], [seconds, reading.snr_db]])
    return numbers, reading.abstained or ""


@lru_cache(maxsize=4)
def _model(folder: Path, params: AcousticParams) -> AcousticModel:
    return AcousticModel.load(folder, params)


def _predictions(
    clips: Sequence[Clip], numbers: Floats, abstained: Strings, known: Mapping[str, str]
) -> Predictions:
    return Predictions(
        file=np.array([c.file for c in clips], dtype=np.str_),
        corpus=np.array([c.corpus for c in clips], dtype=np.str_),
        language=np.array([c.language for c in clips], dtype=np.str_),
        speaker=np.array([c.speaker for c in clips], dtype=np.str_),
        gender=np.array([known[c.speaker] for c in clips], dtype=np.str_),
        emotion=np.array([c.emotion for c in clips], dtype=np.int64),
        logit=numbers[:, 0],
        probabilities=numbers[:, 1 : len(EMOTIONS) + 1],
        speech_seconds=numbers[:, -2],
        snr_db=numbers[:, -1],
        abstained=abstained,
    )


def _digest(data: Path, request: Request, seed: int) -> str:
    """Name for everything that the scores depend on."""
    noises = sorted((data / "noise").glob("*.ogg")) if request.condition.snr_db else []
    return digest_of(
        model_files(request.model), _CODE,
        [(c.file, c.path.stat().st_size) for c in request.clips],
        [(n.name, n.stat().st_size) for n in noises],
        request.condition, request.params, seed,
    )  # fmt: skip
