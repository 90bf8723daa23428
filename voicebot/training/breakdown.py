"""Figures of predictions as table rows: over corpora, groups of speakers, bands of noise.

Where a row takes in several corpora, its figures are means over them, each counting
alike: a clip of one corpus ranked against one of another says more about the corpora
than about anger.  A corpus with fewer than :data:`LEAST` angry or other clips is left
out of such a mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Final

import numpy as np

from voicebot.emotion.calibration import ANGER
from voicebot.events import EMOTIONS
from voicebot.training import metrics
from voicebot.training.evaluation import anger_figures, calibration_figures, class_figures, mean_of
from voicebot.training.predictions import UNTOLD, Mask, Predictions, filled
from voicebot.training.report import Table

LEAST: Final = 5
"""Angry clips, and others, without which nothing is said of a group."""
SNR_EDGES: Final = (-10.0, 4.0, 8.0, 12.0, 16.0, 20.0, 40.1)
"""dB; the first band lies below what the model scores by default"""
HAPPY: Final = EMOTIONS.index("happiness")

Row = dict[str, float]
Figure = Callable[[Predictions], Row]


def enough(predictions: Predictions) -> bool:
    """Whether there are :data:`LEAST` scored clips of both kinds."""
    angry = predictions.scored.angry
    return bool(min(angry.sum(), (~angry).sum()) >= LEAST)


def corpora(predictions: Predictions) -> list[Predictions]:
    """The predictions corpus by corpus, in alphabetical order."""
    names = predictions.corpus
    return [predictions.select(names == name) for name in np.unique(names)]


def ranking(predictions: Predictions, seed: int = 0) -> Row:
    """How well anger is told from the rest, whatever the threshold.

    Returns:
        ``n``, ``angry`` (count), ``speakers``, ``abstained`` (share); and where there is enough:
        ``auc`` with ``low`` and ``high`` (95 %, over speakers), ``auc_all`` (as if the model had
        not abstained), ``ap``, ``eer``, ``recall_at_10``.
    """
    row: Row = {
        "n": float(len(predictions)),
        "angry": float(np.count_nonzero(predictions.angry)),
        "speakers": float(len(np.unique(predictions.speaker))),
        "abstained": float(np.mean(predictions.abstained != "")),
    }
    rows, draws = [], []
    for part in (p for p in corpora(predictions) if enough(p)):
        scored, everything = part.scored, filled(part)
        score, angry = scored.logit, scored.angry
        figures = anger_figures(score, angry)
        rows.append({
            **{k: figures[k] for k in ("auc", "ap", "recall_at_10")},
            "eer": metrics.equal_error_rate(score, angry),
            "auc_all": metrics.auc(everything.logit, everything.angry),
        })  # fmt: skip
        draws.append(metrics.auc_draws(score, angry, scored.speaker, seed=seed))
    row |= mean_of(rows)
    if len(draws) > 1:  # of a corpus whose sample holds one kind only, its own AUC stands in
        draws = [np.where(np.isnan(d), r["auc"], d) for d, r in zip(draws, rows, strict=True)]
    several = row["speakers"] > len(draws) > 0
    if several and (bounds := metrics.interval(np.mean(draws, axis=0))) is not None:
        row["low"], row["high"] = bounds
    return row


def decided(predictions: Predictions, threshold: float) -> Row:
    """Accuracy, recall, precision and F1 of calling angry what reaches a threshold (nats)."""
    return _mean(predictions, lambda p: metrics.decisions(p.logit, p.angry, threshold))


def emotions(predictions: Predictions) -> Row:
    """Accuracy, unweighted average recall and macro F1 over the emotions of each corpus."""
    told = predictions.select(predictions.emotion != UNTOLD)
    parts = [p.scored for p in corpora(told) if len(p.scored)]
    return mean_of([class_figures(p.probabilities, p.emotion) for p in parts])


def calibration(predictions: Predictions) -> Row:
    """See :func:`voicebot.training.evaluation.calibration_figures`."""
    return _mean(predictions, lambda p: calibration_figures(p.logit, p.angry))


def by(label: str, predictions: Predictions, row: Figure) -> Table:
    """One row for each value of a label, those without a value as ``unknown``.

    Args:
        label: One of :data:`voicebot.training.predictions.LABELS`.
        predictions: Of one or more corpora.
        row: What to tell of each group.
    """
    values = predictions.label(label)
    return {
        str(value) or "unknown": row(predictions.select(values == value))
        for value in sorted(np.unique(values), key=lambda v: (not v, v))
    }


def with_mean(table: Table, predictions: Predictions, row: Figure) -> Table:
    """The table and, where it has more than one row, one over all of it."""
    return {**table, "mean": row(predictions)} if len(table) > 1 else table


def speakers(predictions: Predictions) -> Table:
    """Each speaker with enough clips of both kinds, worst first.

    Returns:
        Row to ``auc``, ``n``, ``angry`` (count) and ``calm``, the mean logit of the clips that
        are not angry: where a voice lies when nothing is wrong.
    """
    rows: dict[str, Row] = {}
    for name in np.unique(predictions.speaker):
        mine = predictions.select(predictions.speaker == name)
        if enough(mine):
            score, angry = mine.scored.logit, mine.scored.angry
            rows[" ".join(str(name).split())] = {
                "auc": metrics.auc(score, angry),
                "n": float(len(score)),
                "angry": float(np.count_nonzero(angry)),
                "calm": float(score[~angry].mean()),
            }
    return dict(sorted(rows.items(), key=lambda item: item[1]["auc"]))


def snr_bands(predictions: Predictions) -> Table:
    """Rows by the signal-to-noise ratio that the model reads from each clip."""
    rows: dict[str, Row] = {}
    for low, high in pairwise(SNR_EDGES):
        inside = (predictions.snr_db >= low) & (predictions.snr_db < high)
        name = f"below {high:.0f} dB" if low == SNR_EDGES[0] else f"{low:.0f}-{high:.0f} dB"
        if inside.any():
            rows[name] = ranking(predictions.select(inside))
    return rows


def dev_threshold(predictions: Predictions) -> float | None:
    """Threshold (nats) with the best F1, each corpus that has both kinds weighing the same."""
    parts = [p.scored for p in corpora(predictions) if enough(p)]
    if not parts:
        return None
    return metrics.best_threshold(
        np.concatenate([p.logit for p in parts]),
        np.concatenate([p.angry for p in parts]),
        np.concatenate([np.full(len(p), 1.0 / len(p)) for p in parts]),
    )


def happy_called_angry(predictions: Predictions, happy: Mask, recall: float = 0.8) -> Row:
    """Share of happy clips taken for angry at the threshold that catches most angry ones.

    Args:
        predictions: Angry clips of one or more corpora, and happy ones.
        happy: Which to ask about, shape ``(n,)``; happy clips, perhaps heard otherwise.
        recall: Share of the angry clips of each corpus to catch, 0-1.

    Returns:
        ``called_angry`` (0-1) and ``happy`` (count); empty if nothing can be said.
    """
    rows, count = [], 0
    for name in np.unique(predictions.corpus):
        mine = (predictions.corpus == name) & (predictions.abstained == "")
        angry, asked = mine & predictions.angry, mine & happy
        if min(np.count_nonzero(angry), np.count_nonzero(asked)) < LEAST:
            continue
        threshold = metrics.threshold_for(
            predictions.logit[angry], np.ones(np.count_nonzero(angry)), recall
        )
        rows.append({"called_angry": float(np.mean(predictions.logit[asked] >= threshold))})
        count += int(np.count_nonzero(asked))
    return {**mean_of(rows), "happy": float(count)} if rows else {}


def loudest_quarter(speaker: Iterable[str], level: Iterable[float]) -> Mask:
    """Which clips are in the loudest quarter of their speaker's.

    Args:
        speaker: Of each clip.
        level: Of each clip, in any unit that rises with loudness.
    """
    who, loud = np.array(list(speaker)), np.array(list(level))
    bound = {name: np.quantile(loud[who == name], 0.75) for name in np.unique(who)}
    return np.array([value >= bound[name] for name, value in zip(who, loud, strict=True)])


def confusion(predictions: Predictions) -> np.ndarray:
    """Truth (rows) against the likeliest emotion (columns), each corpus weighing the same.

    Returns:
        Shape ``(7, 7)``; shares of each true emotion, rows sum to one (zero if it never occurs).
    """
    total = np.zeros((len(EMOTIONS), len(EMOTIONS)))
    for part in corpora(predictions.select(predictions.emotion != UNTOLD).scored):
        guess = np.argmax(part.probabilities, axis=1)
        table = metrics.confusion(guess, part.emotion, len(EMOTIONS))
        total += table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    return np.asarray(total / np.maximum(total.sum(axis=1, keepdims=True), 1e-12))


def anger_only(predictions: Predictions) -> Predictions:
    """Those whose truth is anger."""
    return predictions.select(predictions.emotion == ANGER)


def _mean(predictions: Predictions, row: Figure) -> Row:
    return mean_of([row(p.scored) for p in corpora(predictions) if enough(p)])
