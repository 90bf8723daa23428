"""The card of a model: licence, data, figures, limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from voicebot.emotion.calibration import REFERENCE_PRIOR, Calibration
from voicebot.emotion.features import FEATURE_SET, FEATURES
from voicebot.emotion.logmel import LOG_MEL
from voicebot.events import EMOTIONS
from voicebot.training.augmentation import Condition
from voicebot.training.licences import KNOWN, licences_of
from voicebot.training.report import Table
from voicebot.training.speech_corpora import Clip
from voicebot.training.speech_encoder import EMBEDDING, LAYERS

_COLUMNS: Final = ("auc", "ap", "recall_at_10", "brier", "ece", "n")


def acoustic_card(
    clips: Sequence[Clip],
    figures: Table,
    calibration: Calibration,
    seed: int,
    conditions: Sequence[Condition],
    *,
    encoder: bool,
) -> str:
    """The acoustic model's card, in Markdown.

    Args:
        clips: All clips of the manifest.
        figures: From :func:`voicebot.training.acoustic.figures_by_corpus`.
        calibration: As fitted.
        seed: Of the training run.
        conditions: How each clip was heard.
        encoder: Whether the model has a speech encoder, or goes by prosody alone.

    Raises:
        ModelError: the licences that the data folder states cannot be read.
    """
    licences = licences_of(clips)
    if any(licence == KNOWN.get(name) for name, licence in licences.items()):
        licence = (
            "**Licence of these weights: CC BY-NC-SA 4.0, and research only.** They were trained "
            "on corpora\nthat forbid commercial use (below); the strictest licence governs. The "
            "code is Apache-2.0."
        )
    else:
        licence = (
            "**Licence of these weights: that of the speech they were trained on**, which whoever "
            "trained them must know.\nThe code is Apache-2.0."
        )
    parts = [
        licence,
        "For weights of your own, retrain on your own calls with one command:",
        f"`voicebot train acoustic{'' if encoder else ' --small'} --data YOUR_FOLDER`",
        "# Acoustic emotion model" + ("" if encoder else ", small"),
        f"0.6-8 s of telephone speech as prosodic features ({FEATURE_SET}: {len(FEATURES)} "
        "values, our own numpy)"
        + (
            f"\nand as a log-mel spectrogram ({LOG_MEL}), of which the lowest {max(LAYERS)} "
            "layers of the encoder of Whisper base\n(A. Radford et al., 2022; MIT; unchanged but "
            f"for 8-bit weights) make {EMBEDDING} values; all"
            if encoder
            else ""
        )
        + "\ninto a logistic regression and a few small neural networks, averaged on the "
        "log-odds of anger.\n"
        f"Outputs: probabilities of {', '.join(EMOTIONS)}, and the anger logit.",
        "## Data",
        "\n".join(_data_table(clips, licences)),
        "Splits are speaker-independent. The weights are fitted on train and dev. Each clip is "
        f"heard in {len(conditions)} ways:\nclean, over lines with noise, rooms, lost packets, "
        "mobile codecs, other levels, tempi and pitches, cut\nshort, and joined to a longer "
        f"stretch; each time through G.711. Seed {seed}.",
        "## Figures",
        "Anger against the rest. *Test*: unseen speakers of the corpora that the model was "
        "trained on.\n*Unseen*: the corpus left out of training (only the two numbers of the "
        "calibration saw\nit too); expect this of a new line. Telephone band, mu-law, no noise; "
        "Brier score and calibration error at "
        f"each corpus's own share of anger; a call's scores are at {REFERENCE_PRIOR:g}.",
        "\n".join(_figure_table(figures)),
        "`voicebot evaluate acoustic` prints these and more: by speaker, sex, noise and line.",
        "## Calibration",
        f"Platt: slope {calibration.anger.slope:.3f}, intercept {calibration.anger.intercept:.3f} "
        f"at a prior of {calibration.anger.prior:.3f}, n = {calibration.anger.n};\n"
        f"temperature of the other emotions {calibration.temperature:.2f}. "
        f"Fitted on {calibration.data}.",
        "## Limits",
        "- Most of the speech is acted, and acted anger is louder than a tired customer's.\n"
        "- Loud joy and surprise resemble anger in the voice; the words must veto "
        "(see `voicebot.emotion.fusion`).\n"
        "- One short word says little: see the corpus of one-word clips above.\n"
        "- Children and pathological voices were not in the data. Sex and age were not balanced "
        "beyond what the\n  corpora did.\n"
        "- Meant for helping callers who lose patience. Not meant for judging employees, for "
        "hiring, for lie detection\n  or for any decision about a person.",
    ]
    return "\n\n".join(parts) + "\n"


def _data_table(clips: Sequence[Clip], licences: Mapping[str, str]) -> list[str]:
    lines = [
        "| corpus | language | speakers | train | dev | test | licence |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, licence in licences.items():
        mine = [c for c in clips if c.corpus == name]
        split = Counter(c.split for c in mine)
        language = "/".join(sorted({c.language for c in mine}))
        lines.append(
            f"| {name} | {language} | {len({c.speaker for c in mine})} | {split['train']} "
            f"| {split['dev']} | {split['test']} | {licence} |"
        )
    return lines


def _figure_table(figures: Table) -> list[str]:
    heads = {"recall_at_10": "recall at 10 % FPR", "ece": "ECE", "auc": "AUC", "ap": "AP"}
    lines = [
        "| corpus | " + " | ".join(heads.get(c, c) for c in _COLUMNS) + " |",
        "|---" * (len(_COLUMNS) + 1) + "|",
    ]
    for name, row in figures.items():
        lines.append(f"| {name} | " + " | ".join(_cell(row.get(c)) for c in _COLUMNS) + " |")
    return lines


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value == np.floor(value) and value > 1 else f"{value:.3f}"
