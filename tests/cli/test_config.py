"""``voicebot config``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import voicebot
from tests.conftest import ROOT


def test_check_says_ok_or_where_it_is_wrong(tmp_path: Path) -> None:
    done = voicebot("config", "check", str(ROOT / "config.yaml"))
    assert done.returncode == 0, done.stderr
    assert "ok" in done.stdout
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("langauge: en\nstt:\n  pool_size: 0\n")
    done = voicebot("config", "check", str(wrong))
    assert done.returncode == 1
    assert "wrong.yaml:1: unknown key 'langauge'; did you mean 'language'?" in done.stderr
    assert "wrong.yaml:3: stt.pool_size" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_show_prints_the_one_in_force(tmp_path: Path, option: list[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("language: ko\n")
    done = voicebot("config", "show", "--config", str(path), *option)
    assert done.returncode == 0, done.stderr
    if option:
        assert json.loads(done.stdout)["language"] == "ko"
    else:
        assert "language: ko" in done.stdout
        assert "[default en]" in done.stdout


def test_the_defaults_are_shown_whatever_is_set(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("language: ko\n")
    done = voicebot("config", "show", "--config", str(path), "--defaults")
    assert done.stdout == (ROOT / "config.yaml").read_text(encoding="utf-8")
