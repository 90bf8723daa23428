"""Which version of each emotion model is active, which were before it, and which are tried.

One small JSON file, ``active.json`` in the store, read by every process::

    {"format": 1,
     "models": {"acoustic": {"active": "2026-11-24-1f0c9a2e", "before": ["shipped"]}},
     "shadow": ["acoustic@candidate-7"]}

A name that is not in it is at :data:`SHIPPED`.  It is always replaced as a
whole, so a reader sees the old one or the new one; whoever writes it holds the
store's lock (see :mod:`voicebot.emotion.store`).
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

from voicebot.errors import ModelError

FILE: Final = "active.json"
SHIPPED: Final = "shipped"
"""Version of the model that came with voicebot."""
HISTORY: Final = 10
"""How many earlier versions of a name are remembered."""
MAX_SHADOWS: Final = 4
"""How many candidates may be tried at once: each costs as much as the active model."""
_FORMAT: Final = 1
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")

Stamp = tuple[int, int, int]
"""Tells one state of the file from the next: ``st_mtime_ns``, ``st_ino``, ``st_size``."""


@dataclass(frozen=True, slots=True, order=True)
class ModelId:
    """One version of one model, written ``NAME@VERSION``.

    Raises:
        ModelError: a name or version that cannot be the name of a folder.
    """

    name: str
    """``acoustic``, ``text-en``, ..."""
    version: str

    def __post_init__(self) -> None:
        if not self.is_name(self.name):
            raise ModelError(f"{self.name!r}: not the name of a model", "e.g. acoustic or text-en")
        if not self.is_version(self.version):
            raise ModelError(
                f"{self.version!r}: not a version",
                "up to 64 letters, digits and . _ + -, the first a letter or digit",
            )

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"

    @classmethod
    def is_name(cls, text: str) -> bool:
        """Whether a model may be called so."""
        return _NAME.fullmatch(text) is not None

    @classmethod
    def is_version(cls, text: str) -> bool:
        """Whether a version may be called so."""
        return _VERSION.fullmatch(text) is not None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``NAME@VERSION``.

        Raises:
            ModelError: it is something else.
        """
        name, at, version = text.partition("@")
        if not at:
            raise ModelError(
                f"{text}: which version?", f"write {text}@VERSION; see `voicebot models list`"
            )
        return cls(name, version)


@dataclass(frozen=True, slots=True)
class Pointer:
    """What the file says."""

    active: Mapping[str, str] = field(default_factory=dict)
    """name to version; a name that is missing is at :data:`SHIPPED`"""
    before: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """name to the versions that were active before, oldest first"""
    shadow: tuple[ModelId, ...] = ()
    """candidates that score beside the active ones"""

    def version(self, name: str) -> str:
        """The active version of a model."""
        return self.active.get(name, SHIPPED)

    def activated(self, model: ModelId) -> Pointer:
        """The pointer after an activation; the same if it is active already."""
        old = self.version(model.name)
        if old == model.version:
            return self
        history = (*self.before.get(model.name, ()), old)[-HISTORY:]
        return replace(
            self,
            active={**self.active, model.name: model.version},
            before={**self.before, model.name: history},
        )

    def rolled_back(self, name: str) -> Pointer:
        """The pointer after going back to the version before; what is left is not remembered.

        Raises:
            ModelError: there was none before.
        """
        *older, last = self.before.get(name, ()) or (None,)
        if last is None:
            raise ModelError(
                f"{name}: no version was active before {self.version(name)}",
                f"voicebot models activate {name}@VERSION; see `voicebot models list`",
            )
        return replace(
            self,
            active={**self.active, name: last},
            before={**self.before, name: tuple(v for v in older if v)},
        )


def read(path: Path) -> Pointer:
    """Read the file; one that is not there points at the shipped models.

    Raises:
        ModelError: it cannot be read, is damaged, or was written by a later voicebot.
    """
    mend = f"delete {path.name}: the shipped models are active until others are activated again"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Pointer()
    except OSError as err:
        raise ModelError(f"{path}: {err.strerror or err}", "mend its permissions") from None
    except ValueError as err:
        raise ModelError(f"{path}: damaged: {err}", mend) from None
    try:
        return _checked(path, data)
    except (ModelError, AttributeError, KeyError, TypeError, ValueError) as err:
        if isinstance(err, _LaterFormat):
            raise
        what = err.what if isinstance(err, ModelError) else f"{type(err).__name__} {err}"
        raise ModelError(f"{path}: damaged: {what}", mend) from None


def write(path: Path, pointer: Pointer) -> None:
    """Replace the file as a whole and see it on disk.

    Raises:
        OSError: it cannot be written; the old one stays.
    """
    names = sorted({*pointer.active, *pointer.before})
    data = {
        "format": _FORMAT,
        "models": {
            name: {"active": pointer.version(name), "before": list(pointer.before.get(name, ()))}
            for name in names
        },
        "shadow": [str(model) for model in pointer.shadow],
    }
    replace_file(path, json.dumps(data, indent=1) + "\n")


def replace_file(path: Path, text: str) -> None:
    """Write a file beside and rename it into place: readers see the old one or the new one.

    Raises:
        OSError: it cannot be written; the old one stays.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)  # other users' processes read it; it holds no secret
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def stamp(path: Path) -> Stamp | None:
    """Which state the file is in, for one ``stat``; None if it cannot be seen."""
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_ino, seen.st_size


class _LaterFormat(ModelError):
    """Written by a later voicebot: sound, but not for us to judge or to replace."""


def _checked(path: Path, data: Any) -> Pointer:
    made_for = data["format"]
    if isinstance(made_for, int) and made_for > _FORMAT:
        raise _LaterFormat(
            f"{path}: of format {made_for}, written by a later voicebot", "update voicebot"
        )
    if made_for != _FORMAT:
        raise ValueError(f"format {made_for!r}")
    active, before = {}, {}
    for name, entry in data["models"].items():
        active[name] = ModelId(name, entry["active"]).version
        before[name] = tuple(ModelId(name, v).version for v in _strings(entry["before"]))
    return Pointer(active, before, tuple(ModelId.parse(m) for m in _strings(data["shadow"])))


def _strings(values: Any) -> Sequence[str]:
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise ValueError(f"expected a list of versions, found {values!r}")
    return values
