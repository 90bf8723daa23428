"""One pass over a corpus before anything is trained on it.

What is done with each clip is in :mod:`voicebot.training.prepared_parts`.  What cannot be used
is left out and named: broken files, silence, and exact duplicates.  Of duplicates the one in the
test split stays, then dev, so that no test sound is ever trained on; where the copies carry
different emotions nobody knows which is right, and none stays.

The result is one memory-mapped array and an index, in a folder of the cache that is named by
all that the samples depend on.  The work is done in parts, each kept as soon as it is done,
so an interrupted run goes on where it stopped and ends with the same bytes.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from voicebot.audio import pcm as pcm_module
from voicebot.emotion.frames import RATE
from voicebot.errors import ModelError, OutputError
from voicebot.events import EMOTIONS, Pcm
from voicebot.training import augmentation, prepared_parts, speech_corpora
from voicebot.training.feature_cache import default_cache
from voicebot.training.prepared_parts import (
    ClipFault,
    Fault,
    Part,
    finished,
    prepare_part,
    read_part,
    write_part,
)
from voicebot.training.report import Progress
from voicebot.training.speech_corpora import SPLITS, Clip, read_manifest

_PART: Final = 128
"""clips to a part: what an interruption may cost"""
_INDEX: Final = "index.json"
_SAMPLES: Final = "samples.i16"
_LITTLE: Final = np.dtype("<i2")


@dataclass(frozen=True, slots=True)
class Dropped:
    """A clip that was left out."""

    file: str
    """as in the manifest"""
    fault: Fault
    detail: str
    """what is wrong with it, or the file that it is a copy of"""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A corpus that is ready to train on.  Small: the samples stay on disk."""

    folder: Path
    clips: tuple[Clip, ...]
    """in the order of the manifest, ``seconds`` as after trimming"""
    ends: tuple[int, ...]
    """samples before the end of each clip"""
    dropped: tuple[Dropped, ...]

    def pcm(self, index: int) -> Pcm:
        """Samples of one clip at 8 kHz, shape ``(samples,)``; the caller's own copy."""
        start = self.ends[index - 1] if index else 0
        return np.array(_mapped(self.folder / _SAMPLES)[start : self.ends[index]])


def prepare(
    data: Path, progress: Progress, workers: int = 2, *, cache: Path | None = None
) -> Prepared:
    """Prepare a corpus, or take it from the cache.

    Args:
        data: Folder with ``speech/manifest.csv``.
        progress: Told how far it is.
        workers: Processes; 1 works in this one.
        cache: Folder to keep results in; None takes ``prepared`` in the user's cache.

    Raises:
        ModelError: the manifest is missing or wrong, or no clip can be used.
        OutputError: the cache cannot be written.
    """
    clips = read_manifest(data)
    cache = cache or default_cache().parent / "prepared"
    folder = cache / _key(clips)
    if (ready := _load(folder, clips)) is not None:
        return ready
    try:
        with _alone(folder, progress):
            if (ready := _load(folder, clips)) is None:
                _work(clips, folder, progress, workers)
                ready = _load(folder, clips)
    except OSError as err:
        raise OutputError(
            f"{folder}: {err.strerror or err}", "free some space or choose another --cache"
        ) from err
    if ready is None:
        raise OutputError(f"{folder}: not as it was written", "look at the disk, then try again")
    return ready


def _work(clips: Sequence[Clip], folder: Path, progress: Progress, workers: int) -> None:
    """Prepare all parts that are not there yet, then join them."""
    parts = folder.with_suffix(".parts")
    parts.mkdir(exist_ok=True)
    paths = [parts / f"{n:05}.npz" for n in range(-(-len(clips) // _PART))]
    missing = [n for n, path in enumerate(paths) if read_part(path) is None]
    done = len(paths) - len(missing)
    pieces = [[c.path for c in clips[n * _PART : (n + 1) * _PART]] for n in missing]
    progress("preparing speech", done / len(paths))
    for number, part in zip(missing, _map(pieces, workers), strict=True):
        write_part(paths[number], part)
        done += 1
        progress("preparing speech", done / len(paths))
    _join(clips, paths, folder)
    shutil.rmtree(parts, ignore_errors=True)


def _map(pieces: Sequence[list[Path]], workers: int) -> Iterator[Part]:
    if workers == 1:
        yield from map(prepare_part, pieces)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(prepare_part, pieces)


def _join(clips: Sequence[Clip], paths: Sequence[Path], folder: Path) -> None:
    """Leave out what cannot be used, and write the rest as one array and an index."""
    faults: list[ClipFault] = []
    copies: dict[bytes, list[int]] = defaultdict(list)
    for part in map(finished, paths):
        for samples, fault in zip(part.samples, part.faults, strict=True):
            if fault is None:
                copies[hashlib.sha256(samples.tobytes()).digest()].append(len(faults))
            faults.append(fault)
    for indices in copies.values():
        for index, fault in _judge(clips, indices):
            faults[index] = fault
    kept = [number for number, fault in enumerate(faults) if fault is None]
    dropped = [(clips[n].file, *fault) for n, fault in enumerate(faults) if fault is not None]
    if not kept:
        raise ModelError(
            f"{clips[0].path.parent}: no clip can be used; the first: {dropped[0][2]}",
            "look at the files and at the manifest",
        )
    fresh = folder.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    ends: list[int] = []
    with (fresh / _SAMPLES).open("wb") as raw:
        number = 0
        for part in map(finished, paths):
            for samples in part.samples:
                if faults[number] is None:
                    raw.write(samples.astype(_LITTLE).tobytes())
                    ends.append(raw.tell() // _LITTLE.itemsize)
                number += 1
    contents = {"kept": kept, "ends": ends, "dropped": dropped}
    (fresh / _INDEX).write_text(json.dumps(contents, ensure_ascii=False), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    fresh.replace(folder)


def _judge(clips: Sequence[Clip], same: Sequence[int]) -> list[tuple[int, ClipFault]]:
    """What to leave out of clips that sound exactly the same."""
    if len({clips[n].emotion for n in same}) > 1:
        names = ", ".join(f"{clips[n].file} ({EMOTIONS[clips[n].emotion]})" for n in same)
        return [(n, (Fault.CONTRADICTION, f"the same sound: {names}")) for n in same]
    first, *rest = sorted(same, key=lambda n: (-SPLITS.index(clips[n].split), n))
    return [(n, (Fault.DUPLICATE, f"a copy of {clips[first].file}")) for n in rest]


def _load(folder: Path, clips: Sequence[Clip]) -> Prepared | None:
    """What an earlier run left; None if it is not there or not whole."""
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        size = (folder / _SAMPLES).stat().st_size
        ends = tuple(int(end) for end in index["ends"])
        kept = [clips[n] for n in index["kept"]]
        dropped = tuple(Dropped(f, Fault(fault), detail) for f, fault, detail in index["dropped"])
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None
    if len(kept) != len(ends) or not ends or size != ends[-1] * _LITTLE.itemsize:
        return None
    starts = (0, *ends[:-1])
    timed = (
        replace(clip, seconds=(end - start) / RATE)
        for clip, start, end in zip(kept, starts, ends, strict=True)
    )
    return Prepared(folder, tuple(timed), ends, dropped)


@lru_cache(maxsize=2)
def _mapped(path: Path) -> np.memmap[Any, np.dtype[np.int16]]:
    return np.memmap(path, _LITTLE, mode="r")


@contextmanager
def _alone(folder: Path, progress: Progress) -> Iterator[None]:
    """Let nobody else prepare the same; whoever waits finds it done."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another run that prepares this speech", 0.0)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _key(clips: Sequence[Clip]) -> str:
    """Digest of everything that the result depends on."""
    digest = hashlib.sha256()
    digest.update(Path(__file__).read_bytes())
    for module in (prepared_parts, augmentation, speech_corpora, pcm_module):
        digest.update(Path(module.__file__ or "").read_bytes())
    for clip in clips:
        stat = clip.path.stat()
        what = (clip.file, clip.emotion, clip.split, stat.st_size, stat.st_mtime_ns)
        digest.update(f"{what}\n".encode())
    return digest.hexdigest()[:16]
