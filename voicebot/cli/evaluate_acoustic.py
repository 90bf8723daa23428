"""``voicebot evaluate acoustic``: how well the voice alone tells anger, and where it does not."""

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
from voicebot.errors import ModelError
from voicebot.training.speech_corpora import SPLITS


def command(
    data: DataOption = Path("../shared/data"),
    models: ModelsOption = None,
    left_out: Annotated[
        bool,
        typer.Option(
            "--left-out",
            help="Also judge each corpus by the model trained without it (made by "
            "`voicebot train acoustic`).",
        ),
    ] = False,
    left_out_models: Annotated[
        Path | None,
        typer.Option(
            "--left-out-models", metavar="FOLDER", help="Where those are; default ~/.cache."
        ),
    ] = None,
    split: Annotated[
        str, typer.Option("--split", help="Whose speakers: test, or dev while choosing.")
    ] = "test",
    seed: SeedOption = 0,
    workers: WorkersOption = 2,
    cache: CacheOption = None,
    out: JsonOption = None,
    html: HtmlOption = None,
    plots: PlotsOption = None,
) -> None:
    """Measure the voice model on unseen speakers.

    AUC with intervals over speakers, F1, recall, calibration; by corpus, language, gender,
    speaker, noise, codec and loss; how often joy is called anger.
    Example: voicebot evaluate acoustic --left-out --html report.html --json figures.json
    """
    from voicebot.training.acoustic_evaluation import evaluate
    from voicebot.training.left_out import left_out_folder
    from voicebot.training.score_cache import predictions_cache

    if split not in SPLITS:
        raise ModelError(f"--split {split}: unknown", f"use {', '.join(SPLITS)}")
    check_outputs(out, html, plots)
    unseen = (left_out_models or left_out_folder()) if left_out or left_out_models else None
    console = Console()
    with progress_bar(console) as progress:
        report = evaluate(
            data,
            (models or models_dir()) / "acoustic",
            split=split,
            left_out_models=unseen,
            seed=seed,
            cache=cache or predictions_cache(),
            workers=workers,
            progress=progress,
            draw=html is not None or plots is not None,
        )
    show(report, out, html, plots, console)
