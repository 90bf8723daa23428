"""``voicebot evaluate emotion``: how good the emotion models are, on data with the truth known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from voicebot.cli.train import DataOption, SeedOption, figures_table, progress_bar
from voicebot.emotion.acoustic import AcousticModel
from voicebot.emotion.fusion import FusionParams
from voicebot.emotion.onnx_model import models_dir
from voicebot.emotion.text import TextModel
from voicebot.errors import ModelError, OutputError
from voicebot.training.report import Progress, Table

PARTS = ("acoustic", "text", "fusion", "unseen")
_TITLES = {
    "acoustic": "Voice: unseen speakers of known corpora",
    "text": "Words: test splits",
    "fusion": "Voice and words of the same clips, unseen speakers",
    "unseen": "Voice: the corpus left out of training",
}


def command(
    data: DataOption = Path("../shared/data"),
    models: Annotated[
        Path | None,
        typer.Option("--models", metavar="FOLDER", help="Default: the models of voicebot."),
    ] = None,
    part: Annotated[
        list[str] | None,
        typer.Option(
            "--part",
            help="acoustic, text, fusion, unseen; repeatable. Default: all but unseen, "
            "which trains anew for each corpus and takes minutes.",
        ),
    ] = None,
    seed: SeedOption = 0,
    workers: Annotated[
        int, typer.Option("--workers", min=1, max=64, help="Processes, for --part unseen.")
    ] = 2,
    cache: Annotated[
        Path | None,
        typer.Option("--cache", metavar="FOLDER", help="Computed features; default ~/.cache."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the figures as JSON too.")
    ] = None,
) -> None:
    """Measure anger against the rest: AUC, average precision, recall, calibration, by corpus.

    Example: voicebot evaluate emotion --part acoustic --json figures.json
    """  # fmt: skip
    parts = tuple(part) if part else PARTS[:3]
    for name in parts:
        if name not in PARTS:
            raise ModelError(f"--part {name}: unknown", f"use {', '.join(PARTS)}")
    folder = models if models is not None else models_dir()
    console = Console()
    results: dict[str, Table] = {}
    for name in parts:
        with progress_bar(console) as progress:
            results[name] = _evaluate(name, data, folder, seed, workers, cache, progress)
        console.print(figures_table(results[name], _TITLES[name]))
    if out is not None:
        _write(out, results)


def _evaluate(
    part: str,
    data: Path,
    folder: Path,
    seed: int,
    workers: int,
    cache: Path | None,
    progress: Progress,
) -> Table:
    """Figures of one part; the modules come late because they pull in the trainers."""
    if part == "unseen":
        from voicebot.training.acoustic_evaluation import evaluate_unseen

        return evaluate_unseen(data, seed=seed, cache=cache, workers=workers, progress=progress)
    if part == "text":
        from voicebot.training.text import evaluate

        return {
            f"{r.language} {r.corpus}": {
                "auc": r.auc, "ap": r.ap, "f1": r.f1, "ece": r.ece, "n": float(r.n)
            }
            for r in evaluate(data, folder)
        }  # fmt: skip
    acoustic = AcousticModel.load(folder / "acoustic")
    if part == "acoustic":
        from voicebot.training.acoustic_evaluation import evaluate_acoustic

        return evaluate_acoustic(data, acoustic, seed=seed, progress=progress)
    from voicebot.training.bimodal import evaluate_drawn, evaluate_korean

    params = FusionParams()
    korean, english = (TextModel.load(folder, language) for language in ("ko", "en"))
    assert korean is not None
    assert english is not None
    return {
        **evaluate_korean(data, acoustic, korean, params, progress),
        **evaluate_drawn(data, acoustic, english, params, seed=seed, progress=progress),
    }


def _write(path: Path, results: dict[str, Table]) -> None:
    """Write the figures, rounded to 1e-4.

    Raises:
        OutputError: the file cannot be written.
    """
    plain = {
        part: {row: {k: round(v, 4) for k, v in values.items()} for row, values in table.items()}
        for part, table in results.items()
    }
    try:
        path.write_text(json.dumps(plain, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as err:
        raise OutputError(f"{path}: {err.strerror or err}", "choose another --json file") from err
