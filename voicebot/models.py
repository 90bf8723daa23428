"""The speech models that voicebot knows, and where they are on this machine.

``voicebot/assets/registry.yaml`` names them.  Installed ones live in one folder
each under :func:`speech_models_dir`; a model may also come inside an installed Python
package.  Fetching is :mod:`voicebot.installer`'s work.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from voicebot.errors import ModelError

ANY_LANGUAGE: Final = "multi"
MANIFEST: Final = "voicebot-model.json"
_WHISPER_FILES: Final = ("config.json", "model.bin", "tokenizer.json")


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model."""

    path: str
    """relative to the model's folder, with ``/``"""
    size: int | None = None
    """bytes"""
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip with the whole model in one top folder."""

    url: str
    size: int | None = None
    """bytes"""
    md5: str | None = None


@dataclass(frozen=True, slots=True)
class PypiSource:
    """Wheels that carry a model.  They are unzipped, never installed."""

    requirements: tuple[str, ...]
    at: str
    """folder inside the wheels"""
    join: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """file of the model to the members that, one after the other, are it"""
    files: tuple[ModelFile, ...] = ()
    """known contents of these wheels, where the publisher's own are not known by file"""


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model of the registry."""

    name: str
    kind: Literal["vosk", "whisper"]
    language: str
    """ISO 639-1, or ``multi``"""
    about: str
    licence: str
    archive: Archive | None = None
    base_url: str | None = None
    """URL of the folder that :attr:`files` are in, with ``/`` at the end"""
    files: tuple[ModelFile, ...] = ()
    """files whose contents are known; there may be more"""
    pypi: PypiSource | None = None
    package: str | None = None
    """Python package that holds the model in its folder ``model``, if installed"""

    def speaks(self, language: str) -> bool:
        """Whether the model understands ``language`` (ISO 639-1)."""
        return self.language in (language, ANY_LANGUAGE)

    @property
    def size(self) -> int | None:
        """Bytes to fetch; None if unknown."""
        if self.archive:
            return self.archive.size
        sizes = [file.size for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)


def speech_models_dir() -> Path:
    """Folder of installed models: ``$VOICEBOT_MODELS``, else in the user's data folder."""
    if named := os.environ.get("VOICEBOT_MODELS"):
        return Path(named).expanduser()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "voicebot" / "models"


@cache
def registry() -> tuple[ModelEntry, ...]:
    """All known models; of each language the first is the one to suggest."""
    text = resources.files("voicebot").joinpath("assets/registry.yaml").read_text("utf-8")
    return tuple(_entry(raw) for raw in yaml.safe_load(text)["models"])


def entry(name: str) -> ModelEntry:
    """Look up a model by name.

    Raises:
        ModelError: There is none; names the nearest.
    """
    for known in registry():
        if known.name == name:
            return known
    import difflib

    near = difflib.get_close_matches(name, [known.name for known in registry()], 1, 0.4)
    raise ModelError(
        f"{name}: no such model",
        f"did you mean {near[0]}?" if near else "see `voicebot models list`",
    )


def find(known: ModelEntry) -> Path | None:
    """Folder of an installed model, or None.  Its files may still be incomplete."""
    folder = speech_models_dir() / known.name
    if folder.is_dir():
        return folder
    if known.package and (spec := importlib.util.find_spec(known.package)):
        for place in spec.submodule_search_locations or ():
            if (inside := Path(place) / "model").is_dir():
                return inside
    return None


def locate(name_or_path: str) -> Path:
    """Folder of a model given by name or by path.

    Raises:
        ModelError: Not installed, or no such folder.
    """
    if (given := Path(name_or_path).expanduser()).is_dir():
        return given
    if "/" in name_or_path:
        raise ModelError(f"{name_or_path}: no such model folder", "see `voicebot models list`")
    known = entry(name_or_path)
    if (folder := find(known)) is None:
        raise ModelError(
            f"{known.name}: not installed in {speech_models_dir()}",
            f"voicebot models install {known.name}",
        )
    return folder


def installed(kind: str, language: str) -> Iterator[tuple[ModelEntry, Path]]:
    """Installed models of a kind that understand a language, the largest first."""
    for known in sorted(registry(), key=lambda one: -(one.size or math.inf)):
        if known.kind == kind and known.speaks(language) and (folder := find(known)):
            yield known, folder


def missing_files(kind: str, folder: Path) -> list[str]:
    """Files that a model of this kind cannot do without and ``folder`` lacks."""
    if kind == "vosk":
        from voicebot.speech.vosk_model import missing_files as missing_in_vosk

        return missing_in_vosk(folder)
    missing = [name for name in _WHISPER_FILES if not _filled(folder / name)]
    # Older conversions have vocabulary.txt, newer ones vocabulary.json.
    if not any(_filled(folder / f"vocabulary.{suffix}") for suffix in ("txt", "json")):
        missing.append("vocabulary.txt")
    return missing


def faults(known: ModelEntry, folder: Path) -> list[str]:
    """What is wrong with an installed model, a phrase each; reads every known file.

    Contents are compared with the registry, and with the manifest that the installation left
    behind; a model inside a Python package has no manifest.
    """
    missing = missing_files(known.kind, folder)
    expected = {file.path: file for file in read_manifest(folder)}
    expected |= {file.path: file for file in known.files}
    there = [file for file in expected.values() if file.path not in missing]
    return [f"{name} is missing" for name in missing] + file_faults(folder, there)


def file_faults(folder: Path, files: Iterable[ModelFile]) -> list[str]:
    """In what a folder differs from the files that should be in it, a phrase each."""
    found = []
    for file in files:
        path = folder / file.path
        if not path.is_file():
            found.append(f"{file.path} is missing")
        elif file.size is not None and path.stat().st_size != file.size:
            found.append(f"{file.path} has {path.stat().st_size} bytes instead of {file.size}")
        elif file.sha256 is not None and digest(path, "sha256") != file.sha256:
            found.append(f"{file.path} has changed: its SHA-256 is another")
    return found


def write_manifest(folder: Path, source: str) -> None:
    """Record what was installed in ``folder``, and from where."""
    files = [
        {"path": path.relative_to(folder).as_posix(), "size": path.stat().st_size,
         "sha256": digest(path, "sha256")}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    ]  # fmt: skip
    text = json.dumps({"source": source, "files": files}, indent=1)
    (folder / MANIFEST).write_text(text + "\n", "utf-8")


def read_manifest(folder: Path) -> tuple[ModelFile, ...]:
    """What was installed in ``folder``; nothing where no manifest can be read."""
    try:
        raw = json.loads((folder / MANIFEST).read_text("utf-8"))
        return tuple(ModelFile(**file) for file in raw["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def digest(path: Path, algorithm: str) -> str:
    """Hexadecimal digest of a file's contents."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def _filled(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _entry(raw: dict[str, Any]) -> ModelEntry:
    pypi = raw.get("pypi")
    return ModelEntry(
        name=raw["name"],
        kind=raw["kind"],
        language=raw["language"],
        about=raw["about"],
        licence=raw["licence"],
        archive=Archive(**raw["archive"]) if "archive" in raw else None,
        base_url=raw.get("base_url"),
        files=tuple(ModelFile(**file) for file in raw.get("files", ())),
        pypi=PypiSource(
            requirements=tuple(pypi["requirements"]),
            at=pypi["at"],
            join={name: tuple(parts) for name, parts in pypi.get("join", {}).items()},
            files=tuple(ModelFile(**file) for file in pypi.get("files", ())),
        )
        if pypi
        else None,
        package=raw.get("package"),
    )
