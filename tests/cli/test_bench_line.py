"""``voicebot bench line`` and ``soak``: what they ask for, refuse, print and write."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table

from tests.cli.command import voicebot
from tests.load.test_line_bench import GOOD
from tests.load.test_soak import sample
from voicebot.cli import bench_line as module
from voicebot.load.daemon_process import MEDIA
from voicebot.load.line_bench import Series, Step
from voicebot.load.soak import Soak

SOAK = Soak("none", (sample(0, 100.0, 0), sample(15, 110.0, 7), sample(30, 105.0, 0)), 9, 8, 1)


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


def text(table: Table) -> list[list[str]]:
    """The cells of a table."""
    columns = [[str(cell) for cell in column.cells] for column in table.columns]
    return [list(row) for row in zip(*columns, strict=True)]


def test_a_row_for_each_step() -> None:
    lossy = replace(GOOD, calls=8, lost=3, dropped_blocks=12, lag_p95=0.4, cpu_percent=50.0)
    first, second = text(module.steps_table(Series("none", 100.0, (GOOD, lossy))))
    assert first == ["4", "4", "0", "0.0 s", "50 ms", "20 %", "5.00 %", "200 MB"]
    assert second == ["8", "4", "3", "1.2 s", "400 ms", "50 %", "6.25 %", "200 MB"]


def test_the_summary_is_of_the_most_calls_with_no_loss() -> None:
    table = module.summary(
        [Series("none", 100.0, (GOOD,)), Series("ko", 100.0, (replace(GOOD, lost=1),))]
    )
    assert text(table) == [
        ["none", "4", "5.00 %", "25.0 MB", "20"],
        ["ko", "none", "", "", ""],
    ]


def test_what_a_soak_showed() -> None:
    shown = dict(text(module.soak_table(SOAK)))
    assert shown["calls placed, answered, cut off"] == "9, 8, 1"
    assert shown["calls at once, at most"] == "7"
    assert shown["memory before, after"] == "100 MB, 105 MB"
    assert shown["media ports left"] == "10"
    assert shown["lag p95, at most"] == "50 ms"


class Load:
    """Stands for the daemon and its callers; notes what is asked of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def measure(
        self, folder: Path, audio: Path, what: str, counts: list[int], seconds: float,
        told: Callable[[Step], None],
    ) -> Series:  # fmt: skip
        assert folder.is_dir() and audio.is_file()
        self.asked.append((audio.name, what, counts, seconds))
        told(GOOD)
        return Series(what, 100.0, (GOOD,))

    def soak(self, folder: Path, audio: Path, language: str, **more: Any) -> Soak:
        assert folder.is_dir() and audio.is_file()
        more.pop("told")(SOAK.samples[1])
        self.asked.append((audio.name, language, more))
        return SOAK


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    load = Load()
    monkeypatch.setattr(module, "measure", load.measure)
    monkeypatch.setattr(module, "soak", load.soak)
    return load


def test_by_default_three_daemons_with_steps_of_their_own(
    load: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    module.line()
    assert [(name, what) for name, what, _, _ in load.asked] == [
        ("angry_en.flac", MEDIA), ("angry_en.flac", "none"), ("angry_ko.flac", "ko"),
    ]  # fmt: skip
    assert [max(counts) for _, _, counts, _ in load.asked] == [500, 50, 32]
    assert {seconds for _, _, _, seconds in load.asked} == {15.0}
    assert "most calls that were all heard" in capsys.readouterr().out


def test_what_is_measured_can_be_said(load: Load, tmp_path: Path) -> None:
    own, figures = tmp_path / "own.wav", tmp_path / "line.json"
    own.touch()
    module.line(own, hearing=["zh"], steps="2,4", seconds=3.0, output=figures)
    assert load.asked == [("own.wav", "zh", [2, 4], 3.0)]
    (series,) = json.loads(figures.read_text())
    assert series["language"] == "zh" and series["steps"][0]["calls"] == 4


def test_a_soak_as_it_is_asked_for(
    load: Load, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot, figures = tmp_path / "soak.png", tmp_path / "soak.json"
    module.soaking(minutes=2.0, calls=30, language="ko", plot=plot, output=figures)
    assert load.asked == [
        ("angry_ko.flac", "ko", {"minutes": 2.0, "calls": 30, "seconds": (5.0, 15.0)})
    ]
    assert plot.stat().st_size > 10_000
    assert json.loads(figures.read_text())["cut_off"] == 1
    assert str(plot) in capsys.readouterr().out.replace("\n", "")
