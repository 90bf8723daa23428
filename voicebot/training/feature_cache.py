"""Features of every clip under every condition, computed once.

The work is spread over processes; chance is seeded by seed, condition and file
name, so the result does not depend on their number or order.  The cache is
keyed by all that the values depend on, the code included.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from voicebot.emotion import features, frames, pitch
from voicebot.emotion.features import FEATURE_SET, FEATURES, extract
from voicebot.emotion.frames import RATE
from voicebot.errors import OutputError
from voicebot.events import Pcm
from voicebot.training import augmentation, low_rate_codec, packet_loss, rooms, tempo
from voicebot.training.augmentation import Condition, degrade
from voicebot.training.report import Progress
from voicebot.training.speech_corpora import Clip, partners, read_clip, read_noises

MIN_SECONDS: Final = 0.3
"""s; a shorter clip is padded with its own end held silent, so that features exist."""
_CHUNK: Final = 32


@dataclass(frozen=True, slots=True)
class _Job:
    """One clip under one condition."""

    path: Path
    partner: Path | None
    condition: Condition
    seed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Background:
    """Which noises; hashable and small, so that it may be sent with each job."""

    data: Path
    keep: Callable[[str], bool]


def feature_table(
    data: Path,
    clips: Sequence[Clip],
    condition: Condition,
    keep_noise: Callable[[str], bool],
    *,
    seed: int,
    cache: Path,
    progress: Progress,
    workers: int = 2,
) -> npt.NDArray[np.float32]:
    """Features of all clips under one condition, from the cache where they are there.

    Args:
        data: Has ``noise/``.
        clips: From :func:`voicebot.training.speech_corpora.read_manifest`.
        condition: How each clip is heard.
        keep_noise: Which noises, by file name.
        seed: Of all chance.
        cache: Folder for the cache, created if missing.
        progress: Told how far it is.
        workers: Processes; 1 works in this one.

    Returns:
        Shape ``(clips, len(FEATURES))``.

    Raises:
        ModelError: a clip or the noise cannot be read.
        OutputError: the cache cannot be written.
    """
    path = cache / f"{FEATURE_SET.replace('/', '-')}-{_key(clips, condition, data, seed)}.npy"
    if (table := _cached(path, (len(clips), len(FEATURES)))) is not None:
        return table
    background = _Background(data, keep_noise) if condition.snr_db else None
    other = partners(clips)
    salt = zlib.crc32(repr(condition).encode())
    jobs = [
        _Job(
            clip.path,
            None if (mate := other[index]) is None else clips[mate].path,
            condition,
            (seed, salt, zlib.crc32(clip.file.encode())),
        )
        for index, clip in enumerate(clips)
    ]
    rows: list[npt.NDArray[np.float32]] = []
    for row in _map(jobs, background, workers):
        rows.append(row)
        progress("features", len(rows) / len(jobs))
    table = np.stack(rows)
    part = path.with_name(f"{path.stem}.{os.getpid()}.part.npy")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        np.save(part, table)
        part.replace(path)
    except OSError as err:
        raise OutputError(
            f"{path}: {err.strerror or err}", "free some space or choose another --cache"
        ) from err
    return table


def default_cache() -> Path:
    """``$XDG_CACHE_HOME/voicebot/features``, else below ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "voicebot" / "features"


def clip_features(pcm: Pcm) -> npt.NDArray[np.float32]:
    """Features of a whole clip at 8 kHz, padded with silence to :data:`MIN_SECONDS`."""
    short = int(MIN_SECONDS * RATE) - len(pcm)
    return extract(np.pad(pcm, (0, short)) if short > 0 else pcm)


def _map(
    jobs: Sequence[_Job], background: _Background | None, workers: int
) -> Iterator[npt.NDArray[np.float32]]:
    """Features of the jobs in their order."""
    work = partial(_run, background)
    if workers == 1:
        yield from map(work, jobs)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(work, jobs, chunksize=_CHUNK)


def _run(background: _Background | None, job: _Job) -> npt.NDArray[np.float32]:
    partner = None
    if job.condition.join and job.partner is not None:
        partner = read_clip(job.partner)
    rng = np.random.default_rng(job.seed)
    noises = _noises(background) if background is not None else ()
    return clip_features(degrade(read_clip(job.path), job.condition, rng, noises, partner))


@lru_cache(maxsize=1)
def _noises(background: _Background) -> tuple[Pcm, ...]:
    """The noises, read once by each worker: smaller to name than to send."""
    return tuple(read_noises(background.data, background.keep))


def _cached(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.float32] | None:
    """A table from the cache, or None if it is not there, broken or of another shape."""
    try:
        table = np.load(path)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None
    return table if table.shape == shape and table.dtype == np.float32 else None


def _key(clips: Sequence[Clip], condition: Condition, data: Path, seed: int) -> str:
    """Digest of everything that the values depend on."""
    digest = hashlib.sha256()
    for module in (
        features,
        frames,
        pitch,
        augmentation,
        low_rate_codec,
        packet_loss,
        rooms,
        tempo,
    ):
        digest.update(Path(module.__file__ or "").read_bytes())
    for clip in clips:
        stat = clip.path.stat()
        digest.update(f"{clip.file} {clip.speaker} {clip.emotion} {stat.st_size}\n".encode())
    for noise in sorted((data / "noise").glob("*.ogg")):
        digest.update(f"{noise.name} {noise.stat().st_size}\n".encode())
    digest.update(repr((condition, seed, FEATURE_SET)).encode())
    return digest.hexdigest()[:16]
