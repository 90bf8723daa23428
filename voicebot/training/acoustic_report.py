"""The tables and pictures of an evaluated acoustic model."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from voicebot.training import breakdown, pictures
from voicebot.training.augmentation import (
    CLEAN,
    TEST_5DB,
    TEST_20DB,
    TEST_ALAW,
    TEST_HARD,
    TEST_LOSS,
    TEST_LOW_RATE,
    TEST_NOISY,
    Condition,
)
from voicebot.training.breakdown import HAPPY, Row, anger_only, by, happy_called_angry, with_mean
from voicebot.training.evaluation_report import FigureTable, PartReport, Picture
from voicebot.training.predictions import Predictions, join
from voicebot.training.report import Table

BASE: Final = "mu-law"
HARD: Final = "5 dB + 3 % loss"
CONDITIONS: Final[Mapping[str, Condition]] = {
    BASE: CLEAN,
    "A-law": TEST_ALAW,
    "GSM 06.10": TEST_LOW_RATE,
    "3 % loss": TEST_LOSS,
    "20 dB noise": TEST_20DB,
    "10 dB noise": TEST_NOISY,
    "5 dB noise": TEST_5DB,
    HARD: TEST_HARD,
}
"""Names to what happens on the way; the codec is mu-law where nothing else is said."""
LOUD: Final = Condition(gain_db=(10.0, 10.0))
RANKING: Final = ("n", "speakers", "auc", "low", "high", "ap", "eer", "recall_at_10")
DECISIONS: Final = ("accuracy", "recall", "precision", "f1")
CALIBRATION: Final = (
    "share", "ece", "brier", "ece_reference", "brier_reference", "confidence",
)  # fmt: skip
_MOST_CORPORA: Final = 6
"""Columns of corpora that a terminal has room for."""
_NOTES: Final = (
    "Whole clips are scored as a call's windows are, abstentions included. Figures of several "
    "corpora are means over them, each counting alike. Where a row says 'mean', its interval "
    "draws the speakers within each corpus; a corpus with one speaker adds no spread to it.",
    "Gender is known from the corpora's own names where the pitch of the voice agrees; nobody's "
    "gender is guessed at run time.",
)


@dataclass(frozen=True, slots=True)
class Heard:
    """Everything that was scored."""

    conditions: Mapping[str, Predictions]
    """name to the clips of the split under it"""
    loud: Predictions
    """the loudest quarter of each speaker's happy clips, 10 dB up; may be empty"""
    dev: Predictions
    """of the dev split, to choose a threshold on; may be empty"""
    left_out: Mapping[str, Predictions]
    """name of a condition to all clips, each by a model that never saw its corpus; may be empty"""


def report(heard: Heard, split: str, *, draw: bool, began: float) -> PartReport:
    """Make the report.

    Args:
        heard: What was scored.
        split: Its name.
        draw: Whether to make pictures too.
        began: Monotonic clock at the start, s.

    Raises:
        VoicebotError: there is no matplotlib to draw with.
    """
    base = heard.conditions[BASE]
    threshold = breakdown.dev_threshold(heard.dev)
    corpora = _by_corpus(base, breakdown.ranking)
    lines = condition_table(heard.conditions)
    confusers = confuser_table(base, heard.loud)
    speakers = breakdown.speakers(base)
    calibration = _by_corpus(base, breakdown.calibration)
    names = tuple(str(c) for c in np.unique(base.corpus))
    known = names if len(names) <= _MOST_CORPORA else ()
    noisy = join([p for name, p in heard.conditions.items() if name == BASE or "noise" in name])
    tables = [
        FigureTable(f"Anger against the rest, {split} speakers, mu-law", corpora, RANKING),
        FigureTable(
            "Called angry at a probability of .5 (one in five angry)",
            _by_corpus(base, lambda p: breakdown.decided(p, 0.0)), DECISIONS,
        ),
    ]  # fmt: skip
    if threshold is not None:
        tables.append(FigureTable(
            f"Called angry at a logit of {threshold:.2f}, the best F1 on dev",
            _by_corpus(base, lambda p: breakdown.decided(p, threshold)), DECISIONS,
            "Where the model was fitted on the dev speakers too, this threshold flatters itself.",
        ))  # fmt: skip
    tables += [
        FigureTable(
            "All emotions: the likeliest of those that the corpus has",
            _by_corpus(base, breakdown.emotions), ("accuracy", "uar", "macro_f1"),
        ),
        FigureTable("Calibration", calibration, CALIBRATION),
        FigureTable("By language", by("language", base, breakdown.ranking), RANKING),
        FigureTable("By gender", by("gender", base, breakdown.ranking), RANKING),
        FigureTable(
            "By speaker, worst first", speakers, ("auc", "n", "angry", "calm"),
            f"Speakers with at least {breakdown.LEAST} angry and other clips. A wide spread of "
            "'calm' is why false alarms belong to callers.",
        ),
        FigureTable(
            "By signal-to-noise ratio as the model reads it (clean and noisy clips)",
            breakdown.snr_bands(noisy), ("n", "abstained", "auc", "low", "high", "auc_all"),
        ),
        FigureTable(
            "By codec, loss and noise: AUC", lines,
            (*known, "mean", "drop", "abstained", "auc_all"),
            "'drop' compares the corpora that both rows have.",
        ),
        FigureTable(
            "Loud joy: happy clips called angry", confusers,
            ("happy", "called_angry", "called_loud"),
        ),
    ]  # fmt: skip
    tables += left_out_tables(heard.left_out)
    shots = _draw(base, lines, names, heard.left_out) if draw else ()
    return PartReport(
        "acoustic", "Voice: anger of unseen speakers",
        _summary(corpora, lines, confusers, speakers, calibration, heard.left_out),
        tuple(t for t in tables if t.rows), shots, (*_NOTES, *lone_voices(base)),
        time.monotonic() - began,
    )  # fmt: skip


def condition_table(conditions: Mapping[str, Predictions]) -> Table:
    """AUC by condition (rows) and corpus (columns), with the mean and what it lost."""
    rows: dict[str, Row] = {}
    first: Row = {}
    for name, predictions in conditions.items():
        ranked = breakdown.ranking(predictions)
        mine = {
            corpus: figures["auc"]
            for corpus, figures in by("corpus", predictions, breakdown.ranking).items()
            if "auc" in figures
        }
        first = first or mine
        row = {**mine, "abstained": ranked["abstained"]}
        if mine:
            row |= {"mean": ranked["auc"], "auc_all": ranked["auc_all"]}
        if shared := [c for c in mine if c in first]:
            row["drop"] = float(np.mean([first[c] - mine[c] for c in shared]))
        rows[name] = row
    return rows


def confuser_table(base: Predictions, loud: Predictions) -> Table:
    """Happy clips called angry, as they are and loud, by corpus and on average."""
    with_loud = join([anger_only(base), loud])

    def row(predictions: Predictions) -> Row:
        names = np.unique(predictions.corpus)
        other = with_loud.select(np.isin(with_loud.corpus, names))
        figures = happy_called_angry(predictions, predictions.emotion == HAPPY)
        louder = happy_called_angry(other, other.emotion == HAPPY)
        if "called_angry" in louder:
            figures["called_loud"] = louder["called_angry"]
        return figures

    found = {name: figures for name, figures in by("corpus", base, row).items() if figures}
    return {**found, "mean": row(base)} if found else {}


def lone_voices(predictions: Predictions) -> list[str]:
    """Sentences on corpora whose anger is mostly one voice that is hardly ever anything else.

    There the AUC tells that voice from the others as much as anger from the rest.
    """
    out = []
    for part in breakdown.corpora(predictions):
        names, counts = np.unique(anger_only(part).speaker, return_counts=True)
        if not len(names):
            continue
        name, count = str(names[np.argmax(counts)]), int(counts.max())
        others = np.count_nonzero((part.speaker == name) & ~part.angry)
        if count > counts.sum() / 2 and others < breakdown.LEAST:
            out.append(
                f"In {part.corpus[0]}, {count} of {counts.sum()} angry clips are of {name}, who "
                f"has {others} others: its figures tell that voice from the rest as much as anger."
            )
    return out


def left_out_tables(left_out: Mapping[str, Predictions]) -> list[FigureTable]:
    """What to expect of a new corpus: every clip judged by a model that never saw its corpus."""
    tables = []
    for name, predictions in left_out.items():
        tables.append(FigureTable(
            f"Corpus left out of training, {name}", _by_corpus(predictions, breakdown.ranking),
            RANKING, "All clips of each corpus, each by the model that was trained without it.",
        ))  # fmt: skip
        if name != BASE:
            continue
        tables.append(FigureTable(
            "Corpus left out: calibration", _by_corpus(predictions, breakdown.calibration),
            CALIBRATION,
        ))  # fmt: skip
        nobody = predictions.select(np.zeros(len(predictions), dtype=bool))
        tables.append(FigureTable(
            "Corpus left out: happy clips called angry", confuser_table(predictions, nobody),
            ("happy", "called_angry"),
        ))  # fmt: skip
        tables.append(FigureTable(
            "Corpus left out: by gender", by("gender", predictions, breakdown.ranking), RANKING,
        ))  # fmt: skip
    return tables


def _by_corpus(predictions: Predictions, row: breakdown.Figure) -> Table:
    return with_mean(by("corpus", predictions, row), predictions, row)


def _summary(
    corpora: Table,
    lines: Table,
    confusers: Table,
    speakers: Table,
    calibration: Table,
    left_out: Mapping[str, Predictions],
) -> tuple[str, ...]:
    """Sentences with the figures that matter most."""
    known = {name: row for name, row in corpora.items() if "auc" in row}
    ranked = {name: row for name, row in known.items() if name != "mean"}
    total = known.get("mean") or next(iter(ranked.values()))
    worst = min(ranked, key=lambda name: ranked[name]["auc"])
    spread = f" (95 % {total['low']:.3f} to {total['high']:.3f})" if "low" in total else ""
    out = [
        f"AUC {total['auc']:.3f}{spread} over {len(ranked)} corpora of unseen speakers; "
        f"lowest {worst}, {ranked[worst]['auc']:.3f}."
    ]
    for name in list(speakers)[:1]:
        row = speakers[name]
        within = np.mean([other["auc"] for other in speakers.values()])
        out.append(
            f"Worst speaker: {name}, AUC {row['auc']:.3f} over {row['n']:.0f} clips; within one "
            f"speaker it is {within:.3f} on average."
        )
    hard = lines[HARD]
    if "drop" in hard:
        out.append(
            f"At {HARD} (mu-law) the AUC falls by {hard['drop']:.3f} to {hard['mean']:.3f}, with "
            f"{hard['abstained']:.0%} not scored; scored all the same, {hard['auc_all']:.3f}."
        )
    if confusers:
        row = confusers["mean"]
        loud = ""
        if "called_loud" in row:
            loud = f", the loudest ones 10 dB up: {row['called_loud']:.0%}"
        out.append(
            f"Happy clips called angry at 80 % anger recall: {row['called_angry']:.0%}{loud}."
        )
    row = calibration.get("mean") or next(r for r in calibration.values() if r)
    out.append(f"Calibration error with one in five angry: {row['ece_reference']:.3f}.")
    for name, predictions in left_out.items():
        row = breakdown.ranking(predictions)
        out.append(f"Corpus left out of training, {name}: mean AUC {row['auc']:.3f}.")
    return tuple(out)


def _draw(
    base: Predictions, lines: Table, names: tuple[str, ...], left_out: Mapping[str, Predictions]
) -> tuple[Picture, ...]:
    dots = {**{name: name for name in names}, "mean": "mean"}
    drawn = [
        Picture("roc", "Recall against false alarms.", pictures.roc_picture(base)),
        Picture("det", "Misses against false alarms on normal-deviate axes (Martin et al., 1997).",
                pictures.det_picture(base)),
        Picture("reliability", "Said against seen: on the dashed line a probability is true.",
                pictures.reliability_picture(base)),
        Picture("confusion", "What the emotions are taken for.", pictures.confusion_picture(base)),
        Picture("speakers", "Each dot a clip: a speaker whose grey dots lie to the right gives "
                "false alarms.", pictures.strip_picture(base)),
        Picture("conditions", "AUC by codec, loss and noise.",
                pictures.dots_picture(lines, dots, "What a line costs", "AUC, anger against the "
                                      "rest")),
    ]  # fmt: skip
    if BASE in left_out:
        unseen = left_out[BASE]
        drawn.append(
            Picture("left-out-roc", "The corpus left out of training.",
                    pictures.roc_picture(unseen))
        )  # fmt: skip
        drawn.append(
            Picture("left-out-reliability", "Said against seen, the corpus left out of training.",
                    pictures.reliability_picture(unseen))
        )  # fmt: skip
    return tuple(drawn)
