"""The table that compares families of models, from the cells that were measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from voicebot.training.evaluation_report import FigureTable, PartReport, Picture
from voicebot.training.pictures import dots_picture
from voicebot.training.speech_corpora import Clip

DEV: Final = "dev speakers"
"""The cell of the dev speakers; the others bear the name of the corpus left out."""

Cell = Mapping[str, Any]
"""``auc`` (corpus to value), ``cpu_seconds``; of :data:`DEV` also ``bytes`` and ``ms``"""


def report(
    cells: Mapping[str, Mapping[str, Cell]],
    clips: Sequence[Clip],
    notes: Sequence[str],
    *,
    draw: bool,
    seconds: float,
) -> PartReport:
    """Tables, a sentence and perhaps a picture.

    Args:
        cells: Family to what it was judged on to what was found; none for a family that could
            not be measured.
        clips: What they were fitted and judged on.
        notes: What a reader should know besides.
        draw: Whether to make a picture.
        seconds: s, wall clock.

    Raises:
        VoicebotError: there is no matplotlib to draw with.
    """
    rows = {name: _row(mine) for name, mine in cells.items()}
    measured = {name: row for name, row in rows.items() if row}
    corpora = sorted({clip.corpus for clip in clips})
    by_dev = {name: dict(mine[DEV]["auc"]) for name, mine in cells.items() if mine}
    judged = list(dict.fromkeys(corpus for row in by_dev.values() for corpus in row))
    counts = [sum(clip.split == split for clip in clips) for split in ("train", "dev")]
    tables = (
        FigureTable(
            "AUC of anger by family", rows, ("dev", "mean", *corpora, "mb", "ms"),
            "Under a corpus, and in their mean: by a model that never saw that corpus. "
            "\u00b5-law at 8 kHz; same clips, lines, seed and balance for all.",
        ),
        FigureTable(
            "AUC of anger by family: dev speakers of each corpus", by_dev, tuple(judged),
            "By models of the training speakers of all corpora.",
        ),
    )  # fmt: skip
    unjudged = [corpus for corpus in corpora if corpus not in judged]
    if unjudged:
        notes = (*notes, f"No angry or no other dev clips: {', '.join(unjudged)}.")
    spent = sum(cell["cpu_seconds"] for mine in cells.values() for cell in mine.values())
    notes = (
        *notes,
        f"{counts[0]} training and {counts[1]} dev clips; none of the test speakers.",
        f"Fitting and judging: {spent / 60:.1f} minutes of one core, earlier runs included.",
    )
    pictures: tuple[Picture, ...] = ()
    if draw and measured:
        title = "AUC of anger, each corpus left out of training"
        keys = {**{corpus: corpus for corpus in corpora}, "mean": "mean"}
        png = dots_picture(measured, keys, title, "AUC")
        pictures = (Picture("left-out", title, png),)
    return PartReport(
        "families", "Families of models", _summary(measured), tables, pictures, notes, seconds
    )


def _summary(measured: Mapping[str, Mapping[str, float]]) -> tuple[str, ...]:
    """Which family is best where."""
    return tuple(
        f"Best {where}: {name}, AUC {measured[name][key]:.3f}"
        for key, where in (("dev", "on dev speakers"), ("mean", "with a corpus left out"))
        if measured
        for name in [max(measured, key=lambda one: measured[one][key])]
    )


def _row(cells: Mapping[str, Cell]) -> dict[str, float]:
    """One family's figures; none if it was not measured."""
    if not cells:
        return {}
    left_out = {k: v for fold, cell in cells.items() if fold != DEV for k, v in cell["auc"].items()}
    return {
        "dev": float(np.mean(list(cells[DEV]["auc"].values()))),
        "mean": float(np.mean(list(left_out.values()))),
        **left_out,
        "mb": cells[DEV]["bytes"] / 1e6,
        "ms": cells[DEV]["ms"],
    }
