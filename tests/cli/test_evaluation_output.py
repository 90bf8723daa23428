"""Tables that fit a pipe, files where they were asked for, refusals before the work."""

from __future__ import annotations

import json
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from voicebot.cli.evaluation_output import check_outputs, show
from voicebot.errors import OutputError, VoicebotError
from voicebot.training.acoustic_report import RANKING
from voicebot.training.evaluation_report import FigureTable, PartReport, Picture


def report() -> PartReport:
    figures = dict.fromkeys(RANKING, 0.12345) | {"n": 10000.0, "speakers": 100.0}
    corpora = ("ko", "nemo", "ravdess", "turev", "urdu")
    line = dict.fromkeys((*corpora, "mean", "abstained", "auc_all"), 0.5) | {"drop": -0.123}
    tables = (
        FigureTable("A title", {"ko_continuous_dialogue": figures, "mean": figures}, RANKING),
        FigureTable(
            "Lines", {"5 dB + 3 % loss": line}, (*corpora, "mean", "drop", "abstained", "auc_all")
        ),
    )
    picture = Picture("roc", "Curves", b"\x89PNG")
    return PartReport("acoustic", "Voice", ("AUC [0.9].",), tables, (picture,), ("A note.",))


def printed(**outputs: Path | None) -> str:
    console = Console(file=StringIO(), width=80)
    asked = {"out": None, "html": None, "plots": None, **outputs}
    show(report(), **asked, console=console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_tables_fit_eighty_columns_and_nothing_is_cut() -> None:
    text = printed()
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "…" not in text
    (row,) = [line for line in text.splitlines() if line.startswith("5 dB")]
    assert row.split() == ["5", "dB", "+", "3", "%", "loss", *["0.500"] * 6, "-0.123",
                           *["0.500"] * 2]  # fmt: skip
    assert "ko_continuous_dialogue" in text
    assert "AUC [0.9]." in text
    assert "R@10%: recall" in text


def test_files(tmp_path: Path) -> None:
    printed(out=tmp_path / "f.json", html=tmp_path / "r.html", plots=tmp_path / "plots")
    figures = json.loads((tmp_path / "f.json").read_text())
    assert figures["acoustic"]["tables"]["A title"]["mean"]["auc"] == 0.1235
    assert "A title" in (tmp_path / "r.html").read_text()
    assert (tmp_path / "plots" / "acoustic-roc.png").read_bytes() == b"\x89PNG"


def test_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_outputs(tmp_path / "a.json", tmp_path / "r.html", None)
    with pytest.raises(OutputError, match="--json .*no such folder"):
        check_outputs(tmp_path / "none" / "a.json", None, None)
    with pytest.raises(OutputError, match="--html .*is a folder"):
        check_outputs(None, tmp_path, None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    check_outputs(tmp_path / "a.json", None, None)
    with pytest.raises(VoicebotError, match="voicebot\\[plot\\]"):
        check_outputs(None, tmp_path / "r.html", None)
