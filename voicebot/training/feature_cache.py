"""Features of every clip under every condition, computed once.

The work is spread over processes; chance is seeded by seed, condition and file
name, so the result does not depend on their number or order.  The cache is
keyed by all that the values depend on, the code included.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from voicebot.emotion import features, frames, logmel, pitch
from voicebot.emotion.features import FEATURE_SET, extract
from voicebot.emotion.frames import RATE
from voicebot.emotion.logmel import log_mel
from voicebot.errors import OutputError
from voicebot.events import Pcm
from voicebot.onnx_session import open_session
from voicebot.training import augmentation, low_rate_codec, packet_loss, rooms, tempo
from voicebot.training.augmentation import Condition
from voicebot.training.hearing import Hearing
from voicebot.training.report import Progress
from voicebot.training.speech_corpora import Clip
from voicebot.training.speech_encoder import EMBEDDING_OUTPUT, MEL

MIN_SECONDS: Final = 0.3
"""s; a shorter clip is padded with its own end held silent, so that features exist."""
MAX_SECONDS: Final = 8.0
"""s; of a longer clip only the end is taken, as of a longer window of a call."""
_CHUNK: Final = 32


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
    encoder: Path | None = None,
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
        encoder: From :func:`voicebot.training.speech_encoder.encoder_file`; its embedding follows
            the prosodic features.  None leaves it out.

    Returns:
        Shape ``(clips, len(FEATURES))``, wider by the embedding if there is an encoder.

    Raises:
        ModelError: a clip or the noise cannot be read.
        OutputError: the cache cannot be written.
    """
    key = _key(clips, condition, data, seed, encoder)
    path = cache / f"{FEATURE_SET.replace('/', '-')}-{key}.npy"
    if (table := _cached(path, len(clips))) is not None:
        return table
    work = partial(_features, Hearing(data, keep_noise, condition, seed), encoder)
    rows: list[npt.NDArray[np.float32]] = []
    for row in _map(work, clips, workers):
        rows.append(row)
        progress("features", len(rows) / len(clips))
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


def clip_features(pcm: Pcm, encoder: Path | None = None) -> npt.NDArray[np.float32]:
    """Features of the end of a clip at 8 kHz, as a call would hear it.

    Args:
        pcm: Padded with silence to :data:`MIN_SECONDS`; of more than :data:`MAX_SECONDS` only the
            last count.
        encoder: As in :func:`feature_table`.
    """
    window = end_of(pcm)
    prosody = extract(window)
    if encoder is None:
        return prosody
    feeds = {MEL: log_mel(window)[np.newaxis]}
    (embedding,) = _session(encoder).run([EMBEDDING_OUTPUT], feeds)
    return np.concatenate([prosody, embedding[0]]).astype(np.float32)


def end_of(pcm: Pcm) -> Pcm:
    """What counts of a clip at 8 kHz: its end, at most :data:`MAX_SECONDS`, padded if short."""
    short = int(MIN_SECONDS * RATE) - len(pcm)
    return np.pad(pcm, (0, short)) if short > 0 else pcm[-int(MAX_SECONDS * RATE) :]


@lru_cache(maxsize=1)
def _session(encoder: Path) -> Any:
    """The encoder, loaded once by each worker."""
    return open_session(encoder, f"delete {encoder}: it is made again")


def _map(
    work: Callable[[Clip], npt.NDArray[np.float32]], clips: Sequence[Clip], workers: int
) -> Iterator[npt.NDArray[np.float32]]:
    """Features of the clips in their order."""
    if workers == 1:
        yield from map(work, clips)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(work, clips, chunksize=_CHUNK)


def _features(hearing: Hearing, encoder: Path | None, clip: Clip) -> npt.NDArray[np.float32]:
    return clip_features(hearing.of(clip), encoder)


def _cached(path: Path, rows: int) -> npt.NDArray[np.float32] | None:
    """A table from the cache, or None if it is not there, broken or of another shape."""
    try:
        table = np.load(path)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None
    fits = table.ndim == 2 and len(table) == rows and table.dtype == np.float32
    return table if fits else None


def _key(
    clips: Sequence[Clip], condition: Condition, data: Path, seed: int, encoder: Path | None
) -> str:
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
    if encoder is not None:
        digest.update(Path(logmel.__file__ or "").read_bytes())
        digest.update(encoder.read_bytes())
    digest.update(repr((condition, seed, FEATURE_SET)).encode())
    return digest.hexdigest()[:16]
