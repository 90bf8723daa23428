"""What a model said of many clips, as arrays: the one thing that all figures and pictures take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from voicebot.emotion.calibration import ANGER, REFERENCE_LOGIT, REFERENCE_PRIOR
from voicebot.events import EMOTIONS, EmotionScore

Strings = npt.NDArray[np.str_]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

LABELS: Final = ("file", "corpus", "language", "speaker", "gender")
UNTOLD: Final = -1
"""Emotion of a clip of which only is known that it is not anger."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """Truth and scores of clips or texts, one entry each; every array has shape ``(n,)``."""

    file: Strings
    corpus: Strings
    language: Strings
    """ISO 639-1"""
    speaker: Strings
    """whoever's clips are not independent of one another"""
    gender: Strings
    """``female``, ``male`` or empty"""
    emotion: npt.NDArray[np.int64]
    """true index into ``EMOTIONS``, or :data:`UNTOLD`"""
    logit: Floats
    """nats, calibrated; of an abstention what would have been said, NaN if not even that"""
    probabilities: Floats
    """shape ``(n, 7)``; NaN as ``logit``"""
    speech_seconds: Floats
    """s; NaN for texts"""
    snr_db: Floats
    """dB, estimated by the model; NaN for texts"""
    abstained: Strings
    """why there is no score; empty where there is one"""

    def __len__(self) -> int:
        return len(self.logit)

    @property
    def angry(self) -> Mask:
        """Truth: whether it is anger."""
        return np.asarray(self.emotion == ANGER)

    @property
    def scored(self) -> Predictions:
        """Those that the model did not abstain from."""
        return self.select(self.abstained == "")

    def select(self, which: npt.NDArray[Any]) -> Predictions:
        """Some of them, by a mask or by indices."""
        return Predictions(*(getattr(self, f.name)[which] for f in fields(self)))

    def label(self, name: str) -> Strings:
        """One of :data:`LABELS` of each entry."""
        if name not in LABELS:
            raise ValueError(f"no label {name!r}")
        return getattr(self, name)  # type: ignore[no-any-return]


def join(parts: Sequence[Predictions]) -> Predictions:
    """Several one after another; at least one."""
    return Predictions(
        *(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Predictions))
    )


def score_rows(scores: Sequence[EmotionScore | None]) -> tuple[Floats, Floats]:
    """Anger logits, shape ``(n,)``, and probabilities, shape ``(n, 7)``; NaN for None."""
    logit = np.array([np.nan if s is None else s.anger_logit for s in scores])
    rows = np.array(
        [[np.nan if s is None else s.probabilities[e] for e in EMOTIONS] for s in scores]
    )
    return logit, rows.reshape(len(scores), len(EMOTIONS))


def filled(predictions: Predictions) -> Predictions:
    """All as if scored: what abstained keeps what it would have said, or says nothing.

    To say nothing is to stay at the reference prior, the others sharing the rest evenly.
    """
    silent = np.isnan(predictions.logit)
    even = np.full(len(EMOTIONS), (1.0 - REFERENCE_PRIOR) / (len(EMOTIONS) - 1))
    even[ANGER] = REFERENCE_PRIOR
    values = {f.name: getattr(predictions, f.name) for f in fields(Predictions)}
    values["logit"] = np.where(silent, REFERENCE_LOGIT, predictions.logit)
    values["probabilities"] = np.where(silent[:, np.newaxis], even, predictions.probabilities)
    values["abstained"] = np.full(len(predictions), "", dtype=predictions.abstained.dtype)
    return Predictions(**values)
