"""What the tests of ``voicebot evaluate acoustic|text|fusion`` share: an evaluation made up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from voicebot.errors import OutputError
from voicebot.training.evaluation_report import FigureTable, PartReport


class Asked:
    """A command whose evaluation only notes what it was asked for."""

    def __init__(
        self,
        command: Callable[..., None],
        module: ModuleType,
        part: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.options: dict[str, Any] = {}
        self._part = part
        self._app = typer.Typer()
        self._app.command()(command)

        def evaluate(data: Path, model: Path, **options: Any) -> PartReport:
            self.options.update(options, data=data, model=model)
            table = FigureTable("Ranking", {"aa": {"auc": 0.9}}, ("auc",))
            return PartReport(part, "Title", ("A summary.",), (table,))

        monkeypatch.setattr(module, "evaluate", evaluate)

    def run(self, *arguments: str) -> str:
        """What the command prints."""
        return CliRunner().invoke(self._app, arguments, catch_exceptions=False).output

    def check_table_json_and_page(self, folder: Path) -> None:
        text = self.run("--json", f"{folder}/f.json", "--html", f"{folder}/r.html", "--seed", "3",
                        "--models", f"{folder}/m", "--workers", "1")  # fmt: skip
        assert "A summary." in text
        assert "0.900" in text
        assert json.loads((folder / "f.json").read_text())[self._part]["tables"]["Ranking"]
        assert "Ranking" in (folder / "r.html").read_text()
        assert self.options["seed"] == 3
        assert self.options["draw"] is True
        assert self.options["workers"] == 1
        assert str(self.options["model"]).startswith(f"{folder}/m")

    def check_what_cannot_be_written_is_refused_before_the_work(self, folder: Path) -> None:
        with pytest.raises(OutputError, match="no such folder"):
            self.run("--json", f"{folder}/none/f.json")
        assert self.options == {}
