"""Training of the text models from end to end: fit, calibrate, export, evaluate."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from voicebot.emotion.calibration import (
    REFERENCE_PRIOR,
    Calibration,
    fit_platt,
    fit_temperature,
)
from voicebot.emotion.text import IDS, KIND, WEIGHTS, TextModel, TextParams, folder_name
from voicebot.emotion.text_features import (
    FEATURE_SET,
    LANGUAGES,
    SPECS,
    normalise,
)
from voicebot.training.evaluation import anger_figures
from voicebot.training.export import Graph, need_train_extra, write_model
from voicebot.training.report import Progress, TrainReport
from voicebot.training.text_card import text_card
from voicebot.training.text_corpora import CORPORA, Example, load
from voicebot.training.text_fit import FOLD, Linear, fit, matrix, predict

Floats = npt.NDArray[np.float64]

DROP, REPLACE = 0.07, 0.05
"""Shares of words that a recogniser is taken to lose and to mistake, for calibration."""


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
    ms_per_text: float
    """ms of processor time, one core, from raw text to score"""


def train(
    data: Path,
    out: Path,
    *,
    seed: int,
    progress: Progress,
    languages: Sequence[str] = LANGUAGES,
) -> TrainReport:
    """Train, calibrate and write ``text-<language>`` for each language.

    Args:
        data: Folder with ``text/``.
        out: Folder of models to write into.
        seed: Of the errors put into the calibration texts; same data and seed, same bytes.
        progress: Told what is being done.
        languages: ISO 639-1.

    Raises:
        ModelError: a corpus is missing or broken, or the extra ``train`` is not installed.
        OutputError: ``out`` cannot be written.
    """
    need_train_extra()
    start = time.monotonic()
    rows: list[Row] = []
    folders: list[Path] = []
    for language in languages:
        corpora = [c for c in CORPORA if c.language == language]
        examples = {c.name: load(c, data) for c in corpora}
        report = _reporter(progress, f"text {language}")
        linear = fit(examples, corpora, language, report)
        everything = [e for c in corpora for e in examples[c.name]]
        calibration = calibrate(linear, everything, language, seed)
        folder = out / folder_name(language)
        model = export(linear, language)
        write_model(folder, model, calibration, "")  # evaluation wants the model on disk
        mine = evaluate_language(examples, out, language, report)
        write_model(
            folder, model, calibration, text_card(language, corpora, examples, mine, calibration)
        )
        rows += mine
        folders.append(folder)
    figures = {
        f"{r.language} {r.corpus}": {
            "auc": r.auc, "ap": r.ap, "f1": r.f1, "ece": r.ece, "ms": r.ms_per_text,
            "n": float(r.n),
        }
        for r in rows
    }  # fmt: skip
    return TrainReport(tuple(folders), figures, time.monotonic() - start)


def evaluate(data: Path, models_dir: Path, languages: Sequence[str] = LANGUAGES) -> list[Row]:
    """Run the models on disk over the test split of every corpus.

    Args:
        data: Folder with ``text/``.
        models_dir: Folder of models.
        languages: ISO 639-1.

    Raises:
        ModelError: a corpus or model is missing or broken.
    """
    rows: list[Row] = []
    for language in languages:
        examples = {c.name: load(c, data) for c in CORPORA if c.language == language}
        rows += evaluate_language(examples, models_dir, language)
    return rows


def evaluate_language(
    examples: Mapping[str, Sequence[Example]],
    models_dir: Path,
    language: str,
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
    for number, (corpus, of_corpus) in enumerate(examples.items()):
        test = [e for e in of_corpus if e.split == "test" and e.anger is not None]
        start = time.thread_time()  # the session runs in this thread, others must not count
        scores = [model.score(e.text) for e in test]
        elapsed = time.thread_time() - start
        logit = np.array([s.anger_logit for s in scores if s])
        angry = np.array([bool(e.anger) for e in test])
        figures = anger_figures(logit, angry)
        if figures:
            rows.append(
                Row(
                    language, corpus, "test", len(test), float(angry.mean()), figures["auc"],
                    figures["ap"], best_f1(logit, angry), _error(logit, angry),
                    1000 * elapsed / len(test),
                )
            )  # fmt: skip
        progress(0.8 + 0.2 * (number + 1) / len(examples))
    return rows


def best_f1(logit: npt.ArrayLike, angry: npt.ArrayLike) -> float:
    """Best F1 over all thresholds, 0-1."""
    truth = np.asarray(angry, dtype=bool)
    hits = np.cumsum(truth[np.argsort(-np.asarray(logit), kind="stable")])
    return float(np.max(2 * hits / (np.arange(1, len(truth) + 1) + truth.sum())))


def export(linear: Linear, language: str) -> Any:
    """The ONNX graph of one text: ids and weights in, probabilities and anger logit out."""
    graph = Graph()
    value = graph.node("Unsqueeze", WEIGHTS, graph.constant(np.array([1])))  # [n, 1]

    def head(weights: npt.NDArray[np.float16], bias: npt.NDArray[np.float32], ids: str) -> str:
        table = graph.node("Gather", graph.constant(weights), ids, axis=0)
        products = graph.node("Mul", graph.node("Cast", table, to=1), value)
        total = graph.node("ReduceSum", products, graph.constant(np.array([0])), keepdims=1)
        return graph.node("Add", total, graph.constant(bias[None, :]))

    anger = head(linear.anger[:, None], np.array([linear.anger_bias], dtype=np.float32), IDS)
    folded = graph.node("Div", IDS, graph.constant(np.array(FOLD)))
    others = head(linear.others, linear.others_bias, folded)
    # Shifted by this sum the anger logit is the log-odds against all others together.
    total = graph.node("ReduceLogSumExp", others, axes=[1], keepdims=1)
    logits = graph.node("Concat", graph.node("Add", anger, total), others, axis=1)
    return graph.finish(
        logits, kind=KIND, features=FEATURE_SET, anger_logit=anger,
        inputs={IDS: ("int64", ["n"]), WEIGHTS: ("float32", ["n"])},
        extra={"voicebot.language": language},
    )  # fmt: skip


def calibrate(linear: Linear, examples: Sequence[Example], language: str, seed: int) -> Calibration:
    """Fit Platt's line and the temperature on the dev split, heard through a bad recogniser.

    Each corpus counts the same and is weighted to the reference prior of anger; words are lost
    and mistaken as in a transcript of a telephone call.
    """
    dev = [e for e in examples if e.split == "dev"]
    texts = mishear([normalise(e.text, language) for e in dev], language, seed)
    anger, others = predict(linear, matrix(texts, language))
    answered = np.array([i for i, e in enumerate(dev) if e.anger is not None])
    truth = np.array([dev[i].anger for i in answered], dtype=np.float64)
    corpus = np.array([dev[i].corpus for i in answered])
    positive, negative = np.zeros_like(truth), np.zeros_like(truth)
    for name in np.unique(corpus):
        mine = corpus == name
        # Soft labels are left out of the truth: a complaint is neither fury nor calm.
        positive[mine] = truth[mine] / max(truth[mine].sum(), 1e-9) * REFERENCE_PRIOR
        negative[mine] = (
            (1 - truth[mine]) / max((1 - truth[mine]).sum(), 1e-9) * (1 - REFERENCE_PRIOR)
        )
    raw = np.concatenate([anger[answered], anger[answered]])
    label = np.concatenate([np.ones_like(truth), np.zeros_like(truth)])
    weight = np.concatenate([positive, negative])
    keep = weight > 0
    platt = fit_platt(raw[keep], label[keep], weight[keep])
    told = [i for i, e in enumerate(dev) if e.others is not None]
    labels = np.array([int(np.argmax(dev[i].others)) for i in told])  # type: ignore[arg-type]
    log_p = others[told] - np.log(np.exp(others[told]).sum(axis=1, keepdims=True))
    return Calibration(
        anger=platt,
        temperature=fit_temperature(log_p, labels),
        data=(
            f"dev splits of {', '.join(sorted(set(corpus)))}, each weighted the same and to a "
            f"prior of {REFERENCE_PRIOR:g}, {DROP:.0%} of the words lost and {REPLACE:.0%} mistaken"
        ),
    )


def mishear(texts: Sequence[str], language: str, seed: int) -> list[str]:
    """Lose and mistake words (Chinese: characters) as a recogniser does.

    Args:
        texts: Normalised.
        language: ISO 639-1.
        seed: Of the choice.
    """
    rng = np.random.default_rng(seed)
    apart = SPECS[language].words == 0
    split = [list(t) if apart else t.split() for t in texts]
    every = [word for words in split for word in words]
    out = []
    for words in split:
        chance = rng.random(len(words))
        other = rng.integers(0, max(len(every), 1), len(words))
        heard = [
            every[other[i]] if chance[i] < DROP + REPLACE else word
            for i, word in enumerate(words)
            if chance[i] >= DROP
        ]
        out.append(("" if apart else " ").join(heard))
    return out


def _error(logit: Floats, angry: npt.NDArray[np.bool_]) -> float:
    """Expected calibration error at the reference prior, over ten bins, 0-1."""
    weight = np.where(angry, REFERENCE_PRIOR / angry.sum(), (1 - REFERENCE_PRIOR) / (~angry).sum())
    probability = 1 / (1 + np.exp(-logit))
    bins = np.minimum((probability * 10).astype(int), 9)
    gap = np.bincount(bins, weight * (probability - angry), minlength=10)
    return float(np.abs(gap).sum())


def _reporter(progress: Progress, what: str) -> Callable[[float], None]:
    return lambda share: progress(what, share)
