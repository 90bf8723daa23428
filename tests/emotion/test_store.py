"""Versions on disk: found, activated, rolled back, by several at once, and on a bad disk."""

from __future__ import annotations

import itertools
import os
import threading
from pathlib import Path

import pytest

from tests.emotion.versions import put, spoil
from voicebot.emotion import pointer as pointers
from voicebot.emotion.onnx_model import models_dir
from voicebot.emotion.pointer import MAX_SHADOWS, SHIPPED, ModelId
from voicebot.emotion.store import ENVIRONMENT, Store, store_dir
from voicebot.errors import ModelError, OutputError
from voicebot.models import write_manifest

ACOUSTIC = ModelId("acoustic", SHIPPED)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_the_folder_is_the_environments_or_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, "/srv/models")
    assert store_dir() == Path("/srv/models")
    monkeypatch.delenv(ENVIRONMENT)
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert store_dir() == Path("/data/voicebot/emotion-models")


def test_an_absent_store_holds_the_shipped_models(store: Store) -> None:
    assert {"acoustic", "text-en", "text-zh", "text-ko"} <= set(store.names())
    assert store.versions("acoustic") == [ACOUSTIC]
    assert store.locate(ACOUSTIC) == models_dir() / "acoustic"
    assert store.pointer().version("acoustic") == SHIPPED
    assert store.pointer_faults() == []
    assert not store.folder.exists(), "looking makes nothing"


def test_what_is_no_version_is_not_listed(store: Store) -> None:
    put(store, "acoustic@1")
    for stray in (".partial/x", "lost+found", "acoustic/.hidden", "acoustic/a b"):
        (store.folder / stray).mkdir(parents=True)
    assert "lost+found" not in store.names()
    assert store.versions("acoustic") == [ACOUSTIC, ModelId("acoustic", "1")]


def test_activation_rollback_and_what_they_return(store: Store) -> None:
    one, two = put(store, "acoustic@1"), put(store, "acoustic@2")
    assert store.activate(one).version("acoustic") == SHIPPED
    assert store.activate(two).version("acoustic") == "1"
    assert Store(store.folder).pointer().version("acoustic") == "2"
    assert store.rollback("acoustic").version("acoustic") == "2"
    assert store.pointer().version("acoustic") == "1"
    store.rollback("acoustic")
    assert store.pointer().version("acoustic") == SHIPPED
    with pytest.raises(ModelError, match="no version was active before"):
        store.rollback("acoustic")


def test_a_version_that_is_not_there_names_those_that_are(store: Store) -> None:
    put(store, "acoustic@1")
    put(store, "text-en@9")
    with pytest.raises(ModelError, match="acoustic@9: not in") as caught:
        store.locate(ModelId("acoustic", "9"))
    assert "acoustic@1" in caught.value.mend
    assert "text-en@9" in caught.value.mend, "perhaps this one was meant"


def test_a_model_of_another_kind_is_not_activated(store: Store) -> None:
    put(store, "text-en@1")
    (store.folder / "acoustic").mkdir()
    (store.folder / "text-en" / "1").rename(store.folder / "acoustic" / "1")
    with pytest.raises(ModelError, match="kind 'acoustic', found 'text'"):
        store.activate(ModelId("acoustic", "1"))
    assert store.stamp() is None, "nothing was written"


def test_a_damaged_version_is_not_activated_and_not_rolled_back_to(store: Store) -> None:
    one, two = put(store, "acoustic@1"), put(store, "acoustic@2")
    store.activate(one)
    store.activate(two)
    spoil(store, one)
    with pytest.raises(ModelError, match="acoustic@1"):
        store.rollback("acoustic")
    with pytest.raises(ModelError, match="acoustic@1"):
        store.activate(one)
    assert store.pointer().version("acoustic") == "2"
    store.activate(ACOUSTIC)


def test_a_change_is_found_by_the_checksums_of_the_manifest(store: Store) -> None:
    model = put(store, "text-en@x")
    folder = store.locate(model)
    write_manifest(folder, "test")
    assert store.faults(model) == []
    (folder / "card.md").write_text("another card, as long as it likes")
    assert "card.md has" in store.faults(model)[0]


def test_a_damaged_pointer_is_reported_and_not_written_over(store: Store) -> None:
    one = put(store, "acoustic@1")
    (store.folder / pointers.FILE).write_text("{")
    assert "damaged" in store.pointer_faults()[0]
    with pytest.raises(ModelError, match="damaged"):
        store.activate(one)
    assert (store.folder / pointers.FILE).read_text() == "{"


def test_a_pointer_at_nothing_is_reported(store: Store) -> None:
    one = put(store, "acoustic@1")
    store.activate(one)
    store.shadow([put(store, "text-en@2")])
    for model in ("acoustic/1", "text-en/2"):
        (store.folder / model).rename(store.folder / model.replace("/", "-moved-"))
    first, second = store.pointer_faults()
    assert "acoustic@1" in first and "active" in first
    assert "text-en@2" in second and "tried" in second


def test_shadows_are_checked_and_bounded(store: Store) -> None:
    one = put(store, "acoustic@1")
    store.shadow([one, one])
    assert store.pointer().shadow == (one,)
    with pytest.raises(ModelError, match="not in"):
        store.shadow([ModelId("acoustic", "absent")])
    many = [ModelId("acoustic", str(k)) for k in range(MAX_SHADOWS + 1)]
    with pytest.raises(ModelError, match="at once"):
        store.shadow(many)
    assert store.pointer().shadow == (one,)
    store.shadow([])
    assert store.pointer().shadow == ()


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file") as caught:
        Store(tmp_path / "file" / "store").activate(ModelId("acoustic", SHIPPED))
    assert ENVIRONMENT in caught.value.mend


def test_a_full_disk_leaves_the_pointer_as_it_was(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = put(store, "acoustic@1"), put(store, "acoustic@2")
    store.activate(one)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="the disk is full"):
        store.activate(two)
    assert store.pointer().version("acoustic") == "1"


def test_many_activations_at_once_leave_a_sound_pointer(store: Store) -> None:
    models = [put(store, f"text-en@{k}") for k in range(3)]
    wrong: list[Exception] = []

    def work(model: ModelId) -> None:
        try:
            for _ in range(8):
                Store(store.folder).activate(model)
        except Exception as err:
            wrong.append(err)

    threads = [threading.Thread(target=work, args=(model,)) for model in models]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        store.pointer()  # whenever it is read, it is whole
    assert wrong == []
    pointer = store.pointer()
    assert pointer.version("text-en") in {"0", "1", "2"}
    chain = [*pointer.before["text-en"], pointer.version("text-en")]
    assert all(a != b for a, b in itertools.pairwise(chain)), "every step is a change"
    assert {path.name for path in store.folder.iterdir()} == {".lock", "active.json", "text-en"}
