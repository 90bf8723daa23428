"""What a site that keeps its calls holds, and the sums of it that it gives away.

Each site holds features of its own clips (:class:`Site`) and gives away, besides the weights of
:mod:`voicebot.training.federated_training`, only: sums for the mean and spread of each feature,
and how many clips of its development split fall in each bin of the anger logit.  From these
come the same standardisation and calibration that pooled clips would give (up to the width of
a bin).

What this protects and what not: no audio, no feature of a clip and no label leaves a site.
Sums over thousands of clips say little of one clip; over very few they say much, so a site
needs :data:`MIN_CLIPS`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from voicebot.emotion.calibration import Platt, fit_platt
from voicebot.errors import ModelError
from voicebot.training.acoustic_model import CLIP, Fitted, Floats
from voicebot.training.evaluation import anger_figures
from voicebot.training.report import Table
from voicebot.training.speech_corpora import Clip, balanced_weights

Doubles = npt.NDArray[np.float64]

MIN_CLIPS: Final = 20
"""training clips that a site must have of anger, and of the rest"""
BIN: Final = 0.05
"""nats; width of a bin of the anger logit"""
_BINS: Final = 1200


@dataclass(frozen=True, eq=False)
class Site:
    """Everything a site knows.  It never leaves the site."""

    name: str
    clips: tuple[Clip, ...]
    tables: Floats
    """features, shape ``(conditions, clips, features)``; figures are given for the first"""

    def rows(self, split: str) -> npt.NDArray[np.bool_]:
        """Which clips are in a split."""
        return np.array([clip.split == split for clip in self.clips], dtype=np.bool_)

    @cached_property
    def training(self) -> tuple[Floats, npt.NDArray[np.intp], Doubles]:
        """Features, emotions and weights of the training split, all conditions in a row.

        The weights are those of :func:`balanced_weights` before they are scaled to a mean of 1,
        so a site's clips count as they would among those of all sites.
        """
        rows = self.rows("train")
        clips = [clip for clip, row in zip(self.clips, rows, strict=True) if row]
        size = {name: sum(c.corpus == name for c in clips) for name in {c.corpus for c in clips}}
        weight = balanced_weights(clips)
        weight *= sum(math.sqrt(n) for n in sorted(size.values())) / weight.sum()
        count = len(self.tables)
        return (
            self.tables[:, rows].reshape(-1, self.tables.shape[-1]),
            np.tile([clip.emotion for clip in clips], count),
            np.tile(weight / count, count),
        )

    def check(self, min_clips: int = MIN_CLIPS) -> None:
        """Refuse a site from which nothing can be learnt, or too much.

        Args:
            min_clips: Training clips that it must have of anger, and of the rest.

        Raises:
            ModelError: it has too few clips of anger or of the rest.
        """
        for split, least in (("train", min_clips), ("dev", 1)):
            rows = self.rows(split)
            angry = sum(c.angry for c, row in zip(self.clips, rows, strict=True) if row)
            others = int(rows.sum()) - angry
            if min(angry, others) < least:
                raise ModelError(
                    f"site {self.name!r}: {angry} angry and {others} other clips in the split "
                    f"{split!r}; at least {least} of each are needed",
                    "label more calls there, or let it join another site",
                )


@dataclass(frozen=True, slots=True)
class Scaling:
    """Mean and spread of each feature over all sites, shape ``(features,)`` each."""

    mean: Floats
    scale: Floats

    def apply(self, features: Floats) -> Floats:
        """Standardised features, bounded as :class:`Fitted` bounds them."""
        z = np.clip((features - self.mean) / self.scale, -CLIP, CLIP)
        return np.asarray(z, dtype=np.float32)


def moments(site: Site) -> Doubles:
    """Weighted count, sum and sum of squares of each feature, shape ``(3, features)``."""
    x, _, weight = site.training
    wide = x.astype(np.float64)
    return np.stack([np.full(x.shape[1], weight.sum()), weight @ wide, weight @ wide**2])


def scaling(moments: Sequence[Doubles]) -> Scaling:
    """Mean and spread over the clips of all sites, from the sums of each."""
    count, total, squares = np.sum(moments, axis=0)
    mean = total / count
    variance = np.maximum(squares / count - mean**2, 0.0)
    # As in acoustic_model.fit: what hardly varies must not explode on a new line.
    scale = np.maximum(np.sqrt(variance), 1e-3)
    return Scaling(mean.astype(np.float32), scale.astype(np.float32))


def logit_counts(fitted: Fitted, site: Site) -> Doubles:
    """Weighted clips of the development split in each bin of the raw anger logit.

    Returns:
        Shape ``(2, bins)``: the rest, anger.  Corpora and emotions are balanced.
    """
    rows = site.rows("dev")
    clips = [clip for clip, row in zip(site.clips, rows, strict=True) if row]
    _, anger = fitted.predict(site.tables[0, rows])
    place = np.clip(np.rint(anger / BIN).astype(np.intp) + _BINS // 2, 0, _BINS - 1)
    counts = np.zeros((2, _BINS))
    weight = balanced_weights(clips)
    np.add.at(counts, (np.array([int(c.angry) for c in clips]), place), weight)
    return counts


def calibrated(counts: Sequence[Doubles]) -> Platt:
    """Fit the line of the anger logit on the counts of all sites, each site counting alike."""
    total = np.sum([c / c.sum() for c in counts], axis=0)
    angry, place = np.nonzero(total)
    raw = (place - _BINS // 2) * BIN
    n = round(sum(float(c.sum()) for c in counts))
    return replace(fit_platt(raw, angry, total[angry, place]), n=n)


def figures(fitted: Fitted, platt: Platt, site: Site, split: str) -> Table:
    """Figures of a model on a site's own clips, by corpus."""
    rows = site.rows(split)
    _, raw = fitted.predict(site.tables[0])
    logit = np.array([platt.logit(float(value)) for value in raw])
    angry = np.array([clip.angry for clip in site.clips])
    corpus = np.array([clip.corpus for clip in site.clips])
    found = {
        name: anger_figures(logit[rows & (corpus == name)], angry[rows & (corpus == name)])
        for name in sorted(set(corpus))
    }
    return {name: row for name, row in found.items() if row}
