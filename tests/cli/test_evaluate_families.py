"""``voicebot evaluate families``: its options reach the comparison, its table the files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from voicebot.cli import evaluate
from voicebot.cli.evaluate_families import command
from voicebot.errors import OutputError
from voicebot.training import families
from voicebot.training.evaluation_report import PartReport
from voicebot.training.families_report import DEV, Cell, report


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    asked: dict[str, Any] = {}

    def noted(data: Path, **given: Any) -> PartReport:
        asked.update(given, data=data)
        cells: dict[str, dict[str, Cell]] = {
            "SVM, prosody": {
                DEV: {"auc": {"aa": 0.9}, "cpu_seconds": 1.0, "bytes": 1_000_000, "ms": 2.0},
                "aa": {"auc": {"aa": 0.8}, "cpu_seconds": 1.0},
            },
            "CNN, log-mel": {},
        }
        notes = ["Not measured: CNN, log-mel: pip install 'voicebot[train-text]'"]
        return report(cells, [], notes, draw=given["draw"], seconds=1.0)

    monkeypatch.setattr(families, "evaluate", noted)
    return asked


def run(*arguments: str) -> str:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, arguments, catch_exceptions=False).output


def test_table_json_page_and_picture(options: dict[str, Any], tmp_path: Path) -> None:
    text = run(
        "--json", f"{tmp_path}/f.json", "--html", f"{tmp_path}/r.html", "--plots",
        f"{tmp_path}/plots", "--seed", "3", "--cache", f"{tmp_path}/c",
        "--features", f"{tmp_path}/f",
    )  # fmt: skip
    assert "0.800" in text
    assert "pip install 'voicebot[train-text]'" in text
    tables = json.loads((tmp_path / "f.json").read_text())["families"]["tables"]
    assert tables["AUC of anger by family"]["SVM, prosody"]["mean"] == 0.8
    assert tables["AUC of anger by family"]["CNN, log-mel"] == {}
    assert "SVM, prosody" in (tmp_path / "r.html").read_text()
    assert (tmp_path / "plots" / "families-left-out.png").is_file()
    assert options["seed"] == 3
    assert options["draw"] is True
    assert (options["cache"], options["features"]) == (tmp_path / "c", tmp_path / "f")


def test_without_a_page_nothing_is_drawn(options: dict[str, Any]) -> None:
    run()
    assert options["draw"] is False
    assert options["cache"] is None


def test_what_cannot_be_written_is_refused_before_the_work(
    options: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match="no such folder"):
        run("--json", f"{tmp_path}/none/f.json")
    assert options == {}


def test_it_is_among_the_evaluations() -> None:
    result = CliRunner().invoke(evaluate.app, ["families", "--help"])
    assert "Example: voicebot evaluate families" in result.output
