"""The pointer file: which version is active, which was before, and what is no pointer."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from voicebot.emotion import pointer as pointers
from voicebot.emotion.pointer import HISTORY, SHIPPED, ModelId, Pointer
from voicebot.errors import ModelError


def test_a_model_id_is_read_and_written() -> None:
    model = ModelId.parse("text-en@2026-11-24-1f0c9a2e")
    assert (model.name, model.version) == ("text-en", "2026-11-24-1f0c9a2e")
    assert str(model) == "text-en@2026-11-24-1f0c9a2e"


@pytest.mark.parametrize(
    "text",
    ["acoustic", "acoustic@", "@1", "../x@1", "acoustic@../../etc", "Acoustic@1",
     "acoustic@.hidden", "acoustic@a b", "acoustic@" + "1" * 65],
)  # fmt: skip
def test_what_cannot_be_a_folder_is_no_model_id(text: str) -> None:
    with pytest.raises(ModelError) as caught:
        ModelId.parse(text)
    assert caught.value.mend


def test_activation_and_rollback_go_through_the_history() -> None:
    pointer = Pointer()
    assert pointer.version("acoustic") == SHIPPED
    for version in ("1", "2", "2", "3"):
        pointer = pointer.activated(ModelId("acoustic", version))
    assert pointer.version("acoustic") == "3"
    assert pointer.version("text-en") == SHIPPED
    seen = []
    for _ in range(3):
        pointer = pointer.rolled_back("acoustic")
        seen.append(pointer.version("acoustic"))
    assert seen == ["2", "1", SHIPPED]
    with pytest.raises(ModelError, match="no version was active before"):
        pointer.rolled_back("acoustic")


def test_the_history_is_bounded() -> None:
    pointer = Pointer()
    for version in range(3 * HISTORY):
        pointer = pointer.activated(ModelId("acoustic", str(version)))
    assert len(pointer.before["acoustic"]) == HISTORY
    assert pointer.before["acoustic"][-1] == str(3 * HISTORY - 2)


def test_it_survives_the_file(tmp_path: Path) -> None:
    path = tmp_path / "active.json"
    assert pointers.read(path) == Pointer()
    pointer = Pointer({"acoustic": "2"}, {"acoustic": (SHIPPED, "1")}, (ModelId("text-en", "x"),))
    pointers.write(path, pointer)
    assert pointers.read(path) == pointer
    assert [p.name for p in tmp_path.iterdir()] == ["active.json"], "nothing is left beside it"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"format": 1}', '{"format": 0, "models": {}, "shadow": []}',
     '{"format": 1, "models": {"acoustic": {}}, "shadow": []}',
     '{"format": 1, "models": {"acoustic": {"active": 7, "before": []}}, "shadow": []}',
     '{"format": 1, "models": {"acoustic": {"active": "../x", "before": []}}, "shadow": []}',
     '{"format": 1, "models": {"acoustic": {"active": "1", "before": "12"}}, "shadow": []}',
     '{"format": 1, "models": {}, "shadow": ["acoustic"]}', "\x00\x00\x00"],
)  # fmt: skip
def test_a_damaged_file_is_named_with_its_mend(text: str, tmp_path: Path) -> None:
    path = tmp_path / "active.json"
    path.write_text(text)
    with pytest.raises(ModelError, match=r"active\.json: damaged") as caught:
        pointers.read(path)
    assert "delete active.json" in caught.value.mend


def test_a_file_that_is_no_text_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "active.json"
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ModelError, match="damaged"):
        pointers.read(path)


def test_a_later_format_is_not_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "active.json"
    path.write_text(json.dumps({"format": 2, "other": True}))
    with pytest.raises(ModelError, match="later voicebot") as caught:
        pointers.read(path)
    assert caught.value.mend == "update voicebot"


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "active.json"
    before = Pointer({"acoustic": "1"}, {"acoustic": (SHIPPED,)})
    pointers.write(path, before)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError):
        pointers.write(path, before.activated(ModelId("acoustic", "2")))
    assert pointers.read(path) == before
    assert [p.name for p in tmp_path.iterdir()] == ["active.json"]


def test_the_stamp_changes_with_every_write(tmp_path: Path) -> None:
    path = tmp_path / "active.json"
    assert pointers.stamp(path) is None
    stamps = set()
    for version in ("1", "2", "1", "2"):
        pointers.write(path, Pointer({"acoustic": version}))
        stamps.add(pointers.stamp(path))
    assert len(stamps) == 4
