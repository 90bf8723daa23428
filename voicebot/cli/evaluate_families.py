"""``voicebot evaluate families``: which family of models tells anger best, and at what price."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from voicebot.cli.evaluation_output import (
    HtmlOption,
    PlotsOption,
    WorkersOption,
    check_outputs,
    show,
)
from voicebot.cli.json_output import JsonOption
from voicebot.cli.train import DataOption, SeedOption, progress_bar


def command(
    data: DataOption = Path("../shared/data"),
    seed: SeedOption = 0,
    workers: WorkersOption = 1,
    cache: Annotated[
        Path | None,
        typer.Option(
            "--cache", metavar="FOLDER", help="What was measured before; default ~/.cache."
        ),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(
            "--features",
            metavar="FOLDER",
            help="Features that `voicebot train acoustic --cache` computed; default ~/.cache.",
        ),
    ] = None,
    out: JsonOption = None,
    html: HtmlOption = None,
    plots: PlotsOption = None,
) -> None:
    """Compare families of voice models: support vectors, networks, and the recipe shipped here.

    All learn from the same clips on the same lines; each is judged on dev speakers, and on
    every corpus by a model that never saw it.  It takes a quarter of an hour of one core; what
    was interrupted goes on where it was.  The convolutional and the recurrent network need
    torch, which comes with the extra train-text; without it their rows stay empty.
    Example: voicebot evaluate families --data ../shared/data --json families.json --plots plots
    """
    from voicebot.training.families import evaluate

    check_outputs(out, html, plots)
    console = Console()
    with progress_bar(console) as progress:
        report = evaluate(
            data,
            seed=seed,
            progress=progress,
            cache=cache,
            features=features,
            workers=workers,
            draw=html is not None or plots is not None,
        )
    show(report, out, html, plots, console)
