"""The emotion models of this machine: the shipped ones, and the versions installed beside them.

The shipped models are in :func:`voicebot.emotion.onnx_model.models_dir`, one
folder each.  Others are in the store, ``NAME/VERSION/``, with a manifest of
their files' checksums; ``active.json`` says which version of each name is
active (:mod:`voicebot.emotion.pointer`).  Nothing there is ever changed in
place: a version arrives by one rename, the pointer is replaced as a whole, and
whoever writes holds a lock, so processes that read need none.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from voicebot.emotion import pointer as pointers
from voicebot.emotion.onnx_model import MODEL_FILE, models_dir
from voicebot.emotion.opening import check
from voicebot.emotion.pointer import MAX_SHADOWS, SHIPPED, ModelId, Pointer, Stamp
from voicebot.errors import ModelError, OutputError
from voicebot.models import file_faults, read_manifest

ENVIRONMENT: Final = "VOICEBOT_EMOTION_STORE"
"""Environment variable that names the folder of the store."""
_LOCK: Final = ".lock"
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def store_dir() -> Path:
    """Folder of the store: ``$VOICEBOT_EMOTION_STORE``, else in the user's data folder."""
    if named := os.environ.get(ENVIRONMENT):
        return Path(named).expanduser()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "voicebot" / "emotion-models"


class Store:
    """Versions of emotion models, and which of them is active.

    Holds nothing but the two folders: every call looks at the disk.

    Args:
        folder: The store; None takes :func:`store_dir`.  Need not exist.
        shipped: The models that came with voicebot; None takes
            :func:`voicebot.emotion.onnx_model.models_dir`.

    Raises:
        ModelError: there are no shipped models.
    """

    def __init__(self, folder: Path | None = None, shipped: Path | None = None) -> None:
        self.folder = folder if folder is not None else store_dir()
        self.shipped = shipped if shipped is not None else models_dir()

    # ------------------------------------------------------------ reading

    def names(self) -> list[str]:
        """Names of all models that there is a version of."""
        found = {path.name for path in self.shipped.iterdir() if (path / MODEL_FILE).is_file()}
        with contextlib.suppress(OSError):
            found |= {path.name for path in self.folder.iterdir() if path.is_dir()}
        return sorted(filter(ModelId.is_name, found))

    def versions(self, name: str) -> list[ModelId]:
        """All versions of a model, the shipped one first."""
        found = [SHIPPED] if (self.shipped / name / MODEL_FILE).is_file() else []
        with contextlib.suppress(OSError):
            found += sorted(path.name for path in (self.folder / name).iterdir() if path.is_dir())
        return [ModelId(name, version) for version in found if ModelId.is_version(version)]

    def locate(self, model: ModelId) -> Path:
        """Folder of a version.

        Raises:
            ModelError: there is no such version.
        """
        shipped = model.version == SHIPPED
        folder = self.shipped / model.name if shipped else self.folder / model.name / model.version
        if folder.is_dir():
            return folder
        others = [str(known) for known in self.versions(model.name)]
        others += [str(ModelId(n, model.version)) for n in self.names() if n != model.name
                   and ModelId(n, model.version) in self.versions(n)]  # fmt: skip
        raise ModelError(
            f"{model}: not in {self.shipped if shipped else self.folder}",
            f"there are: {', '.join(others)}" if others else "see `voicebot models list`",
        )

    def stamp(self) -> Stamp | None:
        """Tells one state of the pointer file from the next; costs one ``stat``."""
        return pointers.stamp(self.folder / pointers.FILE)

    def pointer(self) -> Pointer:
        """What is active.

        Raises:
            ModelError: the pointer file is damaged or cannot be read.
        """
        return pointers.read(self.folder / pointers.FILE)

    def faults(self, model: ModelId) -> list[str]:
        """What is wrong with a version, a phrase each; reads and runs it."""
        try:
            folder = self.locate(model)
            if not (found := file_faults(folder, read_manifest(folder))):
                check(model.name, folder)
        except ModelError as err:
            return [err.what]
        return found

    def pointer_faults(self) -> list[str]:
        """What is wrong with the pointer file and what it points at, a phrase each."""
        try:
            pointer = self.pointer()
        except ModelError as err:
            return [str(err)]
        found = []
        for model in [*(ModelId(*item) for item in pointer.active.items()), *pointer.shadow]:
            try:
                self.locate(model)
            except ModelError as err:
                role = "tried" if model in pointer.shadow else "active"
                found.append(f"{err.what}, but it is to be {role}")
        return found

    # ------------------------------------------------------------ writing

    def activate(self, model: ModelId) -> Pointer:
        """Make a version the active one, having seen that it works.

        Returns:
            What was active before.

        Raises:
            ModelError: there is no such version, it does not work, or the pointer is damaged.
            OutputError: the store cannot be written.
        """
        self._must_work(model)
        return self._change(lambda pointer: pointer.activated(model))

    def rollback(self, name: str) -> Pointer:
        """Go back to the version that was active before.

        Returns:
            What was active until now.

        Raises:
            ModelError: there was none before, it does not work, or the pointer is damaged.
            OutputError: the store cannot be written.
        """

        def back(pointer: Pointer) -> Pointer:
            changed = pointer.rolled_back(name)
            self._must_work(ModelId(name, changed.version(name)))
            return changed

        return self._change(back)

    def shadow(self, models: Sequence[ModelId]) -> Pointer:
        """Let these score beside the active ones; none of them ends it.

        Returns:
            What was before.

        Raises:
            ModelError: one does not work, they are too many, or the pointer is damaged.
            OutputError: the store cannot be written.
        """
        chosen = tuple(dict.fromkeys(models))
        if len(chosen) > MAX_SHADOWS:
            raise ModelError(
                f"{len(chosen)} models to be tried at once", f"try {MAX_SHADOWS} at the most"
            )
        for model in chosen:
            self._must_work(model)
        return self._change(lambda pointer: replace(pointer, shadow=chosen))

    def _must_work(self, model: ModelId) -> None:
        self.locate(model)  # its mend names the versions that there are
        if faults := self.faults(model):
            raise ModelError(f"{model}: {'; '.join(faults)}", "see `voicebot models list`")

    def _change(self, change: Callable[[Pointer], Pointer]) -> Pointer:
        """Change the pointer under the lock; returns what it was."""
        with self.lock():
            before = self.pointer()
            after = change(before)
            if after != before:
                pointers.write(self.folder / pointers.FILE, after)
        return before

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the store's lock, which every writer needs; waits for whoever has it.

        Raises:
            OutputError: the store cannot be written; in place of every OSError within.
        """
        with writing(self.folder), locked(self.folder / _LOCK):
            yield


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, made where missing; waits for whoever has it, and frees it on a crash.

    Raises:
        OSError: it cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn what the disk complains of into an error that a user can act on.

    Raises:
        OutputError: in place of every OSError within.
    """
    try:
        yield
    except OSError as err:
        full = err.errno in _NO_ROOM
        raise OutputError(
            f"{folder}: {'the disk is full' if full else err.strerror or err}",
            "free some space" if full else f"set {ENVIRONMENT} to a folder that can be written",
        ) from None
