"""``voicebot models``: list, install, verify and find models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from voicebot import installer, models
from voicebot.cli import emotion_models
from voicebot.emotion.store import Store
from voicebot.errors import ModelError

app = typer.Typer(
    no_args_is_help=True,
    help="Speech models: install and check.  Emotion models: versions, and which is active.",
)


@app.command("list")
def list_models() -> None:
    """List the speech models that are known and the emotion models that are there.

    Example: voicebot models list
    """
    table = Table(title=f"Speech models (folder: {models.speech_models_dir()})")
    table.add_column("name", no_wrap=True)
    for heading in ("language", "size", "what", "installed"):
        table.add_column(heading, justify="right" if heading == "size" else "left")
    for known in models.registry():
        folder = models.find(known)
        missing = models.missing_files(known.kind, folder) if folder else []
        state = f"no: {missing[0]} is missing" if missing else "yes" if folder else ""
        table.add_row(known.name, known.language, _megabytes(known.size), known.about, state)
    store = Store()
    console = Console()
    console.print(table, emotion_models.versions_table(store))
    for fault in store.pointer_faults():
        console.print(f"warning: {fault}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def install(
    name: Annotated[str, typer.Argument(help="As `voicebot models list` names it.")],
    source: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="URL_OR_FILE", help="A mirror's URL, or a file or folder of yours."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Even if it is there and sound.")] = False,
) -> None:
    """Fetch a speech model, check it, and install it.

    Example: voicebot models install vosk-model-small-en-us-0.15
    """
    console = Console(stderr=True)
    with _progress(console) as report:
        folder = installer.install(
            models.entry(name),
            source=source,
            force=force,
            report=report,
            notice=lambda sentence: console.print(sentence, highlight=False, soft_wrap=True),
        )
    typer.echo(str(folder))


@app.command()
def verify(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME[@VERSION]]", help="A speech or emotion model; all if not given."
        ),
    ] = None,
) -> None:
    """Check installed models, file by file; exit 1 if one is not sound.

    Example: voicebot models verify acoustic
    """
    store = Store()
    sound = True
    if name is None or "@" in name or name in store.names():
        lines, sound = emotion_models.verify_versions(store, name)
        typer.echo("\n".join(lines))
        if not sound:
            typer.echo(
                "mend it with: voicebot models activate NAME@VERSION, of one that is sound",
                err=True,
            )
    if name is None or not ("@" in name or name in store.names()):
        sound = _verify_speech(name) and sound
    if not sound:
        raise typer.Exit(1)


def _verify_speech(name: str | None) -> bool:
    """Check installed speech models; whether they are sound."""
    chosen = [models.entry(name)] if name else list(models.registry())
    sound = True
    checked = 0
    for known in chosen:
        folder = models.find(known)
        if folder is None:
            if name:
                raise ModelError(f"{name}: not installed", f"voicebot models install {name}")
            continue
        checked += 1
        found = models.faults(known, folder)
        sound = sound and not found
        typer.echo(f"{known.name}: {'; '.join(found) if found else 'sound'} ({folder})")
    if not checked:
        typer.echo(f"no speech model is installed in {models.speech_models_dir()}")
    if not sound:
        typer.echo("mend it with: voicebot models install NAME --force", err=True)
    return sound


@app.command()
def path(name: Annotated[str, typer.Argument(help="Of an installed model.")]) -> None:
    """Print the folder of an installed speech model.

    Example: voicebot models path vosk-model-small-en-us-0.15
    """
    typer.echo(str(models.locate(models.entry(name).name)))


for command in (
    emotion_models.add,
    emotion_models.activate,
    emotion_models.rollback,
    emotion_models.card,
    emotion_models.shadow,
):
    app.command()(command)


@contextmanager
def _progress(console: Console) -> Iterator[installer.Report]:
    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:

        def report(name: str) -> Callable[[int, int | None], None]:
            task = bars.add_task(name, total=None)
            return lambda done, total: bars.update(task, completed=done, total=total)

        yield report


def _megabytes(size: int | None) -> str:
    return "?" if size is None else f"{size / 1e6:.0f} MB"
