"""The card of a text model: licence, data, figures, limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from voicebot.emotion.calibration import REFERENCE_PRIOR, Calibration
from voicebot.training.text_corpora import DISSATISFIED, Corpus, Example

if TYPE_CHECKING:
    from voicebot.training.text import Row

_NAMES: Final = {"en": "English", "zh": "Chinese", "ko": "Korean"}


def text_card(
    language: str,
    corpora: Sequence[Corpus],
    examples: Mapping[str, Sequence[Example]],
    rows: Sequence[Row],
    calibration: Calibration,
) -> str:
    """The card, in Markdown.

    Args:
        language: ISO 639-1.
        corpora: What it was trained on.
        examples: All examples of each corpus.
        rows: On the test splits.
        calibration: As fitted.
    """
    data = []
    for corpus in corpora:
        split = Counter(e.split for e in examples[corpus.name])
        data.append(
            f"| {corpus.name} | {split['train']} | {split['dev']} | {split['test']} "
            f"| {corpus.weight:g} | {corpus.anger} | {corpus.licence} |"
        )
    figures = [
        f"| {r.corpus} | {r.n} | {r.prevalence:.3f} | {r.auc:.3f} | {r.ap:.3f} | {r.f1:.3f} "
        f"| {r.ece:.3f} |"
        for r in rows
    ]
    return "\n".join(
        [
            _licence(corpora),
            f"# Text emotion model, {_NAMES[language]}",
            "",
            "Hashed n-grams of words and characters into two linear models (how angry; which other",
            "emotion). Reads what a recogniser writes: no punctuation, no capitals.",
            "",
            "## Data",
            "",
            "| corpus | train | dev | test | weight | counts as angry | licence |",
            "|---|---|---|---|---|---|---|",
            *data,
            "",
            f"Where only \"negative\" is known, a text counts as angry by {DISSATISFIED:g}.",
            "Added to training by rules of grammar: denials of angry predicates "
            "(English, Chinese),",
            "the polite or plain form of each sentence (Korean).",
            "",
            "## Figures (test splits, angry against the rest, through the ONNX file)",
            "",
            "| corpus | n | angry | AUC | AP | F1 | ECE |",
            "|---|---|---|---|---|---|---|",
            *figures,
            "",
            f"F1 is the best over all thresholds; ECE is at a prior of {REFERENCE_PRIOR:g}.",
            "",
            "## Calibration",
            "",
            f"Fitted on {calibration.data}.",
            f"All logits are at a prior of anger of {REFERENCE_PRIOR:g}.",
            "",
            "## Limits",
            "",
            "The corpora are posts, drama and reviews, not telephone calls. Sarcasm is read "
            "literally,\nand a denial (\"I am not angry\") may still score above a plain request. "
            "One sentence is weak\nevidence; voicebot acts only on anger that persists, and asks "
            "the voice as well.",
            "",
            "## Intended use",
            "",
            "For helping callers who lose patience, fused with the voice and over several "
            "utterances. Not for\njudging employees, for hiring, for lie detection or for any "
            "decision about a person.",
            "",
        ]
    )  # fmt: skip


def _licence(corpora: Sequence[Corpus]) -> str:
    """First lines: what governs the weights, and how to be rid of it."""
    licences = sorted({c.licence for c in corpora})
    named = "; ".join(
        f"{licence}: {', '.join(c.name for c in corpora if c.licence == licence)}"
        for licence in licences
    )
    if any("NC" in licence for licence in licences):
        verdict = "**Licence of these weights: non-commercial use only**, and share alike."
    elif "none stated" in licences:
        verdict = "**Licence of these weights: research use only** (some corpora state none)."
    else:
        verdict = "**Licence of these weights: that of the corpora.**"
    if any("GPL" in licence for licence in licences):
        verdict += " One corpus is under the GPL, version 3."
    return (
        f"{verdict}\nCorpora: {named}.\nThe code is Apache-2.0. On texts of your own, in the same "
        "files, retrain with:\n`voicebot train text --data YOUR_FOLDER --out models`\n"
    )
