"""What an evaluation hands back: tables with explained headings, pictures, a summary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from voicebot.training.report import Table


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    heading: str
    """at most seven letters, so that a table fits a terminal"""
    meaning: str
    """for whoever reads it first"""
    digits: int = 3


COLUMNS: Final[Mapping[str, Column]] = {
    "n": Column("n", "clips or texts, abstentions included", 0),
    "angry": Column("angry", "how many of them are angry", 0),
    "speakers": Column("spk", "speakers", 0),
    "abstained": Column("abst", "share that the model did not score"),
    "auc": Column(
        "AUC", "chance that an angry one scores above one that is not; .5 is guessing, 1 perfect"
    ),
    "low": Column("from", "95 % of bootstrap samples of whole speakers have an AUC from ..."),
    "high": Column("to", "... to; a rough hint where there are fewer than five speakers"),
    "auc_all": Column("AUC*", "AUC had the model scored what it abstained from"),
    "ap": Column("AP", "average precision: precision averaged over recall"),
    "eer": Column("EER", "equal error rate: as many angry ones missed as others alarmed"),
    "recall_at_10": Column("R@10%", "recall with one in ten of the others alarmed"),
    "accuracy": Column("acc", "accuracy: share of right answers"),
    "recall": Column("recall", "share of the angry ones found"),
    "precision": Column("prec", "share of the found ones that are angry"),
    "f1": Column("F1", "harmonic mean of precision and recall"),
    "uar": Column("UAR", "unweighted average recall: each emotion counts alike"),
    "macro_f1": Column("macF1", "mean F1 of the emotions"),
    "share": Column("share", "share of angry ones here"),
    "ece": Column("ECE", "calibration error: |probability - frequency|, at the share here"),
    "brier": Column("Brier", "mean squared error of the probability, at the share here"),
    "ece_reference": Column("ECE20", "calibration error with one in five angry, as for a call"),
    "brier_reference": Column("Bri20", "Brier score with one in five angry"),
    "confidence": Column("mean p", "mean probability with one in five angry: ought to be .200"),
    "calm": Column("calm", "mean logit (nats) of the clips that are not angry", 2),
    "called_angry": Column("called", "share of happy clips called angry at 80 % anger recall"),
    "called_loud": Column(
        "loud", "the same, the loudest quarter of each speaker's happy clips, 10 dB up"
    ),
    "happy": Column("happy", "happy clips", 0),
    "drop": Column("drop", "how far the mean AUC falls below that of the first row"),
    "mean": Column("mean", "mean AUC over the corpora"),
    "dev": Column("dev", "mean AUC over the corpora of dev speakers, by models of train alone"),
    "mb": Column("MB", "what a model file holds, numbers as 32 bits, the encoder included", 2),
    "ms": Column("ms", "CPU time for 3 s of a voice on one core, features included", 1),
    "error_rate": Column("error", "error rate of the recogniser: words, Korean characters"),
    "gain": Column("gain", "AUC above the better of voice and words alone"),
}
"""Every figure that has a meaning of its own."""


@dataclass(frozen=True, slots=True)
class FigureTable:
    """A table for people."""

    title: str
    rows: Table
    columns: tuple[str, ...]
    """keys of :data:`COLUMNS`, or names that explain themselves (a corpus)"""
    note: str = ""
    """one or two sentences: what is compared, what to make of it"""

    def column(self, key: str) -> Column:
        """What is known of a column; an unknown one is headed by its own name."""
        return COLUMNS.get(key, Column(key, ""))

    def cell(self, row: str, key: str) -> str:
        """A value as text; ``-`` where there is none."""
        value = self.rows[row].get(key)
        if value is None or value != value:
            return "-"
        return f"{value:.{self.column(key).digits}f}"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture for the report, as PNG."""

    name: str
    """file name without the suffix"""
    caption: str
    png: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PartReport:
    """Everything that one part of an evaluation found."""

    part: str
    """``acoustic``, ``text``, ``fusion``, ``calls``"""
    title: str
    summary: tuple[str, ...]
    """sentences with the figures that matter most"""
    tables: tuple[FigureTable, ...]
    pictures: tuple[Picture, ...] = ()
    notes: tuple[str, ...] = ()
    """what a reader of the figures should know"""
    seconds: float = 0.0
    """s, wall clock"""

    def plain(self) -> dict[str, object]:
        """Everything but the pictures as plain JSON types, values rounded to 1e-4."""
        return {
            "summary": list(self.summary),
            "notes": list(self.notes),
            "seconds": round(self.seconds, 1),
            "tables": {
                table.title: {
                    row: {k: round(v, 4) for k, v in values.items() if v == v}
                    for row, values in table.rows.items()
                }
                for table in self.tables
            },
        }
