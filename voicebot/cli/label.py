"""``voicebot label``: mark where callers are angry, alone and together."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from voicebot.audio.source import parse_legs
from voicebot.cli.interrupt import Interrupt
from voicebot.cli.lines import clock
from voicebot.cli.train import progress_bar
from voicebot.errors import LabelError
from voicebot.labelling.agreement import UNIT_SECONDS, Agreement, agreement
from voicebot.labelling.calls import find_calls
from voicebot.labelling.exchange import to_csv
from voicebot.labelling.page import LabelPage
from voicebot.labelling.session import LabelSession
from voicebot.labelling.store import LABELS, LabelStore, write_whole
from voicebot.labelling.terminal import label_on_terminal
from voicebot.labelling.transfer import (
    import_ratings,
    labels_folder,
    read_files,
    write_tracks,
)

_MARK: Final = "mark"


class _Group(TyperGroup):
    """``voicebot label CALLS`` means ``voicebot label mark CALLS``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command in where it was left out."""
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = [_MARK, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    help="Mark where callers are angry: by ear, by several raters, on a page or the terminal.",
    epilog="Example:  voicebot label calls/ --rater ann --page   (short for: label mark ...)",
)


class Form(StrEnum):
    """What labels are exported as."""

    CSV = "csv"
    AUDACITY = "audacity"


LabelsArgument = Annotated[
    Path,
    typer.Argument(metavar="FOLDER", help="Of labels, or of calls with labels/ in it."),
]


@app.command(_MARK)
def mark(
    calls: Annotated[
        list[Path], typer.Argument(metavar="CALLS...", help="Recordings, or folders of them.")
    ],
    rater: Annotated[
        str,
        typer.Option("--rater", metavar="NAME", help="Who labels; each has labels of their own."),
    ],
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels", metavar="FOLDER", help="Where to keep them; default CALLS/labels."
        ),
    ] = None,
    page: Annotated[
        bool, typer.Option("--page", help="On a page in the browser instead of the terminal.")
    ] = False,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Of the page; 0: any that is free.")
    ] = 0,
    legs: Annotated[
        str | None,
        typer.Option(
            "--legs", metavar="LEG,LEG", help="What the channels are; default caller,agent."
        ),
    ] = None,
    sound: Annotated[bool, typer.Option(help="Play on the terminal.")] = True,
) -> None:
    """Mark the angry stretches of calls.  Each mark is saved at once; come back any time.

    A stereo file is two legs, a mono file is the caller.  Examples:

      voicebot label calls/ --rater ann --page

      voicebot label call.wav --rater bob
    """
    folder = labels or (calls[0] if calls[0].is_dir() else calls[0].parent) / LABELS
    found = find_calls(calls)
    session = LabelSession(found, LabelStore(folder), rater, parse_legs(legs) if legs else None)
    console = Console(highlight=False, soft_wrap=page)
    if page:
        _serve(session, port, console)
        return
    try:
        label_on_terminal(session, console, sound=sound, clock=clock)
    except KeyboardInterrupt:
        console.print(f"stopped; all marks are saved in {folder}")
        raise typer.Exit(130) from None


def _serve(session: LabelSession, port: int, console: Console) -> None:
    def notice(sentence: str) -> None:
        console.print(sentence, markup=False)

    with LabelPage(session, port=port, notice=notice) as page, Interrupt() as interrupt:
        notice(f"{len(session.names)} calls, rater {session.rater}; open this page in a browser:")
        notice(page.url)
        notice("it can be reached from this machine alone; Ctrl-C stops it")
        sys.stdout.flush()
        try:
            with interrupt.waiting():
                page.serve()
        except KeyboardInterrupt:
            done = sum(status.done for status in session.overview())
            notice(
                f"stopped: {done} of {len(session.names)} calls done, labels are in "
                f"{session.store.folder}"
            )


@app.command("agreement")
def agreement_(
    folder: LabelsArgument,
    unit: Annotated[
        float, typer.Option("--unit", min=0.1, max=10.0, help="Seconds of the units compared.")
    ] = UNIT_SECONDS,
    whole_call: Annotated[
        bool, typer.Option("--whole-call", help="Also where the caller is silent.")
    ] = False,
    worst: Annotated[int, typer.Option("--worst", min=0, help="How many disagreements.")] = 10,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the interval.")] = 0,
) -> None:
    """Say how far raters agree: Krippendorff's alpha, and where they differ most.

    Example: voicebot label agreement calls/ --unit 1
    """
    found = agreement(
        LabelStore(labels_folder(folder)).ratings(), unit=unit, whole_call=whole_call, seed=seed
    )
    _show(Console(highlight=False), found, unit, worst, whole_call)


def _show(console: Console, found: Agreement, unit: float, worst: int, whole_call: bool) -> None:
    what = "whole calls" if whole_call else "the caller's speech"
    table = Table(title=f"Krippendorff's alpha over {unit:g} s units of {what}")
    table.add_column("call", overflow="fold")
    table.add_column("raters")
    table.add_column("units", justify="right")
    table.add_column("alpha", justify="right")
    for call in found.calls:
        table.add_row(call.call, ", ".join(call.raters), str(call.units), _alpha(call.alpha))
    console.print(table)
    interval = ""
    if found.interval is not None:
        interval = (
            f" (95 % interval over calls: {found.interval[0]:.3f} to {found.interval[1]:.3f})"
        )
    console.print(f"all calls: alpha {_alpha(found.alpha)}{interval}")
    console.print(f"with unclear left out: {_alpha(found.alpha_without_unclear)}")
    console.print("0.8 and more is reliable, under 0.667 is not (Krippendorff 2004)", style="dim")
    if any(call.alpha is None for call in found.calls) or found.alpha is None:
        console.print("-: all units have one label, so alpha is not defined", style="dim")
    if found.single:
        console.print(f"labelled by one rater only, and not counted: {', '.join(found.single)}")
    if found.disagreements and worst:
        console.print(f"longest disagreements ({len(found.disagreements)} in all):")
    for one in found.disagreements[:worst]:
        said = ", ".join(f"{rater}: {label}" for rater, label in one.labels)
        console.print(
            f"  {one.call} {clock(one.start)}-{clock(one.end)}  {said}",
            markup=False,
            soft_wrap=True,
        )


def _alpha(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


@app.command("export")
def export(
    folder: LabelsArgument,
    form: Annotated[Form, typer.Option("--format", help="csv, or label tracks.")] = Form.CSV,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="PATH", help="CSV file (default stdout); folder of tracks."),
    ] = None,
) -> None:
    """Write labels for other programs: CSV, or a label track for each call.

    For example:

      voicebot label export calls/ --out labels.csv

      voicebot label export calls/ --format audacity --out tracks/
    """
    ratings = LabelStore(labels_folder(folder)).ratings()
    err = Console(stderr=True, highlight=False, soft_wrap=True)
    if form is Form.AUDACITY:
        if out is None:
            raise LabelError("label tracks are one file a call", "name a folder with --out")
        for path in write_tracks(ratings, out):
            typer.echo(str(path))
    elif out is None:
        typer.echo(to_csv(ratings), nl=False)
    else:
        write_whole(out, to_csv(ratings))
        err.print(f"written: {out}", markup=False)
    unfinished = [f"{r.call} ({r.rater})" for r in ratings if not r.done]
    if unfinished:
        err.print(f"not labelled to the end: {', '.join(unfinished)}", markup=False)


@app.command("import")
def import_(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="CSV (.csv), or Audacity's labels.")
    ],
    labels: Annotated[Path, typer.Option("--labels", metavar="FOLDER", help="Where to keep them.")],
    calls: Annotated[
        Path | None,
        typer.Option("--calls", metavar="FOLDER", help="The recordings: to check times by."),
    ] = None,
    rater: Annotated[
        str | None, typer.Option("--rater", metavar="NAME", help="Whose label tracks these are.")
    ] = None,
    call: Annotated[
        str | None, typer.Option("--call", help="Which call a label track belongs to.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace labels that are there.")
    ] = False,
) -> None:
    """Take labels over from other programs.

    CSV has the columns call, rater, start, end, label; a label track is named after its call.
    For example:

      voicebot label import labels.csv --labels calls/labels --calls calls/

      voicebot label import 0815.txt --rater ann --labels calls/labels --calls calls/
    """
    found = find_calls([calls]) if calls else {}
    ratings = read_files(files, rater=rater, call=call, calls=found)
    with progress_bar(Console(stderr=True)) as progress:
        import_ratings(ratings, LabelStore(labels), found, replace_old=replace, progress=progress)
    spans = sum(len(r.spans) for r in ratings)
    typer.echo(f"imported {spans} spans of {len(ratings)} ratings into {labels}")
    if not found:
        typer.echo("lengths of the calls are unknown: add --calls, and what is calm is known too")
