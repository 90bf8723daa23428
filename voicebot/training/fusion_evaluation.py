"""What joining voice and words gains, and which part of the fusion gains it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from voicebot.emotion.acoustic import AcousticModel
from voicebot.emotion.baseline import BaselineParams
from voicebot.emotion.fusion import FusionParams, fuse
from voicebot.emotion.text import TextModel
from voicebot.errors import ModelError
from voicebot.escalation.evidence import (
    EvidenceParams,
    EvidenceState,
    Observation,
    begin,
    calm_level,
    step,
)
from voicebot.events import EMOTIONS, EmotionScore
from voicebot.training import breakdown, left_out, pictures
from voicebot.training.acoustic_predictions import Request, predict
from voicebot.training.augmentation import CLEAN, TEST_NOISY, Condition
from voicebot.training.bimodal import (
    Pairs,
    drawn_pairs,
    emotional_clips,
    read_pairs,
    recognised_pairs,
)
from voicebot.training.breakdown import HAPPY, Row
from voicebot.training.evaluation import mean_of
from voicebot.training.evaluation_report import FigureTable, PartReport, Picture
from voicebot.training.predictions import Predictions, filled, score_rows
from voicebot.training.report import Progress, Table
from voicebot.training.speech_corpora import read_manifest

VOICE, WORDS, BOTH = "voice", "words", "both"
ORDERS: Final = 5
"""Orders in which a speaker's clips come, over which the baseline is averaged."""
_COLUMNS: Final = (
    "n", "auc", "low", "high", "ap", "recall_at_10", "called_angry", "ece_reference", "gain",
)  # fmt: skip
_NOTES: Final = (
    "A clip that one of the two says nothing of counts for it as the reference prior.",
    "'+ baseline' takes the clips of a speaker as one call in a random order "
    f"(mean over {ORDERS} orders) and subtracts what is known of the caller so far.",
    "Drawn pairs assume that voice and words are independent given the emotion, which real "
    "callers break: they show that the arithmetic is sound, and no more.",
)

Scores = list[EmotionScore | None]


def evaluate(
    data: Path,
    models: Path,
    *,
    left_out_models: Path | None = None,
    params: FusionParams | None = None,
    seed: int,
    cache: Path,
    workers: int,
    progress: Progress,
    draw: bool,
) -> PartReport:
    """Measure the fusion on real Korean pairs and on drawn English ones.

    Args:
        data: Has ``speech/``, ``noise/`` and ``text/``.
        models: Folder of models.
        left_out_models: Has the acoustic model trained without ``ko``; with it every emotional
            script is judged too, and not only those of the test split.
        params: Of the fusion; None takes the defaults.
        seed: Of all chance.
        cache: Where scores and recognised texts are kept.
        workers: Processes.
        progress: Told how far it is.
        draw: Whether to make pictures too.

    Raises:
        ModelError: data, a model or the Korean recogniser is missing, or nothing can be paired.
        OutputError: the cache cannot be written.
    """
    began = time.monotonic()
    sets = _pairs(data, models, left_out_models, seed, cache, workers, progress)
    if not sets:
        raise ModelError(
            f"{data}: no pairs of voice and words", "the test split has too few angry clips"
        )
    chosen = params or FusionParams()
    tables = {pairs.name: ablation(pairs, chosen, seed) for pairs in sets}
    shots = tuple(_picture(name, table) for name, table in tables.items()) if draw else ()
    return PartReport(
        "fusion", "Voice and words together", tuple(_sentence(n, t) for n, t in tables.items()),
        tuple(FigureTable(name, table, _COLUMNS) for name, table in tables.items()),
        shots, _NOTES, time.monotonic() - began,
    )  # fmt: skip


def ablation(pairs: Pairs, params: FusionParams, seed: int) -> Table:
    """Figures of voice, words, both, and both with one part of the fusion taken away.

    ``gain`` is what a fusion adds to the AUC of the better of voice and words alone.
    """
    voice = spoken(pairs.voice)
    ways: dict[str, Callable[[], list[Scores]]] = {
        VOICE: lambda: [voice],
        WORDS: lambda: [list(pairs.words)],
        BOTH: lambda: [_fused(pairs, voice, params)],
    }
    for name, changed in without(params).items():
        ways[name] = lambda changed=changed: [_fused(pairs, voice, changed)]  # type: ignore[misc]
    ways["voice + baseline"] = lambda: _in_calls(pairs, voice, seed)
    ways["both + baseline"] = lambda: _in_calls(pairs, _fused(pairs, voice, params), seed)
    rows = {
        name: mean_of([_row(pairs.voice, scores) for scores in way()]) for name, way in ways.items()
    }
    for row in rows.values():
        row["n"] = float(len(pairs.voice))
    better = max(rows[name].get("auc", np.nan) for name in (VOICE, WORDS))
    for name, row in rows.items():
        if name.startswith(BOTH) and "auc" in row:
            row["gain"] = row["auc"] - better
    return rows


def without(params: FusionParams) -> Mapping[str, FusionParams]:
    """The fusion with one part taken away each."""
    changes = {
        "both, no SNR weight": {"worst_snr_db": -10.0, "good_snr_db": -9.0},
        "both, no confidence": {"worst_confidence": 0.0, "good_confidence": 1e-6},
        "both, no agreement": {"agreement": 0.0},
        "both, independent": {"independence": 1.0},
    }
    return {
        name: FusionParams.model_validate({**params.model_dump(), **change})
        for name, change in changes.items()
    }


def spoken(voice: Predictions) -> Scores:
    """What the voice says of each clip; None where the model abstained."""
    return [
        EmotionScore(dict(zip(EMOTIONS, map(float, p), strict=True)), float(logit))
        if not reason
        else None
        for p, logit, reason in zip(voice.probabilities, voice.logit, voice.abstained, strict=True)
    ]


def _fused(pairs: Pairs, voice: Scores, params: FusionParams) -> Scores:
    joined = (
        fuse(
            voice[i], pairs.words[i], speech_seconds=float(pairs.voice.speech_seconds[i]),
            snr_db=float(pairs.voice.snr_db[i]), stt_confidence=pairs.confidence[i], params=params,
        )
        for i in range(len(voice))
    )  # fmt: skip
    return [one.score if one else None for one in joined]


def _in_calls(pairs: Pairs, scores: Scores, seed: int) -> list[Scores]:
    """Scores less the caller's baseline so far, the clips of a speaker in several orders."""
    out = []
    for number in range(ORDERS):
        rng = np.random.default_rng((seed, number))
        order = rng.permutation(len(scores))
        params, own_level = EvidenceParams(), BaselineParams()
        states: dict[str, EvidenceState] = {}
        moved: Scores = [None] * len(scores)
        for i in order:
            who = str(pairs.voice.speaker[i])
            state = states.get(who) or begin(params, own_level)
            if (score := scores[i]) is not None:
                offset = calm_level(state, own_level) - own_level.calm_logit
                moved[i] = replace(score, anger_logit=score.anger_logit - offset)
                until = state.t + float(pairs.voice.speech_seconds[i])
                seen = Observation(state.t, until, until - state.t, score.anger_logit)
                states[who] = step(state, seen, params, own_level)
        out.append(moved)
    return out


def _row(voice: Predictions, scores: Scores) -> Row:
    """Figures of scores that take the place of the voice's."""
    logit, probabilities = score_rows(scores)
    nothing = np.full(len(scores), "", dtype=voice.abstained.dtype)
    judged = filled(replace(voice, logit=logit, probabilities=probabilities, abstained=nothing))
    row = breakdown.ranking(judged)
    row.pop("abstained")
    calibration = breakdown.calibration(judged)
    joy = breakdown.happy_called_angry(judged, judged.emotion == HAPPY)
    return {**row, **calibration, **joy}


def _pairs(
    data: Path,
    models: Path,
    left_out_models: Path | None,
    seed: int,
    cache: Path,
    workers: int,
    progress: Progress,
) -> list[Pairs]:
    """Every set of pairs that the data and the models allow."""
    model = models / "acoustic"
    AcousticModel.load(model)  # a broken one is told before the work
    korean, english = _text(models, "ko"), _text(models, "en")
    every = read_manifest(data)
    test = tuple(c for c in every if c.split == "test")
    sets: list[tuple[str, Request]] = []
    lines: dict[str, Condition] = {"mu-law": CLEAN, "10 dB noise": TEST_NOISY}
    real = emotional_clips(test)
    sets += [(f"ko test, {name}", Request(model, real, line)) for name, line in lines.items()]
    if left_out_models is not None:
        known = emotional_clips(every)
        for name, line in lines.items():
            asked = left_out.requests(left_out_models, known, line)
            sets += [(f"ko left out of training, {name}", request) for request in asked]
    sets.append(("drawn, English words", Request(model, test, CLEAN)))
    voices = predict(
        data, [r for _, r in sets], seed=seed, cache=cache, workers=workers, progress=progress
    )
    out: list[Pairs] = []
    for (name, request), voice in zip(sets, voices, strict=True):
        if not any(breakdown.enough(filled(part)) for part in breakdown.corpora(voice)):
            continue
        if name.startswith("drawn"):
            out.append(drawn_pairs(name, data, voice, english, seed))
            continue
        if request.condition == CLEAN:
            out.append(read_pairs(f"{name}, script", request.clips, voice, korean))
        out.append(
            recognised_pairs(
                f"{name}, recognised", data, request.clips, voice, korean, request.condition,
                seed=seed, cache=cache, progress=progress,
            )
        )  # fmt: skip
    return out


def _text(models: Path, language: str) -> TextModel:
    model = TextModel.load(models, language)
    assert model is not None  # both are languages that have one
    return model


def _sentence(name: str, table: Table) -> str:
    voice, words, both = (table[way].get("auc", np.nan) for way in (VOICE, WORDS, BOTH))
    return (
        f"{name}: AUC of voice {voice:.3f}, words {words:.3f}, both {both:.3f} "
        f"({table[BOTH].get('gain', np.nan):+.3f})."
    )


def _picture(name: str, table: Table) -> Picture:
    png = pictures.dots_picture(
        {row: figures for row, figures in table.items() if "auc" in figures},
        {"low": "95 % from", "high": "95 % to", "auc": "AUC"}, name,
        "AUC, anger against the rest",
    )  # fmt: skip
    return Picture("-".join(name.replace(",", "").split()), f"What is gained: {name}.", png)
