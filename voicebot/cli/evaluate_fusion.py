"""``voicebot evaluate fusion``: what voice and words together gain, part by part."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from voicebot.cli.evaluation_output import (
    CacheOption,
    HtmlOption,
    ModelsOption,
    PlotsOption,
    WorkersOption,
    check_outputs,
    show,
)
from voicebot.cli.json_output import JsonOption
from voicebot.cli.train import DataOption, SeedOption, progress_bar
from voicebot.emotion.onnx_model import models_dir


def command(
    data: DataOption = Path("../shared/data"),
    models: ModelsOption = None,
    left_out: Annotated[
        bool,
        typer.Option(
            "--left-out",
            help="Also judge all Korean scripts by the voice model trained without ko (made by "
            "`voicebot train acoustic`).",
        ),
    ] = False,
    left_out_models: Annotated[
        Path | None,
        typer.Option("--left-out-models", metavar="FOLDER", help="Where it is; default ~/.cache."),
    ] = None,
    seed: SeedOption = 0,
    workers: WorkersOption = 2,
    cache: CacheOption = None,
    out: JsonOption = None,
    html: HtmlOption = None,
    plots: PlotsOption = None,
) -> None:
    """Measure voice and words together, and with one part of the fusion taken away.

    Real pairs are Korean emotional scripts, as written and as recognised at 8 kHz; drawn pairs
    assume that voice and words are independent.
    Example: voicebot evaluate fusion --html report.html
    """
    from voicebot.training.fusion_evaluation import evaluate
    from voicebot.training.left_out import left_out_folder
    from voicebot.training.score_cache import predictions_cache

    check_outputs(out, html, plots)
    console = Console()
    with progress_bar(console) as progress:
        report = evaluate(
            data,
            models or models_dir(),
            left_out_models=(left_out_models or left_out_folder())
            if left_out or left_out_models
            else None,
            seed=seed,
            cache=cache or predictions_cache(),
            workers=workers,
            progress=progress,
            draw=html is not None or plots is not None,
        )
    show(report, out, html, plots, console)
