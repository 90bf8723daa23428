"""``voicebot evaluate emotion``: a table for people, JSON for machines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tests.training.corpus import make_corpus
from voicebot.cli.evaluate_emotion import command
from voicebot.errors import ModelError, OutputError
from voicebot.training import bimodal

app = typer.Typer()
app.command()(command)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus") / "data")


def test_table_and_json(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    result = CliRunner().invoke(
        app, ["--data", str(data), "--part", "acoustic", "--json", str(out)],
        catch_exceptions=False, env={"COLUMNS": "200"},
    )  # fmt: skip
    assert "aa, mu-law" in result.output
    figures = json.loads(out.read_text())
    assert set(figures) == {"acoustic"}
    assert figures["acoustic"]["aa, 10 dB noise"]["abstained"] >= 0.0


def test_fusion_joins_real_and_drawn_pairs(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bimodal, "evaluate_korean", lambda *a: {"real: both": {"auc": 0.9}})
    monkeypatch.setattr(bimodal, "evaluate_drawn", lambda *a, **k: {"drawn: both": {"auc": 0.8}})
    result = CliRunner().invoke(
        app, ["--data", str(data), "--part", "fusion"], catch_exceptions=False
    )
    assert "real: both" in result.output
    assert "drawn: both" in result.output


def test_wrong_words_and_places(data: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    with pytest.raises(ModelError, match="--part colour"):
        run(app, ["--part", "colour"], catch_exceptions=False)
    with pytest.raises(ModelError, match="no such acoustic model"):
        run(
            app,
            ["--data", str(data), "--part", "acoustic", "--models", str(tmp_path)],
            catch_exceptions=False,
        )
    with pytest.raises(OutputError, match="--json"):
        run(
            app,
            ["--data", str(data), "--part", "acoustic", "--json", str(tmp_path / "no" / "f")],
            catch_exceptions=False,
        )
