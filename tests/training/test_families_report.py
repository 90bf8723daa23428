"""The table of families: its means, what is left blank, what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from voicebot.emotion.calibration import ANGER
from voicebot.training.evaluation_report import PartReport
from voicebot.training.families_report import DEV, Cell, report
from voicebot.training.speech_corpora import Clip

CELLS: dict[str, dict[str, Cell]] = {
    "one": {
        DEV: {"auc": {"aa": 0.8, "bb": 0.6}, "cpu_seconds": 60.0, "bytes": 2_500_000, "ms": 3.25},
        "aa": {"auc": {"aa": 0.9}, "cpu_seconds": 30.0},
        "bb": {"auc": {"bb": 0.7}, "cpu_seconds": 30.0},
        "cc": {"auc": {}, "cpu_seconds": 0.0},
    },
    "other": {
        DEV: {"auc": {"aa": 0.9, "bb": 0.9}, "cpu_seconds": 0.0, "bytes": 1, "ms": 1.0},
        "aa": {"auc": {"aa": 0.6}, "cpu_seconds": 0.0},
        "bb": {"auc": {"bb": 0.6}, "cpu_seconds": 0.0},
        "cc": {"auc": {}, "cpu_seconds": 0.0},
    },
    "absent": {},
}


def told(draw: bool = False, cells: dict[str, dict[str, Cell]] = CELLS) -> PartReport:
    clips = [
        Clip(Path("x"), corpus, corpus, "en", corpus, ANGER, 1.0, split, "")
        for corpus in ("aa", "bb", "cc")
        for split in ("train", "train", "dev")
    ]
    return report(cells, clips, ("A note.",), draw=draw, seconds=1.0)


def test_rows() -> None:
    table, dev = told().tables
    one = table.rows["one"]
    assert one == pytest.approx(
        {"dev": 0.7, "mean": 0.8, "aa": 0.9, "bb": 0.7, "mb": 2.5, "ms": 3.25}
    )
    assert [table.cell("one", key) for key in table.columns] == [
        "0.700", "0.800", "0.900", "0.700", "-", "2.50", "3.2",
    ]  # fmt: skip
    assert {table.cell("absent", key) for key in table.columns} == {"-"}
    assert dev.rows["one"] == {"aa": 0.8, "bb": 0.6}


def test_which_is_best_depends_on_whom_it_hears() -> None:
    summary = told().summary
    assert summary[0] == "Best on dev speakers: other, AUC 0.900"
    assert summary[1] == "Best with a corpus left out: one, AUC 0.800"


def test_notes_say_what_was_used_and_what_was_not() -> None:
    text = " ".join(told().notes)
    for part in ("A note.", "dev clips: cc", "6 training and 3 dev clips", "2.0 minutes"):
        assert part in text


def test_a_picture_on_demand() -> None:
    assert told().pictures == ()
    assert told(draw=True).pictures[0].png.startswith(b"\x89PNG")


def test_nothing_was_measured() -> None:
    nothing = told(draw=True, cells={"absent": {}})
    assert nothing.summary == ()
    assert nothing.pictures == ()
