"""``voicebot models``."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from voicebot import models
from voicebot.cli.models import app
from voicebot.errors import ModelError

FILES = {"config.json", "model.bin", "tokenizer.json", "vocabulary.txt"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VOICEBOT_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "models"


@pytest.fixture
def installed(home: Path) -> Path:
    """A model with the right names and the wrong contents."""
    folder = home / "whisper-base"
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_bytes(b"x")
    return folder


def test_list_says_what_is_installed(installed: Path) -> None:
    (home_line,) = [
        line for line in CliRunner().invoke(app, ["list"]).output.splitlines()
        if "whisper-base" in line
    ]  # fmt: skip
    assert "yes" in home_line and "148 MB" in home_line
    (installed / "tokenizer.json").unlink()
    assert "no: tokenizer.json is missing" in CliRunner().invoke(app, ["list"]).output


def test_list_names_every_model_in_full() -> None:
    output = CliRunner().invoke(app, ["list"]).output
    for known in models.registry():
        assert known.name in output


def test_path_prints_the_folder_alone(installed: Path) -> None:
    assert CliRunner().invoke(app, ["path", "whisper-base"]).output == f"{installed}\n"


def test_path_of_what_is_not_installed_is_an_error_with_the_mend() -> None:
    result = CliRunner().invoke(app, ["path", "whisper-tiny"])
    assert isinstance(result.exception, ModelError)
    assert result.exception.mend == "voicebot models install whisper-tiny"


def test_verify_names_what_is_wrong_and_exits_1(installed: Path) -> None:
    (installed / "config.json").unlink()
    result = CliRunner().invoke(app, ["verify", "whisper-base"])
    assert result.exit_code == 1
    assert "config.json is missing" in result.output
    assert "model.bin has 1 bytes instead of 145217532" in result.output
    assert "--force" in result.output


def test_verify_of_what_is_not_installed_is_an_error() -> None:
    assert isinstance(CliRunner().invoke(app, ["verify", "whisper-base"]).exception, ModelError)


def test_install_from_a_folder_refuses_other_weights(installed: Path, tmp_path: Path) -> None:
    given = tmp_path / "given"
    installed.rename(given)
    result = CliRunner().invoke(app, ["install", "whisper-base", "--from", str(given)])
    assert isinstance(result.exception, ModelError)
    assert "config.json: 1 bytes instead of 2309" in str(result.exception)
    assert models.find(models.entry("whisper-base")) is None
    assert {path.name for path in given.iterdir()} == FILES
