"""``voicebot bench line`` and ``soak``: what they ask for, refuse, print and write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import voicebot


def test_a_table_for_people_and_json_for_machines(tmp_path: Path) -> None:
    path = tmp_path / "line.json"
    done = voicebot(
        "bench", "line", "--hearing", "media", "--steps", "2,3", "--seconds", "2", "--json",
        str(path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "hearing: media" in done.stdout
    (series,) = json.loads(path.read_text())
    assert [step["calls"] for step in series["steps"]] == [2, 3]
    assert all(step["answered"] == step["calls"] for step in series["steps"])


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (["line", "--steps", "2,x"], "2,x"),
        (["line", "--steps", "0"], "--steps"),
        (["line", "--json", "/absent/line.json"], "/absent/line.json"),
        (["soak", "--json", "/absent/soak.json"], "/absent/soak.json"),
        (["soak", "--plot", "/absent/soak.png"], "/absent/soak.png"),
        (["soak", "--plot", "soak.txt"], "soak.txt"),
    ],
)
def test_what_would_fail_in_the_end_is_refused_at_once(command: list[str], named: str) -> None:
    done = voicebot("bench", *command, timeout=20)
    assert done.returncode != 0
    assert named in done.stderr
    assert "Traceback" not in done.stderr
