"""Opening an emotion model by its name, and seeing that it works before a caller needs it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import numpy as np

from voicebot.emotion.acoustic import KIND as ACOUSTIC_KIND
from voicebot.emotion.acoustic import AcousticModel, AcousticParams
from voicebot.emotion.text import KIND as TEXT_KIND
from voicebot.emotion.text import TextModel, TextParams
from voicebot.emotion.text_features import LANGUAGES
from voicebot.errors import ModelError
from voicebot.events import EmotionScore, Pcm

ACOUSTIC: Final = "acoustic"
"""Name, and kind, of the model that listens to the voice."""
SMALL: Final = "acoustic-small"
"""Name of the one that hears prosody alone."""
_TEXT_PREFIX: Final = "text-"
_RATE: Final = 8000
_SENTENCES: Final = {
    "en": "this is the third time that i have called about my bill",
    "zh": "这已经是我第三次打电话来问账单的事情了",
    "ko": "청구서 때문에 전화한 게 벌써 세 번째입니다",
}

EmotionModel = AcousticModel | TextModel


def open_model(
    name: str,
    folder: Path,
    acoustic: AcousticParams | None = None,
    text: TextParams | None = None,
) -> EmotionModel:
    """Load the model in a folder as the one that ``name`` says it is.

    Args:
        name: ``acoustic``, ``acoustic-...`` or ``text-`` and a language.
        folder: Of any name.
        acoustic: When the voice is not judged.
        text: When the words are not judged.

    Raises:
        ModelError: no model is called so, or the folder holds another one or a broken one.
    """
    language = name.removeprefix(_TEXT_PREFIX)
    if name.startswith(_TEXT_PREFIX) and language in LANGUAGES:
        return TextModel.open(folder, language, text)
    if listens(name):
        return AcousticModel.load(folder, acoustic)
    known = ", ".join([ACOUSTIC, SMALL, *(f"{_TEXT_PREFIX}{language}" for language in LANGUAGES)])
    raise ModelError(f"{name}: no emotion model is called so", f"there are: {known}")


def listens(name: str) -> bool:
    """Whether a model of this name listens to the voice: ``acoustic``, or ``acoustic-...``."""
    return name == ACOUSTIC or name.startswith(f"{ACOUSTIC}-")


def name_for(kind: str, language: str) -> str:
    """The name under which a trained model is installed.

    Args:
        kind: ``voicebot.kind`` of its metadata.
        language: ``voicebot.language`` of its metadata; empty for a voice.

    Raises:
        ModelError: a kind or language that voicebot has no use for.
    """
    if kind == ACOUSTIC_KIND:
        return ACOUSTIC
    if kind == TEXT_KIND and language in LANGUAGES:
        return f"{_TEXT_PREFIX}{language}"
    what = f"a text model for {language!r}" if kind == TEXT_KIND else f"a model of kind {kind!r}"
    raise ModelError(
        f"{what} is no emotion model that voicebot can use",
        f"kinds: {ACOUSTIC_KIND}, {TEXT_KIND} ({', '.join(LANGUAGES)})",
    )


def run_once(model: EmotionModel) -> EmotionScore | None:
    """Score a made-up utterance, so that the first caller does not wait for what is made lazily.

    Returns:
        The score, or None if the model's parameters make it abstain.

    Raises:
        ModelError: the model fails, or its score is not a number.
    """
    if isinstance(model, TextModel):
        score = model.score(_SENTENCES[model.language])
    else:
        score = model.score(_voice(), _RATE, 2.0).score
    if score and not all(map(math.isfinite, (score.anger_logit, *score.probabilities.values()))):
        raise ModelError("the model's scores are not numbers", "train it again")
    return score


def check(name: str, folder: Path) -> None:
    """Load a model and run it once.

    Raises:
        ModelError: as :func:`open_model`, or it cannot score.
    """
    try:
        score = run_once(open_model(name, folder))
    except ModelError as err:
        prefix = "" if str(folder) in err.what else f"{folder}: "
        raise ModelError(prefix + err.what, err.mend) from None
    if score is None:
        raise ModelError(f"{folder}: gives no score for plain speech", "train it again")


def _voice() -> Pcm:
    """Two seconds that pass for speech: a gliding buzz of about 150 Hz, four syllables a second."""
    t = np.arange(2 * _RATE) / _RATE
    phase = 2 * np.pi * np.cumsum(150 + 20 * np.sin(2 * np.pi * 0.7 * t)) / _RATE
    buzz = sum(np.cos(k * phase) / k for k in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * 4 * t), 0.0, None) ** 0.5
    hiss = np.random.default_rng(0).normal(0.0, 3.0, len(t))
    return np.asarray(2500 * buzz * syllables + hiss, dtype=np.int16)
