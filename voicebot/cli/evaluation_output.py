"""How ``voicebot evaluate ...`` shows what it found: tables, JSON, pictures, an HTML report."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from voicebot.cli.json_output import check_file, write_json
from voicebot.errors import OutputError
from voicebot.plot import need_matplotlib
from voicebot.training.evaluation_report import FigureTable, PartReport
from voicebot.training.html_report import write_report

HtmlOption = Annotated[
    Path | None,
    typer.Option(
        "--html", metavar="FILE",
        help="Write one page with tables and pictures; other parts of a page that is there stay.",
    ),
]  # fmt: skip
PlotsOption = Annotated[
    Path | None, typer.Option("--plots", metavar="FOLDER", help="Write the pictures as PNG too.")
]
ModelsOption = Annotated[
    Path | None,
    typer.Option("--models", metavar="FOLDER", help="Default: the models of voicebot."),
]
WorkersOption = Annotated[
    int, typer.Option("--workers", min=1, max=64, help="Processes that score.")
]
CacheOption = Annotated[
    Path | None,
    typer.Option("--cache", metavar="FOLDER", help="What was scored before; default ~/.cache."),
]
_MANY = 9
"""From so many columns on they stand closer."""


def check_outputs(out: Path | None, html: Path | None, plots: Path | None) -> None:
    """Refuse before the long work what could not be written after it.

    Raises:
        VoicebotError: pictures are wanted and matplotlib is not installed.
        OutputError: a folder is missing.
    """
    check_file(out)
    check_file(html, "--html")
    if html is not None or plots is not None:
        need_matplotlib("--html and --plots")


def show(
    report: PartReport,
    out: Path | None,
    html: Path | None,
    plots: Path | None,
    console: Console | None = None,
) -> None:
    """Print the tables; write what else is wanted.

    Raises:
        OutputError: a file cannot be written.
    """
    console = console or Console()
    for line in report.summary:
        console.print(line, highlight=False, markup=False)
    for table in report.tables:
        console.print()
        console.print(table.title, style="bold", highlight=False, markup=False)
        console.print(terminal_table(table))
        if table.note:
            console.print(f"  {table.note}", style="dim", highlight=False, markup=False)
    _headings(console, report.tables)
    for note in report.notes:
        console.print(note, highlight=False, markup=False)
    console.print(f"{report.seconds:.0f} s", highlight=False)
    write_json(out, {report.part: report.plain()})
    if plots is not None:
        _pictures(plots, report)
    if html is not None:
        write_report(html, report, datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"))
        console.print(f"written: {html}", highlight=False, soft_wrap=True, markup=False)


def terminal_table(table: FigureTable) -> RichTable:
    """A table that fits 80 columns as long as its row names do."""
    space = 1 if len(table.columns) < _MANY else 0
    shown = RichTable(
        box=box.SIMPLE_HEAD, padding=(0, 0, 0, space), pad_edge=False, show_edge=False
    )
    shown.add_column("", overflow="fold", max_width=30)
    for key in table.columns:
        shown.add_column(table.column(key).heading, justify="right", no_wrap=True)
    for row in table.rows:
        style = "bold" if row.startswith("mean") else None
        shown.add_row(row, *(table.cell(row, key) for key in table.columns), style=style)
    return shown


def _headings(console: Console, tables: Iterable[FigureTable]) -> None:
    used = {key: t.column(key) for t in tables for key in t.columns}
    console.print()
    for column in used.values():
        if column.meaning:
            console.print(f"{column.heading}: {column.meaning}", style="dim", highlight=False,
                          markup=False)  # fmt: skip


def _pictures(folder: Path, report: PartReport) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for picture in report.pictures:
            (folder / f"{report.part}-{picture.name}.png").write_bytes(picture.png)
    except OSError as err:
        raise OutputError(
            f"{folder}: {err.strerror or err}", "choose another --plots folder"
        ) from err
