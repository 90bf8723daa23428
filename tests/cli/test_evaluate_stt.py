from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from voicebot.cli.evaluate_stt import command
from voicebot.errors import VoicebotError

app = typer.Typer()
app.command()(command)


def test_a_row_for_each_language_and_rate(data: Path) -> None:
    result = CliRunner().invoke(
        app,
        ["--manifest", str(data / "stt.csv"), "--language", "en", "--engine", "bundled",
         "--limit", "1", "--json"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["rate"] for row in rows] == [16000, 8000]
    for row in rows:
        assert (row["measure"], row["engine"], row["clips"]) == ("WER", "moonshine:tiny-en", 1)
        assert 0 <= row["error_rate"] < 0.2
        assert row["rss_mb"] > 50


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--rate", "44100"], "not a rate of a leg"),
        (["--manifest", "/no/such.csv", "--language", "en"], "/no/such.csv"),
    ],
)
def test_wrong_arguments_are_named(arguments: list[str], says: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, VoicebotError)
    assert says in str(result.exception)
