"""How far raters agree: Krippendorff's alpha over short units of the calls, and where they differ.

Alpha is 1 for perfect agreement and 0 for what chance would give; Krippendorff
asks for 0.8, and for 0.667 where tentative conclusions do.  It takes any number
of raters and missing values.

Source: K. Krippendorff, *Content Analysis: An Introduction to Its Methodology*,
2nd ed., Sage 2004, chapter 11; *Computing Krippendorff's Alpha-Reliability*,
University of Pennsylvania 2011 (the worked examples of the tests).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np
import numpy.typing as npt

from voicebot.errors import LabelError
from voicebot.labelling.gold import call_seconds
from voicebot.labelling.spans import Label
from voicebot.labelling.store import Rating

MISSING: Final = -1
"""In place of a value: the rater has not listened that far."""
UNIT_SECONDS: Final = 0.5
"""s; length of a unit, unless told otherwise"""
_LABELS: Final = tuple(Label)
_RESAMPLES: Final = 2000
_LEVEL: Final = 0.95

Values = npt.NDArray[np.int8]
"""Index of a label, or :data:`MISSING`; shape ``(raters, units)``."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CallAgreement:
    """One call that two or more raters have labelled."""

    call: str
    raters: tuple[str, ...]
    units: int
    """units that at least two raters have labelled"""
    alpha: float | None
    """None where all units have one label, so that nothing can be told"""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A stretch of a call on which raters differ."""

    call: str
    start: float
    """s"""
    end: float
    """s"""
    labels: tuple[tuple[str, Label], ...]
    """rater and label, of those who labelled it"""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement over all calls."""

    alpha: float | None
    """all labels as they are; None where all units have one label"""
    interval: tuple[float, float] | None
    """95 % interval, from resampling calls; None with fewer than two calls"""
    alpha_without_unclear: float | None
    """with ``unclear`` as a missing value"""
    calls: tuple[CallAgreement, ...]
    single: tuple[str, ...]
    """calls that only one rater has labelled; they count for nothing here"""
    disagreements: tuple[Disagreement, ...]
    """longest first"""


def agreement(
    ratings: Sequence[Rating],
    *,
    unit: float = UNIT_SECONDS,
    whole_call: bool = False,
    seed: int = 0,
) -> Agreement:
    """Measure how far raters agree.

    Args:
        ratings: From :meth:`voicebot.labelling.store.LabelStore.ratings`.
        unit: s, length of the units.
        whole_call: All of each call; by default the caller's speech, where it is known.
        seed: Of the resampling.

    Raises:
        LabelError: no call has been labelled by two raters.
    """
    calls, single, matrices, strict, differ = [], [], [], [], []
    for call, group in groupby(sorted(ratings, key=lambda r: (r.call, r.rater)), lambda r: r.call):
        mine = list(group)
        values = unit_labels(mine, unit=unit, whole_call=whole_call)
        pairable = int(np.count_nonzero((values != MISSING).sum(axis=0) >= 2))
        if len(mine) < 2 or not pairable:
            single.append(call)
            continue
        matrix = coincidences(values, len(_LABELS))
        calls.append(CallAgreement(call, tuple(r.rater for r in mine), pairable, alpha(matrix)))
        matrices.append(matrix)
        clear = np.where(values == _LABELS.index(Label.UNCLEAR), MISSING, values)
        strict.append(coincidences(clear, len(_LABELS)))
        differ += _disagreements(mine, values, unit)
    if not calls:
        raise LabelError(
            "no call was labelled by two raters", "let a second rater label the same calls"
        )
    stacked = np.stack(matrices)
    return Agreement(
        alpha(stacked.sum(axis=0)),
        _interval(stacked, seed),
        alpha(np.sum(strict, axis=0)),
        tuple(calls),
        tuple(single),
        tuple(sorted(differ, key=lambda d: (d.start - d.end, d.call, d.start))),
    )


def unit_labels(ratings: Sequence[Rating], *, unit: float, whole_call: bool = False) -> Values:
    """Cut a call into units and say what each rater called each.

    A unit has the label that covers most of it.  Units of which the caller speaks less than
    half are missing, and those that a rater has neither heard nor marked.

    Args:
        ratings: Of one call.
        unit: s.
        whole_call: Do not look at speech.
    """
    count = int(np.ceil(call_seconds(ratings) / unit - 1e-9))
    edges = unit * np.arange(count + 1, dtype=np.float64)
    values = np.empty((len(ratings), count), np.int8)
    for row, rating in zip(values, ratings, strict=True):
        cover = np.zeros((len(_LABELS), count))
        for span in rating.spans:
            cover[_LABELS.index(span.label)] += _cover(edges, span.start, span.end)
        cover[_LABELS.index(Label.OTHER)] = unit - cover.sum(axis=0)
        row[:] = np.argmax(np.round(cover, 6), axis=0)  # of equals the first: angry before unclear
        if rating.heard is not None:
            unheard = edges[:-1] + unit / 2 > rating.heard
            row[unheard & (row == _LABELS.index(Label.OTHER))] = MISSING
    speech = next((r.speech for r in ratings if r.speech is not None), None)
    if speech is not None and not whole_call:
        spoken = sum((_cover(edges, start, end) for start, end in speech), np.zeros(count))
        values[:, spoken < unit / 2 - 1e-9] = MISSING
    return values


def coincidences(values: Values, categories: int) -> Floats:
    """The coincidence matrix of nominal values.

    Each unit with m >= 2 values adds its m(m - 1) ordered pairs, each weighing 1 / (m - 1)
    (Krippendorff 2011, C).  Matrices of several calls may be added.

    Args:
        values: ``0 <= value < categories``, or :data:`MISSING`; shape ``(raters, units)``.
        categories: How many there are.

    Returns:
        Shape ``(categories, categories)``, symmetric; its sum is the number of paired values.
    """
    counts = np.stack([(values == c).sum(axis=0) for c in range(categories)]).astype(np.float64)
    m = counts.sum(axis=0)
    counts, m = counts[:, m >= 2], m[m >= 2]
    weighted = counts / (m - 1)
    return np.asarray(counts @ weighted.T - np.diag(weighted.sum(axis=1)), np.float64)


def alpha(matrix: Floats) -> float | None:
    """Krippendorff's alpha for nominal data.

    ``alpha = 1 - (n - 1) sum_{c != k} o_ck / sum_{c != k} n_c n_k`` (Krippendorff 2011, C).

    Args:
        matrix: From :func:`coincidences`.

    Returns:
        At most 1; None if there is nothing paired, or all of it has one value.
    """
    value = float(_alphas(matrix[None])[0])
    return None if np.isnan(value) else value


def _alphas(matrices: Floats) -> Floats:
    """Alpha of each of many matrices, shape ``(n, c, c)``; NaN where it is not defined."""
    totals = matrices.sum(axis=2)
    n = totals.sum(axis=1)
    observed = n - np.trace(matrices, axis1=1, axis2=2)
    expected = n**2 - (totals**2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Summed weights leave rounding where all values are one: that is nothing, not disagreement.
        defined = np.where(expected > 1e-9 * n**2, expected, np.nan)
        return np.asarray(1.0 - (n - 1.0) * observed / defined, np.float64)


def _interval(matrices: Floats, seed: int) -> tuple[float, float] | None:
    """Percentile interval of alpha when calls are drawn again with replacement."""
    count = len(matrices)
    if count < 2:
        return None
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=_RESAMPLES)
    values = _alphas(np.tensordot(drawn, matrices, axes=1))
    values = values[~np.isnan(values)]
    if not len(values):
        return None
    low, high = np.quantile(values, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)


def _cover(edges: Floats, start: float, end: float) -> Floats:
    """Seconds of each unit that lie between two times."""
    inside = np.minimum(end, edges[1:]) - np.maximum(start, edges[:-1])
    return np.asarray(np.clip(inside, 0.0, None), np.float64)


def _disagreements(ratings: Sequence[Rating], values: Values, unit: float) -> list[Disagreement]:
    """Runs of units on which the raters differ in the same way."""
    out: list[Disagreement] = []
    for at, column in enumerate(values.T):
        given = column[column != MISSING]
        if not len(given) or (given == given[0]).all():
            continue
        labels = tuple(
            (r.rater, _LABELS[v]) for r, v in zip(ratings, column, strict=True) if v != MISSING
        )
        start, end = at * unit, (at + 1) * unit
        if out and out[-1].end == start and out[-1].labels == labels:
            start = out.pop().start
        out.append(Disagreement(ratings[0].call, start, end, labels))
    return out
