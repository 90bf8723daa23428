"""Training the acoustic models: the one with a speech encoder, and the small one without.

What is fitted is in :mod:`voicebot.training.acoustic_model`.  Corpora and emotions
are balanced (see :func:`balanced_weights`), each clip is heard in every
condition of :data:`voicebot.training.augmentation.TRAINING`.

A caller is always from a corpus that the model never saw, so the calibration
is fitted on predictions for corpora left out of training, one after the other.
The models that were trained for this are kept: they tell what to expect on a new line.

Everything follows from the seed: the same data and seed give the same file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from voicebot.emotion.calibration import ANGER, Calibration, fit_platt, fit_temperature
from voicebot.emotion.features import FEATURES
from voicebot.errors import ModelError
from voicebot.events import EMOTIONS
from voicebot.training.acoustic_model import SMALL, Fitted, Floats, Recipe, fit
from voicebot.training.augmentation import TRAINING, Condition
from voicebot.training.card import acoustic_card
from voicebot.training.evaluation import anger_figures, mean_of
from voicebot.training.export import need_train_extra, write_model
from voicebot.training.feature_cache import default_cache, feature_table
from voicebot.training.report import Progress, Table, TrainReport
from voicebot.training.speech_corpora import Clip, balanced_weights, for_training, read_manifest
from voicebot.training.speech_encoder import encoder_file


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Predictions for every clip by a model that never saw its corpus."""

    logits: Floats
    """class logits, shape ``(conditions, clips, 7)``"""
    anger: Floats
    """raw anger logits, shape ``(conditions, clips)``"""


def train(
    data: Path,
    out: Path,
    *,
    seed: int,
    progress: Progress,
    cache: Path | None = None,
    workers: int = 2,
    recipe: Recipe | None = None,
    conditions: Sequence[Condition] = TRAINING,
    small: Path | None = None,
    left_out: Path | None = None,
) -> TrainReport:
    """Train, calibrate and write the acoustic model with its speech encoder.

    Args:
        data: Folder with ``speech/`` and ``noise/``.
        out: Model folder to write.
        seed: Of all chance.
        progress: Told how far it is.
        cache: Folder for computed features; None takes the user's cache.
        workers: Processes for computing features.
        recipe: What is fitted.
        conditions: How each clip is heard; the first is the one that figures are given for.
        small: Model folder for a model on prosody alone, made of the same features; None makes
            none.
        left_out: Folder for the models that were trained without one corpus each,
            ``acoustic-<corpus>``; None keeps none.

    Raises:
        ModelError: data is missing or unusable, the ``train`` extra or Whisper not installed.
        OutputError: a model folder or the cache cannot be written.
    """
    began = time.monotonic()
    encoder = encoder_file(cache or default_cache())
    clips, tables = training_tables(
        data, conditions, seed=seed, cache=cache, workers=workers, progress=progress,
        encoder=encoder,
    )  # fmt: skip
    work = _Work(clips, tables, recipe or Recipe(), seed, conditions, encoder)
    figures = _finish(work, out, left_out, progress)
    folders = [out]
    if small is not None:
        prosody = tables[..., : len(FEATURES)]
        alone = _Work(clips, prosody, recipe or SMALL, seed, conditions, None)
        short = _finish(alone, small, None, progress)
        figures = {**figures, **{f"small: {name}": row for name, row in short.items()}}
        folders.append(small)
    return TrainReport(tuple(folders), figures, time.monotonic() - began)


def train_small(
    data: Path,
    out: Path,
    *,
    seed: int,
    progress: Progress,
    cache: Path | None = None,
    workers: int = 2,
    recipe: Recipe | None = None,
    conditions: Sequence[Condition] = TRAINING,
) -> TrainReport:
    """Train, calibrate and write the model on prosody alone; arguments and errors as :func:`train`.

    It needs no Whisper.
    """
    began = time.monotonic()
    clips, tables = training_tables(
        data, conditions, seed=seed, cache=cache, workers=workers, progress=progress
    )
    work = _Work(clips, tables, recipe or SMALL, seed, conditions, None)
    figures = _finish(work, out, None, progress)
    return TrainReport((out,), figures, time.monotonic() - began)


@dataclass(frozen=True, slots=True)
class _Work:
    """What one model is made from."""

    clips: Sequence[Clip]
    tables: Floats
    """shape ``(conditions, clips, features)``"""
    recipe: Recipe
    seed: int
    conditions: Sequence[Condition]
    encoder: Path | None
    """None for prosody alone"""

    def write(
        self, folder: Path, fitted: Fitted, calibration: Calibration, card: str, corpora: set[str]
    ) -> None:
        extra = {"voicebot.seed": str(self.seed), "voicebot.corpora": ",".join(sorted(corpora))}
        write_model(folder, fitted.to_onnx(extra, self.encoder), calibration, card)


def _finish(work: _Work, out: Path, left_out: Path | None, progress: Progress) -> Table:
    """Fit with each corpus left out, calibrate, fit with all, write; return the figures."""
    clips = work.clips
    known = np.array([c.split != "test" for c in clips])
    unseen, models = leave_corpora_out(work.tables, clips, work.recipe, work.seed, progress)
    calibration = calibrate(unseen, clips, known)
    progress("final model", 0.0)
    chosen = [c for c in clips if c.split != "test"]
    fitted = fit(work.tables[:, known], chosen, work.recipe, work.seed)
    progress("final model", 1.0)
    figures = figures_by_corpus(fitted, unseen, calibration, work.tables[0], clips)
    card = acoustic_card(
        clips, figures, calibration, work.seed, work.conditions, encoder=work.encoder is not None
    )
    corpus = np.array([c.corpus for c in clips])
    work.write(out, fitted, calibration, card, set(corpus))
    if left_out is not None:
        for name, model in models.items():
            # Not even the two numbers of the calibration may come from the corpus left out.
            without = calibrate(unseen, clips, known & (corpus != name))
            note = f"For evaluation only: trained without {name}, as `{out.name}` otherwise.\n"
            work.write(left_out / f"acoustic-{name}", model, without, note, set(corpus) - {name})
    return figures


def training_tables(
    data: Path,
    conditions: Sequence[Condition],
    *,
    seed: int,
    cache: Path | None,
    workers: int,
    progress: Progress,
    encoder: Path | None = None,
) -> tuple[list[Clip], Floats]:
    """The clips of a data folder and their features, shape ``(conditions, clips, features)``.

    With an encoder its embedding follows the prosodic features.

    Raises:
        ModelError: data is missing or unusable, or the ``train`` extra is not installed.
        OutputError: the cache cannot be written.
    """
    need_train_extra()
    clips = read_manifest(data)
    _check(clips, data)
    tables = [
        feature_table(
            data, clips, condition, for_training, seed=seed, cache=cache or default_cache(),
            progress=_part(progress, number, len(conditions)), workers=workers, encoder=encoder,
        )
        for number, condition in enumerate(conditions)
    ]  # fmt: skip
    return clips, np.stack(tables)


def leave_corpora_out(
    tables: Floats, clips: Sequence[Clip], recipe: Recipe, seed: int, progress: Progress
) -> tuple[LeftOut, dict[str, Fitted]]:
    """Predict each corpus by a model trained on the others' training and dev clips.

    Returns:
        The predictions, and corpus to the model that was trained without it.

    Raises:
        ModelError: there is only one corpus.
    """
    corpus = np.array([c.corpus for c in clips])
    known = np.array([c.split != "test" for c in clips])
    names = sorted(set(corpus))
    if len(names) < 2:
        raise ModelError(
            f"only one corpus ({names[0]}): nothing is left to calibrate on",
            "add speech of another source, with its own name in the manifest's column corpus",
        )
    logits = np.zeros((*tables.shape[:2], len(EMOTIONS)), dtype=np.float32)
    anger = np.zeros(tables.shape[:2], dtype=np.float32)
    models: dict[str, Fitted] = {}
    for number, name in enumerate(names):
        progress("corpora left out", number / len(names))
        rows = known & (corpus != name)
        fitted = models[name] = fit(
            tables[:, rows], [c for c, r in zip(clips, rows, strict=True) if r], recipe, seed
        )
        out = np.flatnonzero(corpus == name)
        flat = tables[:, out].reshape(-1, tables.shape[-1])
        class_logits, anger_logit = fitted.predict(flat)
        logits[:, out] = class_logits.reshape(len(tables), len(out), -1)
        anger[:, out] = anger_logit.reshape(len(tables), len(out))
    progress("corpora left out", 1.0)
    return LeftOut(logits, anger), models


def calibrate(left_out: LeftOut, clips: Sequence[Clip], rows: npt.NDArray[np.bool_]) -> Calibration:
    """Fit the calibration on left-out predictions, every corpus counting alike.

    Args:
        left_out: All conditions count.
        clips: All clips.
        rows: Clips to use, shape ``(clips,)``: never those of the test split.
    """
    chosen = [c for c, r in zip(clips, rows, strict=True) if r]
    count = len(left_out.anger)
    angry = np.tile([float(c.angry) for c in chosen], count)
    weight = np.tile(balanced_weights(chosen), count)
    platt = fit_platt(left_out.anger[:, rows].ravel(), angry, weight)
    others = np.delete(np.arange(len(EMOTIONS)), ANGER)
    calm = np.array([not c.angry for c in chosen])
    logits = left_out.logits[:, rows][:, calm][..., others].reshape(-1, len(others))
    labels = np.tile(
        [int(np.searchsorted(others, c.emotion)) for c in chosen if not c.angry], count
    )
    corpora = sorted({c.corpus for c in chosen})
    return Calibration(
        platt, temperature=fit_temperature(logits, labels),
        data=f"train and dev clips of {', '.join(corpora)}, each predicted without its corpus",
    )  # fmt: skip


def figures_by_corpus(
    fitted: Fitted,
    left_out: LeftOut,
    calibration: Calibration,
    table: Floats,
    clips: Sequence[Clip],
) -> Table:
    """Figures on the test split and with the corpus left out: rows such as ``ko test``."""
    angry = np.array([c.angry for c in clips])
    test = np.array([c.split == "test" for c in clips])
    corpus = np.array([c.corpus for c in clips])
    _, raw = fitted.predict(table)
    rows: dict[str, dict[str, float]] = {}
    for label, logits, among in (
        ("test", raw, test),
        ("unseen", left_out.anger[0], np.ones_like(test)),
    ):
        mine: dict[str, dict[str, float]] = {}
        for name in sorted(set(corpus)):
            chosen = among & (corpus == name)
            calibrated = [calibration.anger.logit(float(v)) for v in logits[chosen]]
            if figures := anger_figures(np.array(calibrated), angry[chosen]):
                mine[f"{name} {label}"] = figures
        rows |= mine
        rows[f"mean {label}"] = mean_of(list(mine.values()))
    return rows


def _check(clips: Sequence[Clip], data: Path) -> None:
    """Refuse data from which no model can come."""
    for split in ("train", "test"):
        chosen = [c for c in clips if c.split == split]
        if not any(c.angry for c in chosen) or all(c.angry for c in chosen):
            raise ModelError(
                f"{data}: the split {split!r} needs both angry and other clips",
                "add clips or move speakers between the splits of the manifest",
            )


def _part(progress: Progress, number: int, count: int) -> Callable[[str, float], None]:
    """Progress of one of several equal parts."""
    return lambda what, share: progress(what, (number + share) / count)
