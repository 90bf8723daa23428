"""Taking a trained model into the store, or saying why not."""

from __future__ import annotations

import shutil
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from voicebot.emotion.calibration import FILE as CALIBRATION_FILE
from voicebot.emotion.calibration import read_calibration
from voicebot.emotion.model_card import missing_sections, read_card
from voicebot.emotion.onnx_model import CARD_FILE, MODEL_FILE, read_metadata
from voicebot.emotion.opening import check, name_for
from voicebot.emotion.pointer import SHIPPED, ModelId
from voicebot.emotion.store import Store
from voicebot.errors import ModelError
from voicebot.models import MANIFEST, digest, write_manifest

_PARTIAL: Final = ".partial"


def add(store: Store, folder: Path, version: str | None = None) -> tuple[ModelId, bool]:
    """Install a trained model.  It is not active by that.

    It is checked after it was copied, so that what was checked is what is installed, and
    arrives by one rename.

    Args:
        store: Where to.
        folder: As ``voicebot train`` writes it.
        version: None takes ``voicebot.version`` of the model's metadata, else today's date and
            the beginning of its checksum.

    Returns:
        The version, and whether it is new: the very same model is not installed twice.

    Raises:
        ModelError: the model is broken, of another kind, of a later format, has no checksum or
            another one, its card says too little, or the version is another model.
        OutputError: the store cannot be written.
    """
    metadata = read_metadata(folder)
    name = metadata.get("voicebot.name") or name_for(
        metadata.get("voicebot.kind", ""), metadata.get("voicebot.language", "")
    )
    if version is not None:
        _free(ModelId(name, version), None)
    with store.lock():
        partial = store.folder / _PARTIAL
        shutil.rmtree(partial, ignore_errors=True)  # what a killed process left
        staging = partial / uuid.uuid4().hex
        try:
            _copy(folder, staging)
            _inspect(name, folder, staging)
            made = version or metadata.get("voicebot.version") or _made_up(staging)
            model = ModelId(name, made)
            for known in store.versions(name):
                if version in (None, known.version) and _same(store.locate(known), staging):
                    return known, False
            _free(model, store)
            write_manifest(staging, str(folder.absolute()))
            target = store.folder / name / model.version
            target.parent.mkdir(exist_ok=True)
            staging.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return model, True


def _made_up(folder: Path) -> str:
    """A version for a model that names none: date and checksum."""
    return f"{datetime.now(UTC):%Y-%m-%d}-{digest(folder / MODEL_FILE, 'sha256')[:8]}"


def _free(model: ModelId, store: Store | None) -> None:
    """See that a version is not that of another model."""
    if model.version == SHIPPED:
        what = "is what the model that came with voicebot is called"
    elif store is not None and model in store.versions(model.name):
        what = "is there already, and another model"
    else:
        return
    raise ModelError(f"{model}: {what}", "choose another version with --version")


def _same(installed: Path, staging: Path) -> bool:
    """Whether an installed version has the very files that are in ``staging``."""
    files = [path.relative_to(staging) for path in staging.rglob("*") if path.is_file()]
    return all(
        (installed / file).is_file()
        and digest(installed / file, "sha256") == digest(staging / file, "sha256")
        for file in files
    )


def _copy(folder: Path, staging: Path) -> None:
    """Copy a model's files, without hidden ones and the manifest of another store.

    Raises:
        ModelError: one cannot be read.
        OSError: one cannot be written.
    """
    staging.mkdir(parents=True)
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if inside.name == MANIFEST or any(part.startswith(".") for part in inside.parts):
            continue
        if path.is_dir():
            (staging / inside).mkdir()
            continue
        try:
            contents = path.read_bytes()
        except OSError as err:
            raise ModelError(f"{path}: {err.strerror or err}", "mend its permissions") from None
        (staging / inside).write_bytes(contents)


def _inspect(name: str, origin: Path, copy: Path) -> None:
    """Refuse what does not work or does not say enough of itself.

    Raises:
        ModelError: naming the folder that it was copied from.
    """
    try:
        check(name, copy)
        if not read_calibration(copy).model_sha256:
            raise ModelError(
                f"{copy / CALIBRATION_FILE}: no checksum of {MODEL_FILE}", "train the model again"
            )
        missing = missing_sections(read_card(copy))
    except ModelError as err:
        what, mend = (text.replace(str(copy), str(origin)) for text in (err.what, err.mend))
        raise ModelError(what, mend) from None
    if missing:
        raise ModelError(
            f"{origin / CARD_FILE}: says nothing of: {', '.join(missing)}",
            "a model comes with a card that tells people what it is; write what is missing",
        )
