from __future__ import annotations

import json
from pathlib import Path

import pytest

from voicebot.cli.json_output import check_file, write_json
from voicebot.errors import OutputError


def test_figures_are_written_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    check_file(path)
    write_json(path, {"名": [1, 2.5, None]})
    assert json.loads(path.read_text(encoding="utf-8")) == {"名": [1, 2.5, None]}
    assert "名" in path.read_text(encoding="utf-8")


def test_no_file_no_fault() -> None:
    check_file(None)
    write_json(None, {})


def test_what_cannot_be_written_is_refused_beforehand(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="--json .*no such folder"):
        check_file(tmp_path / "absent" / "figures.json")
    with pytest.raises(OutputError, match="--html .*is a folder"):
        check_file(tmp_path, "--html")
    with pytest.raises(OutputError, match="choose another --json file"):
        write_json(tmp_path, {})
