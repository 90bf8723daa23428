"""Installing a trained model: whole or not at all, and nothing that does not work."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.emotion.versions import edit, variant
from voicebot.emotion.intake import add
from voicebot.emotion.onnx_model import models_dir
from voicebot.emotion.pointer import SHIPPED, ModelId
from voicebot.emotion.store import Store
from voicebot.errors import ModelError, OutputError
from voicebot.models import read_manifest


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def left(store: Store) -> set[str]:
    """What is in the store beside the lock."""
    return {path.name for path in store.folder.iterdir()} - {".lock"}


def test_a_trained_folder_becomes_a_version(store: Store, tmp_path: Path) -> None:
    trained = variant(tmp_path / "trained", nats=0.5)
    (trained / ".cache").write_text("not part of it")
    model, new = add(store, trained)
    assert new
    assert model.name == "acoustic"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-[0-9a-f]{8}", model.version)
    folder = store.locate(model)
    assert {file.path for file in read_manifest(folder)} >= {
        "model.onnx", "calibration.json", "card.md",
    }  # fmt: skip
    assert not (folder / ".cache").exists()
    assert store.faults(model) == []
    assert store.pointer().version("acoustic") == SHIPPED, "it is not active by that"


def test_the_version_is_asked_for_or_the_models_own(store: Store, tmp_path: Path) -> None:
    trained = edit(variant(tmp_path / "trained", "text-ko"), version="7.1")
    assert add(store, trained)[0] == ModelId("text-ko", "7.1")
    edit(trained, note="other")
    assert add(store, trained, "mine")[0] == ModelId("text-ko", "mine")
    with pytest.raises(ModelError, match="not a version"):
        add(store, trained, "../mine")
    with pytest.raises(ModelError, match="came with voicebot"):
        add(store, trained, SHIPPED)


def test_the_same_model_is_not_installed_twice(store: Store, tmp_path: Path) -> None:
    assert add(store, models_dir() / "acoustic") == (ModelId("acoustic", SHIPPED), False)
    trained = variant(tmp_path / "trained", nats=0.5)
    first, _ = add(store, trained)
    assert add(store, trained) == (first, False)
    assert add(store, trained, "again") == (ModelId("acoustic", "again"), True)


def test_a_version_is_never_another_model(store: Store, tmp_path: Path) -> None:
    add(store, variant(tmp_path / "a", nats=0.5), "1")
    with pytest.raises(ModelError, match="acoustic@1: is there already, and another model"):
        add(store, variant(tmp_path / "b", nats=1.0), "1")


def test_a_name_of_its_own_is_kept(store: Store, tmp_path: Path) -> None:
    trained = edit(variant(tmp_path / "trained"), name="acoustic-small")
    assert add(store, trained, "1")[0] == ModelId("acoustic-small", "1")


@pytest.mark.parametrize(
    ("fault", "says"),
    [("garbage", "not a usable ONNX file"), ("missing", "model.onnx is missing"),
     ("card", "card.md is missing"), ("checksum", "checksum differs"),
     ("unbound", "no checksum of model.onnx"), ("kind", "kind 'speech'"),
     ("language", "for 'xx'"), ("format", "of format 2, made for a later voicebot"),
     ("sections", "says nothing of: limits"), ("calibration", "calibration.json")],
)  # fmt: skip
def test_what_does_not_work_is_refused_and_leaves_nothing(
    fault: str, says: str, store: Store, tmp_path: Path
) -> None:
    folder = variant(tmp_path / "trained", "text-en" if fault == "language" else "acoustic")
    calibration = json.loads((folder / "calibration.json").read_text("utf-8"))
    match fault:
        case "garbage":
            (folder / "model.onnx").write_bytes(b"not a model")
        case "missing":
            (folder / "model.onnx").unlink()
        case "card":
            (folder / "card.md").unlink()
        case "checksum" | "unbound":
            calibration["model_sha256"] = "0" * 64 if fault == "checksum" else ""
            (folder / "calibration.json").write_text(json.dumps(calibration), "utf-8")
        case "kind":
            edit(folder, kind="speech")
        case "language":
            edit(folder, language="xx")
        case "format":
            edit(folder, format="2")
        case "sections":
            card = (folder / "card.md").read_text("utf-8")
            (folder / "card.md").write_text(card.replace("## Limits", "## Others"), "utf-8")
        case "calibration":
            (folder / "calibration.json").write_text("{}", "utf-8")
    with pytest.raises(ModelError, match=re.escape(says)) as caught:
        add(store, folder)
    if fault not in ("kind", "language"):
        assert str(folder) in str(caught.value)
    assert str(store.folder) not in str(caught.value), "the user's folder is named, not the copy"
    assert not store.folder.exists() or left(store) == set()


def test_a_folder_that_is_none(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such folder"):
        add(store, tmp_path / "absent")


def test_what_a_killed_process_left_is_swept_away(store: Store, tmp_path: Path) -> None:
    (store.folder / ".partial" / "half").mkdir(parents=True)
    add(store, variant(tmp_path / "trained", nats=0.5), "1")
    assert left(store) == {"acoustic"}


def test_a_full_disk_leaves_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = variant(tmp_path / "trained", nats=0.5)
    write = Path.write_bytes

    def full(path: Path, contents: bytes) -> int:
        if path.name == "card.md":
            return write(path, contents)
        write(path, contents[:10])
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="the disk is full") as caught:
        add(store, trained)
    assert "free some space" in caught.value.mend
    assert left(store) == set()


def test_files_beside_the_model_come_along(store: Store, tmp_path: Path) -> None:
    trained = variant(tmp_path / "trained", nats=0.5)
    (trained / "plots").mkdir()
    (trained / "plots" / "det.png").write_bytes(b"a picture")
    (trained / "vocabulary.txt").write_text("words")
    folder = store.locate(add(store, trained, "1")[0])
    assert (folder / "plots" / "det.png").read_bytes() == b"a picture"
    assert {file.path for file in read_manifest(folder)} >= {"plots/det.png", "vocabulary.txt"}
    (trained / "vocabulary.txt").write_text("other words")
    with pytest.raises(ModelError, match="another model"):
        add(store, trained, "1")
