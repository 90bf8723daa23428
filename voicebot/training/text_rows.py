"""How well a text model on disk does on each corpus, through its ONNX file."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from voicebot.emotion.calibration import REFERENCE_PRIOR
from voicebot.emotion.text import TextModel, TextParams
from voicebot.training.evaluation import anger_figures
from voicebot.training.text_corpora import Example

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Row:
    """How well a model does on one split of one corpus."""

    language: str
    corpus: str
    split: str
    n: int
    prevalence: float
    """share of angry texts, 0-1"""
    auc: float
    ap: float
    """average precision"""
    f1: float
    """best over all thresholds"""
    ece: float
    """expected calibration error with the corpus weighted to the reference prior, 0-1"""
    ms_per_text: float = 0.0
    """ms of processor time, one core, from raw text to score"""


def evaluate_language(
    examples: Mapping[str, Sequence[Example]],
    models_dir: Path,
    language: str,
    split: str = "test",
    progress: Callable[[float], None] = lambda share: None,
) -> list[Row]:
    """Rows of one language; ``examples`` maps a corpus to all its examples.

    Raises:
        ModelError: the model is missing or broken.
    """
    # Corpora hold one-word texts, which count here; on a call the model would abstain.
    model = TextModel.load(models_dir, language, TextParams(min_letters=0, min_characters=0))
    assert model is not None
    rows = []
    for number, of_corpus in enumerate(examples.values()):
        mine = [e for e in of_corpus if e.split == split and e.anger is not None]
        start = time.thread_time()  # the session runs in this thread, others must not count
        scores = [model.score(e.text) for e in mine]
        elapsed = time.thread_time() - start
        row = row_of(
            np.array([s.anger_logit for s in scores if s]), mine, language, split,
            1000 * elapsed / max(len(mine), 1),
        )  # fmt: skip
        if row is not None:
            rows.append(row)
        progress((number + 1) / len(examples))
    return rows


def row_of(
    logit: Floats, examples: Sequence[Example], language: str, split: str, ms: float = 0.0
) -> Row | None:
    """Figures of calibrated logits on examples of one corpus; None if all are of one kind."""
    angry = np.array([bool(e.anger) for e in examples])
    figures = anger_figures(logit, angry)
    if not figures:
        return None
    return Row(
        language, examples[0].corpus, split, len(examples), float(angry.mean()), figures["auc"],
        figures["ap"], best_f1(logit, angry), _error(logit, angry), ms,
    )  # fmt: skip


def best_f1(logit: npt.ArrayLike, angry: npt.ArrayLike) -> float:
    """Best F1 over all thresholds, 0-1."""
    truth = np.asarray(angry, dtype=bool)
    hits = np.cumsum(truth[np.argsort(-np.asarray(logit), kind="stable")])
    return float(np.max(2 * hits / (np.arange(1, len(truth) + 1) + truth.sum())))


def _error(logit: Floats, angry: npt.NDArray[np.bool_]) -> float:
    """Expected calibration error at the reference prior, over ten bins, 0-1."""
    weight = np.where(angry, REFERENCE_PRIOR / angry.sum(), (1 - REFERENCE_PRIOR) / (~angry).sum())
    probability = 1 / (1 + np.exp(-logit))
    bins = np.minimum((probability * 10).astype(int), 9)
    gap = np.bincount(bins, weight * (probability - angry), minlength=10)
    return float(np.abs(gap).sum())
