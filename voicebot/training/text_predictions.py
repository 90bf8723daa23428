"""What a text model says of labelled texts, as written or misheard; kept like clips' scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from voicebot.emotion.calibration import ANGER
from voicebot.emotion.text import TextModel, TextParams, folder_name
from voicebot.emotion.text_features import normalise
from voicebot.errors import ModelError
from voicebot.events import EMOTIONS
from voicebot.training.predictions import UNTOLD, Predictions, score_rows
from voicebot.training.report import Progress
from voicebot.training.score_cache import (
    Floats,
    Row,
    Strings,
    digest_of,
    model_files,
    rows_of,
)
from voicebot.training.text_augmentation import mishear
from voicebot.training.text_corpora import OTHERS, Example

OPEN: Final = TextParams(min_letters=0, min_characters=0)
"""Never abstains."""
TOO_FEW: Final = "too_few_words"
_COLUMNS: Final = len(EMOTIONS) + 1
_CODE: Final = ("voicebot.emotion.text",)


@dataclass(frozen=True, slots=True)
class Said:
    """A labelled text as it comes to the model."""

    text: str
    corpus: str
    speaker: str
    """whoever's texts are not independent of one another"""
    emotion: int
    """index into ``EMOTIONS``, or ``UNTOLD``"""


@dataclass(frozen=True, slots=True)
class TextRequest:
    """Texts to be scored by the model of their language."""

    models: Path
    """folder of models"""
    language: str
    """ISO 639-1"""
    said: tuple[Said, ...]


@dataclass(frozen=True, slots=True)
class _Job:
    models: Path
    language: str
    text: str


def predict_texts(
    requests: Sequence[TextRequest], *, cache: Path, workers: int, progress: Progress
) -> list[Predictions]:
    """Score texts, or take what was kept of an earlier run.

    What the model would abstain from on a call is scored all the same, and marked.

    Args:
        requests: What to score.
        cache: Folder to keep the scores in, created if missing.
        workers: Processes; 1 works in this one.
        progress: Told how far it is.

    Raises:
        ModelError: a model is missing or broken.
        OutputError: the scores cannot be kept.
    """
    for request in requests:
        load(request.models, request.language)
    batches = [
        (
            cache / f"text-{_digest(r)}.npz",
            [_Job(r.models, r.language, said.text) for said in r.said],
        )
        for r in requests
    ]
    found = rows_of(_score, batches, _COLUMNS, workers=workers, what="reading", progress=progress)
    return [_predictions(r, *rows) for r, rows in zip(requests, found, strict=True)]


def _predictions(request: TextRequest, numbers: Floats, abstained: Strings) -> Predictions:
    unknown = np.full(len(numbers), np.nan)
    return Predictions(
        file=np.array([str(i) for i in range(len(numbers))], dtype=np.str_),
        corpus=np.array([s.corpus for s in request.said], dtype=np.str_),
        language=np.full(len(numbers), request.language, dtype="<U8"),
        speaker=np.array([s.speaker for s in request.said], dtype=np.str_),
        gender=np.full(len(numbers), "", dtype="<U8"),
        emotion=np.array([s.emotion for s in request.said], dtype=np.int64),
        logit=numbers[:, 0],
        probabilities=numbers[:, 1:],
        speech_seconds=unknown,
        snr_db=unknown,
        abstained=abstained,
    )


def load(models: Path, language: str) -> TextModel:
    """The text model of a language.

    Raises:
        ModelError: it is missing or broken.
    """
    model = TextModel.load(models, language, OPEN)
    if model is None:
        raise ModelError(f"there is no text model for the language {language!r}", "use en, zh, ko")
    return model


def written(examples: Sequence[Example], split: str) -> tuple[Said, ...]:
    """The texts of a split whose anger is known, each as a speaker of its own."""
    return tuple(
        Said(e.text, e.corpus, f"{e.corpus} {number}", emotion_of(e))
        for number, e in enumerate(examples)
        if e.split == split and e.anger is not None
    )


def misheard(said: Sequence[Said], language: str, seed: int) -> tuple[Said, ...]:
    """The same texts with words lost and mistaken as by a recogniser."""
    texts = mishear([normalise(s.text, language) for s in said], language, seed)
    return tuple(
        Said(text, s.corpus, s.speaker, s.emotion) for text, s in zip(texts, said, strict=True)
    )


def emotion_of(example: Example) -> int:
    """Index into ``EMOTIONS``: anger if that is the likelier answer, else the plain favourite."""
    if example.anger:
        return ANGER
    if example.others is None or float(np.max(example.others)) <= 0.5:
        return UNTOLD
    return EMOTIONS.index(OTHERS[int(np.argmax(example.others))])


def _score(job: _Job) -> Row:
    strict, lax = _models(job.models, job.language)
    score = lax.score(job.text)
    logit, probabilities = score_rows([score])
    reason = "" if strict.score(job.text) is not None else TOO_FEW
    return np.concatenate([logit, probabilities[0]]), reason


@lru_cache(maxsize=4)
def _models(folder: Path, language: str) -> tuple[TextModel, TextModel]:
    strict = TextModel.load(folder, language)
    assert strict is not None
    return strict, load(folder, language)


def _digest(request: TextRequest) -> str:
    return digest_of(
        model_files(request.models / folder_name(request.language)), _CODE,
        [s.text for s in request.said], request.language,
    )  # fmt: skip
