"""``voicebot bench``: what things cost on this machine."""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from voicebot import config
from voicebot.audio.files import open_file
from voicebot.bench import STAGES, PipelineCost, measure, silent
from voicebot.cli import bench_line
from voicebot.cli.config import ConfigOption
from voicebot.cli.json_output import write_json
from voicebot.cli.run import LanguageOption
from voicebot.engine import Engine

app = typer.Typer(no_args_is_help=True, help="Measure what voicebot costs on this machine.")


app.command("line")(bench_line.line)
app.command("soak")(bench_line.soaking)


@app.command()
def pipeline(
    file: Annotated[
        Path | None, typer.Argument(help="A call; default the bundled English one.")
    ] = None,
    language: LanguageOption = None,
    repeat: Annotated[
        int, typer.Option(min=1, help="Runs; the median of each figure is shown.")
    ] = 3,
    output: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write every run as JSON.")
    ] = None,
    path: ConfigOption = None,
) -> None:
    """CPU time of one call by stage: milliseconds and percent of one core per second of audio.

    Example: voicebot bench pipeline call.wav --language ko --repeat 5 --json cost.json
    """
    settings = silent(config.load(config.locate(path)))
    began = time.process_time()
    engine = Engine(settings, language or settings.language)
    load_seconds = time.process_time() - began
    default = resources.files("voicebot").joinpath("assets/demo/angry_en.flac")
    runs: list[PipelineCost] = []
    with engine:
        for _ in track(range(repeat), "runs", console=Console(stderr=True), transient=True):
            with resources.as_file(default) as bundled, open_file(str(file or bundled)) as source:
                runs.append(measure(engine, source, load_seconds))
    Console().print(_table(runs, str(file or "bundled angry_en")))
    write_json(output, [asdict(run) for run in runs])


def _table(runs: list[PipelineCost], name: str) -> Table:
    first = runs[0]
    table = Table(
        "stage", "calls", "ms per s of audio and leg", "% of a core per leg", "longest call (ms)",
        title=f"{name}: {first.audio_seconds:.0f} s, {first.legs} leg(s), "
        f"median of {len(runs)} run(s)",
        caption=f"everything but stt {_median([r.without_stt for r in runs]):.2f} % of a core per "
        f"leg; real-time factor {_median([r.wall_seconds / r.audio_seconds for r in runs]):.3f}; "
        f"models load in {first.load_seconds:.1f} CPU s; "
        f"peak RSS {max(r.rss_mb for r in runs):.0f} MB",
    )  # fmt: skip
    for index, stage in enumerate(STAGES):
        percent = _median([r.percent_of_core(stage) for r in runs])
        longest = _median([r.stages[index].longest_ms for r in runs])
        table.add_row(
            stage, str(first.stages[index].calls), f"{10 * percent:.2f}", f"{percent:.3f}",
            f"{longest:.2f}" if longest else "",
        )  # fmt: skip
    return table


def _median(values: list[float]) -> float:
    return statistics.median(values)
