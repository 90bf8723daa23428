"""``voicebot evaluate acoustic``: its options reach the evaluation, its report the files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from voicebot.cli.evaluate_acoustic import command
from voicebot.errors import ModelError, OutputError
from voicebot.training import acoustic_evaluation
from voicebot.training.evaluation_report import FigureTable, PartReport

app = typer.Typer()
app.command()(command)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def evaluate(data: Path, model: Path, **options: Any) -> PartReport:
        found.update(options, data=data, model=model)
        table = FigureTable("Ranking", {"aa": {"auc": 0.9}}, ("auc",))
        return PartReport("acoustic", "Title", ("A summary.",), (table,))

    monkeypatch.setattr(acoustic_evaluation, "evaluate", evaluate)
    return found


def run(*arguments: str) -> str:
    return CliRunner().invoke(app, arguments, catch_exceptions=False).output


def test_table_json_and_page(asked: dict[str, Any], tmp_path: Path) -> None:
    text = run("--json", f"{tmp_path}/f.json", "--html", f"{tmp_path}/r.html", "--seed", "3",
               "--models", f"{tmp_path}/m", "--workers", "1")  # fmt: skip
    assert "A summary." in text
    assert "0.900" in text
    assert json.loads((tmp_path / "f.json").read_text())["acoustic"]["tables"]["Ranking"]
    assert "Ranking" in (tmp_path / "r.html").read_text()
    assert asked["seed"] == 3
    assert asked["draw"] is True
    assert asked["workers"] == 1
    assert str(asked["model"]).startswith(f"{tmp_path}/m")


def test_what_cannot_be_written_is_refused_before_the_work(
    asked: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match="no such folder"):
        run("--json", f"{tmp_path}/none/f.json")
    assert asked == {}


@pytest.mark.parametrize(
    ("arguments", "name"),
    [((), None), (("--left-out",), "left-out"), (("--left-out-models", "mine"), "mine")],
)
def test_left_out_models_are_asked_for(
    asked: dict[str, Any], arguments: tuple[str, ...], name: str | None
) -> None:
    run(*arguments)
    found = asked["left_out_models"]
    assert (found.name if found else None) == name
    assert asked["draw"] is False


def test_an_unknown_split(asked: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="--split tset"):
        run("--split", "tset")
    assert asked == {}
