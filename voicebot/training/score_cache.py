"""Long work spread over processes, and its outcome kept under a name that digests its causes."""

from __future__ import annotations

import ast
import hashlib
import json
import multiprocessing
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

import voicebot
from voicebot.errors import OutputError
from voicebot.training.feature_cache import default_cache
from voicebot.training.report import Progress

Floats = npt.NDArray[np.float64]
Strings = npt.NDArray[np.str_]
Row = tuple[Floats, str]
"""Numbers of one clip or text, shape ``(columns,)``, and why the model abstained."""
_CHUNK: Final = 16
_PACKAGE: Final = Path(voicebot.__file__).parent


class Spread(Protocol):
    """As the built-in ``map`` of one iterable."""

    def __call__(self, work: Callable[[Any], Any], jobs: Iterable[Any], /) -> Iterator[Any]:
        """Results in the order of the jobs."""
        ...


def predictions_cache() -> Path:
    """Where scores are kept by default, beside the features."""
    return default_cache().parent / "predictions"


@contextmanager
def spread_over(workers: int) -> Iterator[Spread]:
    """A ``map`` over this many processes, or in this one; they start with the first work."""
    if workers == 1:
        yield map
        return
    # Spawned, for a fork would copy the locks of the progress bar's and the runtime's threads.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        yield partial(pool.map, chunksize=_CHUNK)


def digest_of(files: Iterable[Path], modules: Iterable[str], *others: object) -> str:
    """Sixteen hexadecimal digits for the content of files, modules and plain values.

    Args:
        files: Read whole.
        modules: Of this package; all of it that they import counts too.
        *others: Values whose ``repr`` says everything.
    """
    digest = hashlib.sha256()
    for path in sorted([*files, *_sources(tuple(modules))]):
        digest.update(path.read_bytes())
    for value in others:
        digest.update(repr(value).encode())
    return digest.hexdigest()[:16]


@lru_cache
def _sources(modules: tuple[str, ...]) -> tuple[Path, ...]:
    """Files of modules and of all that they import from this package, however indirectly."""
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in found or name.split(".")[0] != _PACKAGE.name:
            continue
        path = _PACKAGE.parent.joinpath(*name.split(".")).with_suffix(".py")
        if not path.is_file():  # a package, or a name inside a module
            continue
        found[name] = path
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                waiting += [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
            elif isinstance(node, ast.Import):
                waiting += [a.name for a in node.names]
    return tuple(found.values())


def model_files(folder: Path) -> list[Path]:
    """What a model folder says and how; its card may change."""
    return [p for p in folder.glob("*") if p.is_file() and p.suffix != ".md"]


def table(rows: Sequence[Row], columns: int) -> tuple[Floats, Strings]:
    """Rows below one another: shapes ``(n, columns)`` and ``(n,)``."""
    numbers = np.array([numbers for numbers, _ in rows], dtype=np.float64)
    return numbers.reshape(-1, columns), np.array([reason for _, reason in rows], dtype=np.str_)


def rows_of(
    work: Callable[[Any], Row],
    batches: Sequence[tuple[Path, Sequence[Any]]],
    columns: int,
    *,
    workers: int,
    what: str,
    progress: Progress,
) -> list[tuple[Floats, Strings]]:
    """Rows of several batches of jobs, each kept as a whole or taken from an earlier run.

    Args:
        work: Makes the row of a job; picklable if there are several workers.
        batches: Where the rows of each are kept, and its jobs.
        columns: Numbers in a row.
        workers: Processes; 1 works in this one.
        what: Name of the work, for the progress.
        progress: Told how far it is.

    Returns:
        For each batch as :func:`table`, rows in the order of its jobs.

    Raises:
        OutputError: the rows cannot be kept.
    """
    kept = [kept_rows(path, len(jobs), columns) for path, jobs in batches]
    total = sum(len(jobs) for (_, jobs), found in zip(batches, kept, strict=True) if found is None)
    done = 0
    out = []
    with spread_over(workers) as spread:
        for (path, jobs), found in zip(batches, kept, strict=True):
            if found is None:
                rows: list[Row] = []
                for row in spread(work, jobs):
                    rows.append(row)
                    done += 1
                    progress(what, done / total)
                found = table(rows, columns)
                keep_rows(path, *found)
            out.append(found)
    return out


def kept_rows(path: Path, count: int, columns: int) -> tuple[Floats, Strings] | None:
    """What an earlier run found, or None if it is not there, broken or of another shape."""
    try:
        with np.load(path) as file:
            numbers, abstained = file["numbers"], file["abstained"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    fits = numbers.shape == (count, columns) and abstained.shape == (count,)
    return (numbers, abstained) if fits else None


def keep_rows(path: Path, numbers: Floats, abstained: Strings) -> None:
    """Keep what was found.

    Raises:
        OutputError: it cannot be written.
    """

    def write(part: Path) -> None:
        with part.open("wb") as file:
            np.savez(file, numbers=numbers, abstained=abstained)

    keep_file(path, write)


def kept_json(path: Path) -> Any:
    """What :func:`keep_json` kept, or None."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def keep_json(path: Path, value: Any) -> None:
    """Keep plain JSON.

    Raises:
        OutputError: it cannot be written.
    """
    text = json.dumps(value, ensure_ascii=False)
    keep_file(path, lambda part: part.write_text(text, encoding="utf-8"))


def keep_file(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside the file and rename, so that an interruption leaves nothing half-written.

    Raises:
        OutputError: it cannot be written.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(part)
        part.replace(path)
    except OSError as err:
        raise OutputError(
            f"{path}: {err.strerror or err}", "free some space or choose another --cache"
        ) from err
