"""The card of a text model: licence, data, figures, limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from voicebot.emotion.calibration import REFERENCE_PRIOR, Calibration
from voicebot.training import pretrained
from voicebot.training.text_corpora import DISSATISFIED, Corpus, Example
from voicebot.training.text_network import RECIPES
from voicebot.training.text_rows import Row

_NETWORKS: Final = {
    True: f"a fine-tuned {pretrained.NAME} (Apache-2.0), in 8 bits",
    False: "small networks of convolutions over characters",
}
_NAMES: Final = {"en": "English", "zh": "Chinese", "ko": "Korean"}


@dataclass(frozen=True, slots=True)
class CardParts:
    """What was measured."""

    rows: Sequence[Row]
    """on the test splits, through the ONNX file"""
    unseen: Sequence[Row]
    """on corpora of customer service that were left out of a training of its own"""
    compared: Mapping[str, Sequence[Row]]
    """kinds of models on the dev splits, by name"""
    calibration: Calibration
    seed: int


def text_card(
    language: str,
    corpora: Sequence[Corpus],
    examples: Mapping[str, Sequence[Example]],
    parts: CardParts,
) -> str:
    """The card, in Markdown.

    Args:
        language: ISO 639-1.
        corpora: Those of the language; what has no weight only served to test.
        examples: All examples of each corpus.
        parts: What was measured.
    """
    trained = [c for c in corpora if c.weight > 0]
    recipe = RECIPES[language]
    data = []
    for corpus in corpora:
        split = Counter(e.split for e in examples[corpus.name])
        passes = sum(stage.passes.get(corpus.name, 0.0) for stage in recipe.stages)
        learnt = f"{corpus.weight:g} | {passes:g}" if corpus.weight else "not trained on |"
        data.append(
            f"| {corpus.name} | {split['train']} | {split['dev']} | {split['test']} "
            f"| {learnt} | {corpus.anger} | {corpus.licence} |"
        )
    figures = [
        f"| {r.corpus}{' (never seen)' if r in parts.unseen else ''} | {r.n} | {r.prevalence:.3f} "
        f"| {r.auc:.3f} | {r.ap:.3f} | {r.f1:.3f} | {r.ece:.3f} |"
        for r in (*parts.rows, *parts.unseen)
    ]
    compared = [
        f"| {name} | {r.corpus} | {r.auc:.3f} | {r.ap:.3f} | {r.ece:.3f} |"
        for name, rows in parts.compared.items()
        for r in rows
    ]
    return "\n".join(
        [
            _licence(trained),
            f"# Text emotion model, {_NAMES[language]}",
            "",
            "Hashed n-grams of words and characters into two linear models (how angry; which other",
            f"emotion), and beside them {_NETWORKS[recipe.published]}; the logits are added.",
            "Reads what a recogniser writes: no punctuation, no capitals.",
            "",
            "## Data",
            "",
            "| corpus | train | dev | test | weight | passes | counts as angry | licence |",
            "|---|---|---|---|---|---|---|---|",
            *data,
            "",
            f"Where only \"negative\" is known, a text counts as angry by {DISSATISFIED:g}.",
            "Added to training by rules of grammar: denials of angry predicates "
            "(English, Chinese),",
            "the polite or plain form of each sentence (Korean), calm sentences of a service line "
            "put together",
            "from parts: numbers, spellings, corrections (English). Half of what the network reads "
            "has lost or",
            f"mistaken words, drawn anew each time. Seed {parts.seed}.",
            "",
            "## Figures (test splits, angry against the rest, through the ONNX file)",
            "",
            "| corpus | n | angry | AUC | AP | F1 | ECE |",
            "|---|---|---|---|---|---|---|",
            *figures,
            "",
            f"F1 is the best over all thresholds; ECE is at a prior of {REFERENCE_PRIOR:g}. *Never "
            "seen*: the same way\nof training without that corpus, before the last stage.",
            "",
            "### Kinds of models, on the dev splits as a bad recogniser hears them",
            "",
            "| model | corpus | AUC | AP | ECE |",
            "|---|---|---|---|---|",
            *compared,
            "",
            "## Calibration",
            "",
            f"Fitted on {parts.calibration.data}.",
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
