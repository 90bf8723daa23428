"""``voicebot bench pipeline``: a table for people, JSON for machines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import DEMO, voicebot
from voicebot.bench import STAGES


def test_pipeline_charges_every_stage(tmp_path: Path) -> None:
    path = tmp_path / "cost.json"
    done = voicebot(
        "bench", "pipeline", str(DEMO / "happy_loud_en.flac"), "-l", "none", "--repeat", "2",
        "--json", str(path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for stage in STAGES:
        assert stage in done.stdout
    runs = json.loads(path.read_text())
    assert len(runs) == 2
    for run in runs:
        spent = {s["stage"]: s["cpu_seconds"] for s in run["stages"]}
        assert spent["vad"] > 0
        assert spent["acoustic"] > 0
        assert spent["stt"] == spent["text"] == 0, "nothing is transcribed"
        assert run["legs"] == 2
        assert run["rss_mb"] > 50


def test_the_small_model_is_measured_where_it_is_chosen(tmp_path: Path) -> None:
    settings, path = tmp_path / "small.yaml", tmp_path / "cost.json"
    settings.write_text("models:\n  voice: acoustic-small\n")
    cost = {}
    for name, options in (("acoustic", []), ("acoustic-small", ["--config", str(settings)])):
        done = voicebot(
            "bench", "pipeline", str(DEMO / "happy_loud_en.flac"), "-l", "none", "--repeat", "1",
            "--json", str(path), *options,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        (run,) = json.loads(path.read_text())
        cost[name] = next(s["cpu_seconds"] for s in run["stages"] if s["stage"] == "acoustic")
    assert cost["acoustic-small"] < 0.5 * cost["acoustic"], "no speech encoder is run"


@pytest.mark.parametrize("where", ["/absent/cost.json"])
def test_a_report_that_cannot_be_written_is_named(where: str) -> None:
    done = voicebot(
        "bench", "pipeline", str(DEMO / "happy_loud_en.flac"), "-l", "none", "--repeat", "1",
        "--json", where,
    )  # fmt: skip
    assert done.returncode == 1
    assert where in done.stderr
