"""What an acoustic model says of labelled clips, along the path that a call takes; kept.

Clips go through the same :meth:`AcousticModel.score` as windows of a call,
abstentions included.  What the model abstained from is scored once more with the
gates open, so that it can be told what abstaining cost or saved.

The work is spread over processes, and what comes out is kept under a name that
digests all that it depends on (the model, the clips, the condition, the code), so
figures and pictures can be changed without scoring again.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Final

import numpy as np

import voicebot
from voicebot.emotion.acoustic import AcousticModel, AcousticParams
from voicebot.emotion.frames import RATE
from voicebot.errors import OutputError
from voicebot.events import EMOTIONS, Pcm
from voicebot.training.augmentation import Condition, degrade
from voicebot.training.feature_cache import default_cache
from voicebot.training.predictions import Floats, Predictions, Strings, score_rows
from voicebot.training.report import Progress
from voicebot.training.speakers import genders
from voicebot.training.speech_corpora import Clip, for_testing, read_clip, read_noises

OPEN: Final = AcousticParams(min_speech_seconds=0.3, min_snr_db=-10.0, max_clipped_share=1.0)
"""Never abstains, but from silence."""
_CHUNK: Final = 16
_COLUMNS: Final = len(EMOTIONS) + 3
"""Of what is kept of a clip: logit, probabilities, seconds, SNR."""
_CODE: Final = (
    "emotion/*.py", "audio/*.py",
    *(f"training/{m}.py" for m in ("augmentation", "low_rate_codec", "packet_loss", "rooms",
                                   "tempo", "acoustic_predictions")),
)  # fmt: skip
"""Modules that the scores depend on."""


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
    model: Path
    params: AcousticParams
    path: Path
    condition: Condition
    seed: tuple[int, ...]


Row = tuple[Floats, str]
"""Numbers of one clip, shape ``(_COLUMNS,)``, and why the model abstained."""
Spread = Callable[[Callable[[_Job], Row], Iterable[_Job]], Iterator[Row]]


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
    paths = [cache / f"acoustic-{_digest(data, request, seed)}.npz" for request in requests]
    kept = [_kept(p, len(r.clips)) for p, r in zip(paths, requests, strict=True)]
    total = sum(len(r.clips) for r, found in zip(requests, kept, strict=True) if found is None)
    done = 0
    out = []
    with _workers(workers) as spread:
        for path, request, found in zip(paths, requests, kept, strict=True):
            if found is None:
                noises = data if request.condition.snr_db is not None else None
                rows: list[Row] = []
                for row in spread(partial(_score, noises), _jobs(request, seed)):
                    rows.append(row)
                    done += 1
                    progress("scoring", done / total)
                found = _table(rows)
                _keep(path, *found)
            out.append(_predictions(request.clips, *found, known))
    return out


def predictions_cache() -> Path:
    """Where scores are kept by default, beside the features."""
    return default_cache().parent / "predictions"


@contextmanager
def _workers(count: int) -> Iterator[Spread]:
    """A ``map`` over this many processes, or in this one; they start with the first work."""
    if count == 1:
        yield map
        return
    # Spawned, for a fork would copy the locks of the progress bar's and the runtime's threads.
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool:
        yield partial(pool.map, chunksize=_CHUNK)


def _jobs(request: Request, seed: int) -> list[_Job]:
    # Salted by condition, so that one clip meets another stretch of noise in each.
    salt = zlib.crc32(repr(request.condition).encode())
    return [
        _Job(
            request.model, request.params, clip.path, request.condition,
            (seed, salt, zlib.crc32(clip.file.encode())),
        )
        for clip in request.clips
    ]  # fmt: skip


def _score(noises: Path | None, job: _Job) -> Row:
    background = _noises(noises) if noises is not None else ()
    rng = np.random.default_rng(job.seed)
    samples = degrade(read_clip(job.path), job.condition, rng, background)
    seconds = len(samples) / RATE
    reading = _model(job.model, job.params).score(samples, RATE, seconds)
    score = reading.score
    if score is None:
        score = _model(job.model, OPEN).score(samples, RATE, seconds).score
    logit, probabilities = score_rows([score])
    return np.concatenate(
        [logit, probabilities[0], [seconds, reading.snr_db]]
    ), reading.abstained or ""


@lru_cache(maxsize=4)
def _model(folder: Path, params: AcousticParams) -> AcousticModel:
    return AcousticModel.load(folder, params)


@lru_cache(maxsize=1)
def _noises(data: Path) -> tuple[Pcm, ...]:
    """The noises, read once by each worker: smaller to name than to send."""
    return tuple(read_noises(data, for_testing))


def _table(rows: Sequence[Row]) -> tuple[Floats, Strings]:
    numbers = np.array([numbers for numbers, _ in rows], dtype=np.float64)
    return numbers.reshape(-1, _COLUMNS), np.array([reason for _, reason in rows], dtype=np.str_)


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


def _kept(path: Path, count: int) -> tuple[Floats, Strings] | None:
    """What an earlier run found, or None if it is not there or broken."""
    try:
        with np.load(path) as file:
            numbers, abstained = file["numbers"], file["abstained"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    fits = numbers.shape == (count, _COLUMNS) and abstained.shape == (count,)
    return (numbers, abstained) if fits else None


def _keep(path: Path, numbers: Floats, abstained: Strings) -> None:
    part = path.with_name(f"{path.stem}.{os.getpid()}.part.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(part, numbers=numbers, abstained=abstained)
        part.replace(path)
    except OSError as err:
        raise OutputError(
            f"{path}: {err.strerror or err}", "free some space or choose another --cache"
        ) from err


def _digest(data: Path, request: Request, seed: int) -> str:
    """Name for everything that the scores depend on."""
    package = Path(voicebot.__file__).parent
    read = [p for p in request.model.glob("*") if p.suffix in (".onnx", ".json")]
    read += [path for pattern in _CODE for path in package.glob(pattern)]
    digest = hashlib.sha256()
    for path in sorted(read):
        digest.update(path.read_bytes())
    for clip in request.clips:
        digest.update(f"{clip.file} {clip.path.stat().st_size}\n".encode())
    if request.condition.snr_db is not None:
        for noise in sorted((data / "noise").glob("*.ogg")):
            digest.update(f"{noise.name} {noise.stat().st_size}\n".encode())
    digest.update(repr((request.condition, request.params, seed)).encode())
    return digest.hexdigest()[:16]
