"""Unpacking a zip that a stranger may have made.

Refused are paths that lead out of the target (``..``, absolute, drives,
backslashes), links and special files, encryption, and bombs: by number of
files, by total size, and by compression ratio.  Sizes are counted as they are
written, not believed.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from voicebot.errors import DownloadError


@dataclass(frozen=True, slots=True)
class Limits:
    """What an honest model archive stays below."""

    files: int = 2_000
    bytes: int = 12 * 2**30
    ratio: float = 100.0
    """unpacked to packed size; speech models reach about 4"""
    ratio_from_bytes: int = 2**20
    """smaller files may compress as they like"""


LIMITS: Final = Limits()


def unzip(archive: Path, target: Path, under: str = "", limits: Limits = LIMITS) -> None:
    """Unpack a zip.

    Args:
        archive: The zip, or a wheel.
        target: Folder to unpack into; made if it is not there.
        under: Take only what is in this folder of the archive, without the folder's name.
        limits: Where honesty ends.

    Raises:
        DownloadError: Not a zip, damaged, or dishonest; ``target`` may then hold part of it.
    """
    try:
        with zipfile.ZipFile(archive) as zipped:
            chosen = _chosen(zipped, under, archive, limits)
            left = limits.bytes
            for path, info in chosen:
                destination = target / path
                destination.parent.mkdir(parents=True, exist_ok=True)
                left = _write(zipped, info, destination, left, archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as err:
        raise DownloadError(
            f"{archive.name}: damaged, or not a zip archive ({err})", "fetch it again"
        ) from None


def top_folder(folder: Path) -> Path:
    """Where the contents are: ``folder``, or the one folder that it holds and nothing else."""
    entries = list(folder.iterdir())
    return entries[0] if len(entries) == 1 and entries[0].is_dir() else folder


def _chosen(
    zipped: zipfile.ZipFile, under: str, archive: Path, limits: Limits
) -> list[tuple[Path, zipfile.ZipInfo]]:
    prefix = PurePosixPath(under).parts
    chosen: dict[Path, zipfile.ZipInfo] = {}
    infos = zipped.infolist()
    if len(infos) > limits.files:
        raise _dishonest(archive, f"{len(infos)} files")
    if (total := sum(info.file_size for info in infos)) > limits.bytes:
        raise _dishonest(archive, f"{total} bytes when unpacked")
    for info in infos:
        path = _safe(info, archive)
        if info.flag_bits & 1:
            raise DownloadError(f"{archive.name}: encrypted", "ask its maker for a plain one")
        if (
            info.file_size > limits.ratio_from_bytes
            and info.file_size > limits.ratio * max(info.compress_size, 1)
        ):  # fmt: skip
            raise _dishonest(archive, f"{info.filename} unpacks to {info.file_size} bytes")
        if info.is_dir() or path.parts[: len(prefix)] != prefix:
            continue
        inside = Path(*path.parts[len(prefix) :])
        if inside in chosen:
            raise DownloadError(f"{archive.name}: holds {info.filename} twice", "do not trust it")
        chosen[inside] = info
    return list(chosen.items())


def _safe(info: zipfile.ZipInfo, archive: Path) -> PurePosixPath:
    """The member's path, if it stays below the target and is a plain file or folder."""
    # orig_filename: ZipFile itself cuts names at a NUL and turns the system's separator.
    name = info.orig_filename
    path = PurePosixPath(name)
    bad = "\\" in name or "\0" in name or ":" in name or path.is_absolute() or ".." in path.parts
    if bad or not path.parts:
        raise DownloadError(
            f"{archive.name}: the path {name!r} leads out of the archive", "do not trust it"
        )
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise DownloadError(
            f"{archive.name}: {name!r} is a link or a special file", "do not trust it"
        )
    return path


def _write(
    zipped: zipfile.ZipFile, info: zipfile.ZipInfo, destination: Path, left: int, archive: Path
) -> int:
    with zipped.open(info) as reader, destination.open("xb") as writer:
        while block := reader.read(1 << 20):
            left -= len(block)
            if left < 0:
                raise _dishonest(archive, "more bytes than allowed when unpacked")
            writer.write(block)
    return left


def _dishonest(archive: Path, what: str) -> DownloadError:
    return DownloadError(f"{archive.name}: looks like a zip bomb ({what})", "do not trust it")
