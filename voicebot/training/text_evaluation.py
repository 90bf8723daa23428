"""How good the text models are: by corpus and language, as written, misheard and recognised."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from voicebot.emotion.calibration import ANGER
from voicebot.emotion.text_features import LANGUAGES, normalise
from voicebot.errors import ModelError
from voicebot.speech.text_metrics import error_rate
from voicebot.training import breakdown, pictures
from voicebot.training.augmentation import CLEAN
from voicebot.training.bimodal import emotional_clips
from voicebot.training.breakdown import Row, by, with_mean
from voicebot.training.evaluation_report import FigureTable, PartReport, Picture
from voicebot.training.predictions import Predictions, filled, join
from voicebot.training.recognised import Heard, recognise_clips, recognise_spoken
from voicebot.training.report import Progress, Table
from voicebot.training.speech_corpora import read_manifest
from voicebot.training.text_corpora import CORPORA, load
from voicebot.training.text_predictions import Said, TextRequest, misheard, predict_texts, written

SPOKEN_CORPORA: Final = ("goemotions", "airline_tweets")
SPOKEN: Final = 150
"""English texts of each of these that are spoken and recognised, half of them angry."""
WAYS: Final = ("written", "misheard", "recognised")
_SPOKEN_WORDS: Final = (4, 30)
"""Fewest and most words of a text that is spoken."""
_RANKING: Final = ("n", "angry", "auc", "low", "high", "ap", "eer", "recall_at_10", "abstained")
_DECISIONS: Final = ("accuracy", "recall", "precision", "f1")
_NOTES: Final = (
    "Texts that the model would abstain from on a call (too few words) are scored and counted "
    "here all the same; 'abst' tells their share. Each text counts as a speaker of its own.",
    "'Misheard' loses and swaps words at random; 'recognised' is what the engine of a call wrote: "
    "Korean scripts read by people, English texts read by a synthesiser, all at 8 kHz.",
)


@dataclass(frozen=True, slots=True)
class Recognised:
    """The same texts as they were and as they were recognised."""

    name: str
    language: str
    """ISO 639-1"""
    said: tuple[Said, ...]
    heard: tuple[Heard, ...]

    @property
    def error_rate(self) -> float:
        """Errors of the recogniser: by word, or by character where words are not separated."""
        pairs = [(s.text, h.text) for s, h in zip(self.said, self.heard, strict=True)]
        return error_rate(self.language, pairs).rate

    def as_heard(self) -> tuple[Said, ...]:
        """The texts as they were recognised."""
        return tuple(replace(s, text=h.text) for s, h in zip(self.said, self.heard, strict=True))


Real = Sequence[tuple[Recognised, Mapping[str, Predictions]]]
"""What was recognised, with its predictions by way."""


def evaluate(
    data: Path,
    models: Path,
    *,
    languages: Sequence[str] = LANGUAGES,
    recognise: bool = True,
    seed: int,
    cache: Path,
    workers: int,
    progress: Progress,
    draw: bool,
) -> PartReport:
    """Measure the text models.

    Args:
        data: Has ``text/``, and ``speech/`` for what is recognised.
        models: Folder of models.
        languages: ISO 639-1.
        recognise: Whether to have speech recognised too: minutes, when it is first done.
        seed: Of the simulated errors and the sample that is spoken.
        cache: Where scores and recognised texts are kept.
        workers: Processes.
        progress: Told how far it is.
        draw: Whether to make pictures too.

    Raises:
        ModelError: a corpus or model is missing or broken, a language is unknown.
        OutputError: the cache cannot be written.
    """
    began = time.monotonic()
    if unknown := [name for name in languages if name not in LANGUAGES]:
        raise ModelError(f"--language {unknown[0]}: no text model", f"use {', '.join(LANGUAGES)}")
    texts = {name: _texts(data, name) for name in languages}
    test, dev = ({name: both[split] for name, both in texts.items()} for split in ("test", "dev"))
    notes = list(_NOTES)
    spoken = _recognised(data, test, seed, cache, progress, notes) if recognise else []
    requests = [TextRequest(models, name, said) for name, said in test.items()]
    requests += [
        TextRequest(models, name, misheard(said, name, seed)) for name, said in test.items()
    ]
    requests += [TextRequest(models, name, said) for name, said in dev.items()]
    for one in spoken:
        for said in (one.said, misheard(one.said, one.language, seed), one.as_heard()):
            requests.append(TextRequest(models, one.language, said))
    found = iter(predict_texts(requests, cache=cache, workers=workers, progress=progress))
    as_written, as_misheard, on_dev = ({name: next(found) for name in languages} for _ in range(3))
    real = [(one, {way: next(found) for way in WAYS}) for one in spoken]
    tables = [*_tables(as_written, as_misheard, on_dev), _real_table(real)]
    return PartReport(
        "text", "Words: angry texts", _summary(tables), tuple(t for t in tables if t.rows),
        _draw(as_written) if draw else (), tuple(notes), time.monotonic() - began,
    )  # fmt: skip


def spoken_sample(said: Sequence[Said], corpus: str, seed: int) -> tuple[Said, ...]:
    """Texts of a corpus short enough to be spoken, half of them angry, in normal form."""
    fewest, most = _SPOKEN_WORDS
    plain = [replace(s, text=normalise(s.text, "en")) for s in said if s.corpus == corpus]
    fit = [s for s in plain if fewest <= len(s.text.split()) <= most]
    rng = np.random.default_rng(seed)
    kinds = [s for s in fit if s.emotion == ANGER], [s for s in fit if s.emotion != ANGER]
    chosen: list[Said] = []
    for kind in kinds:
        places = rng.permutation(len(kind))[: SPOKEN // 2]
        chosen += [kind[i] for i in sorted(places)]
    return tuple(chosen)


def _texts(data: Path, language: str) -> dict[str, tuple[Said, ...]]:
    """Test and dev texts of a language, each corpus read once."""
    examples = [load(c, data) for c in CORPORA if c.language == language]
    return {
        split: tuple(s for some in examples for s in written(some, split))
        for split in ("test", "dev")
    }


def _recognised(
    data: Path,
    test: Mapping[str, tuple[Said, ...]],
    seed: int,
    cache: Path,
    progress: Progress,
    notes: list[str],
) -> list[Recognised]:
    """What can be recognised here; what cannot is noted."""
    out: list[Recognised] = []
    if "ko" in test:
        try:
            clips = emotional_clips(read_manifest(data))
            heard = recognise_clips(data, clips, CLEAN, seed=seed, cache=cache, progress=progress)
            said = tuple(Said(c.text, "ko scripts", c.speaker, c.emotion) for c in clips)
            out += [Recognised("ko scripts", "ko", said, tuple(heard))] if clips else []
        except ModelError as err:
            notes.append(f"Korean speech was not recognised: {err}.")
    if "en" in test:
        chosen = {name: spoken_sample(test["en"], name, seed) for name in SPOKEN_CORPORA}
        try:
            every = [s.text for said in chosen.values() for s in said]
            heard = recognise_spoken(every, cache=cache, progress=progress)
            start = 0
            for name, said in chosen.items():
                mine = tuple(heard[start : start + len(said)])
                out += [Recognised(f"{name}, spoken", "en", said, mine)]
                start += len(said)
        except ModelError as err:
            notes.append(f"English texts were not spoken and recognised: {err}.")
    return out


def ranked(predictions: Predictions) -> Row:
    """Ranking with every text scored; ``abstained`` is what a call would not score."""
    share = float(np.mean(predictions.abstained != ""))
    return {**breakdown.ranking(filled(predictions)), "abstained": share}


def _tables(
    as_written: Mapping[str, Predictions],
    as_misheard: Mapping[str, Predictions],
    on_dev: Mapping[str, Predictions],
) -> list[FigureTable]:
    every = join(list(as_written.values()))
    rows = with_mean(by("corpus", every, ranked), every, ranked)
    if len(as_written) > 1:
        rows = {**rows, **{f"mean {name}": ranked(p) for name, p in as_written.items()}}

    def at_half(predictions: Predictions) -> Row:
        return breakdown.decided(filled(predictions), 0.0)

    def calibrated(predictions: Predictions) -> Row:
        return breakdown.calibration(filled(predictions))

    def felt(predictions: Predictions) -> Row:
        return breakdown.emotions(filled(predictions))

    return [
        FigureTable("Angry texts against the rest, as written (test splits)", rows, _RANKING),
        FigureTable(
            "Called angry at a probability of .5 (one in five angry)",
            with_mean(by("corpus", every, at_half), every, at_half), _DECISIONS,
        ),
        FigureTable(
            "Called angry at the best F1 on dev, by language", _at_best(as_written, on_dev),
            (*_DECISIONS, "threshold"), "'threshold' is a logit, in nats.",
        ),
        FigureTable(
            "All emotions: the likeliest of those that the corpus has",
            by("corpus", every, felt), ("accuracy", "uar", "macro_f1"),
            "Texts that hold anger, or mostly one other emotion.",
        ),
        FigureTable(
            "Calibration", with_mean(by("corpus", every, calibrated), every, calibrated),
            ("share", "ece", "brier", "ece_reference", "brier_reference", "confidence"),
        ),
        FigureTable(
            "With words lost and mistaken as by a recogniser: AUC",
            _misheard_rows(as_written, as_misheard), ("written", "misheard", "drop", "ECE"),
            "Random errors; 'ECE' is the calibration error with one in five angry, misheard.",
        ),
    ]  # fmt: skip


def _at_best(as_written: Mapping[str, Predictions], on_dev: Mapping[str, Predictions]) -> Table:
    """Decisions at the threshold with the best F1 on each language's dev split."""
    rows: dict[str, Row] = {}
    for name, predictions in on_dev.items():
        threshold = breakdown.dev_threshold(filled(predictions))
        if threshold is None:
            continue
        for corpus in breakdown.corpora(filled(as_written[name])):
            row = breakdown.decided(corpus, threshold)
            rows[str(corpus.corpus[0])] = {**row, "threshold": threshold}
    return rows


def _misheard_rows(
    as_written: Mapping[str, Predictions], as_misheard: Mapping[str, Predictions]
) -> Table:
    rows: dict[str, Row] = {}
    for name, predictions in as_written.items():
        before = by("corpus", predictions, ranked)
        after = by("corpus", as_misheard[name], ranked)
        errors = by("corpus", filled(as_misheard[name]), breakdown.calibration)
        for corpus in before:
            if "auc" in before[corpus] and "auc" in after[corpus]:
                was, now = before[corpus]["auc"], after[corpus]["auc"]
                rows[corpus] = {
                    "written": was, "misheard": now, "drop": was - now,
                    "ECE": errors[corpus]["ece_reference"],
                }  # fmt: skip
    if not rows:
        return {}
    mean = {k: float(np.mean([r[k] for r in rows.values()])) for k in next(iter(rows.values()))}
    return {**rows, "mean": mean}


def _real_table(real: Real) -> FigureTable:
    rows: dict[str, Row] = {}
    for one, scored in real:
        figures = {way: ranked(p).get("auc", float("nan")) for way, p in scored.items()}
        rows[one.name] = {
            "n": float(len(one.said)), **figures, "error_rate": one.error_rate,
            "drop": figures["written"] - figures["recognised"],
        }  # fmt: skip
    columns = ("n", "error_rate", *WAYS, "drop")
    note = (
        "The same texts three ways. The Korean scripts are few sentences read by many voices, so "
        "a single word decides much; half of the English sample is angry."
    )
    return FigureTable("What a real recogniser leaves of it: AUC", rows, columns, note)


def _summary(tables: Sequence[FigureTable]) -> tuple[str, ...]:
    ranking, calibration, lost, real = (tables[i].rows for i in (0, 4, 5, 6))
    known = {
        name: row for name, row in ranking.items() if "auc" in row and not name.startswith("mean")
    }
    if not known:
        return ("No corpus has enough angry and other texts.",)
    worst = min(known, key=lambda name: known[name]["auc"])
    total = ranking.get("mean") or next(iter(known.values()))
    error = (calibration.get("mean") or next(iter(calibration.values())))["ece_reference"]
    out = [
        f"AUC {total['auc']:.3f} over {len(known)} corpora; worst {worst}, "
        f"{known[worst]['auc']:.3f}.",
        f"Calibration error with one in five angry: {error:.3f}.",
    ]
    if "mean" in lost:
        out.append(f"Words lost and mistaken at random cost {lost['mean']['drop']:.3f} of AUC.")
    out += [
        f"Really recognised ({name}, error rate {row['error_rate']:.2f}): AUC "
        f"{row['recognised']:.3f}, {row['written']:.3f} as written."
        for name, row in real.items()
    ]
    return tuple(out)


def _draw(parts: Mapping[str, Predictions]) -> tuple[Picture, ...]:
    drawn: list[Picture] = []
    for name, predictions in parts.items():
        every = filled(predictions)
        drawn += [
            Picture(f"roc-{name}", f"Recall against false alarms, {name}.",
                    pictures.roc_picture(every)),
            Picture(f"det-{name}", f"Misses against false alarms, {name} (Martin et al., 1997).",
                    pictures.det_picture(every)),
            Picture(f"reliability-{name}", f"Said against seen, {name}.",
                    pictures.reliability_picture(every)),
        ]  # fmt: skip
    return tuple(drawn)
