"""``voicebot evaluate text``: how well the words alone tell anger, also badly recognised ones."""

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
from voicebot.emotion.text_features import LANGUAGES


def command(
    data: DataOption = Path("../shared/data"),
    models: ModelsOption = None,
    language: Annotated[
        list[str] | None, typer.Option("--language", help="Repeatable; default en, zh and ko.")
    ] = None,
    recognise: Annotated[
        bool,
        typer.Option(
            "--recognise/--no-recognise",
            help="Have speech recognised and read that too; minutes, when it is first done.",
        ),
    ] = True,
    seed: SeedOption = 0,
    workers: WorkersOption = 2,
    cache: CacheOption = None,
    out: JsonOption = None,
    html: HtmlOption = None,
    plots: PlotsOption = None,
) -> None:
    """Measure the text models on the test splits.

    By corpus and language: AUC with intervals, F1, calibration; what simulated errors of a
    recogniser cost, and real ones.
    Example: voicebot evaluate text --language ko --html report.html
    """
    from voicebot.training.score_cache import predictions_cache
    from voicebot.training.text_evaluation import evaluate

    check_outputs(out, html, plots)
    console = Console()
    with progress_bar(console) as progress:
        report = evaluate(
            data,
            models or models_dir(),
            languages=tuple(language or LANGUAGES),
            recognise=recognise,
            seed=seed,
            cache=cache or predictions_cache(),
            workers=workers,
            progress=progress,
            draw=html is not None or plots is not None,
        )
    show(report, out, html, plots, console)
