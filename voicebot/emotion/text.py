"""The model that reads the words: the text of an utterance in, a calibrated score out.

One linear model a language over hashed n-grams (:mod:`voicebot.emotion.text_features`).
It abstains from an utterance that has no words of its own: "um, yeah" is not calm, it
says nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from voicebot.emotion.onnx_model import OnnxModel, load_model
from voicebot.emotion.text_features import (
    FEATURE_SET,
    LANGUAGES,
    SPECS,
    content_length,
    features,
    normalise,
)
from voicebot.errors import ModelError
from voicebot.events import EmotionScore
from voicebot.params import Params, key

KIND: Final = "text"
IDS: Final = "ids"
WEIGHTS: Final = "weights"


class TextParams(Params):
    """When an utterance can be judged by its words at all."""

    min_letters: int = key(
        5, "An utterance with fewer letters or syllables is not scored; fillers such as \"um\" "
        "and \"yes\" do not count.  English, and Latin script in general.", ge=0, le=100,
    )  # fmt: skip
    min_characters: int = key(
        3, "The same for Chinese characters and Korean syllables, which say more each.",
        ge=0, le=100,
    )  # fmt: skip


class TextModel:
    """A loaded text model of one language; holds no state and may be shared between threads.

    Args:
        model: Loaded by :func:`voicebot.emotion.onnx_model.load_model`.
        language: ISO 639-1, one of :data:`voicebot.emotion.text_features.LANGUAGES`.
        params: When to abstain.

    Raises:
        ModelError: the model is for another language.
    """

    def __init__(self, model: OnnxModel, language: str, params: TextParams | None = None) -> None:
        found = model.metadata.get("voicebot.language")
        if found != language:
            raise ModelError(
                f"{model.folder}: a text model for {found!r}, expected {language!r}",
                f"restore the folder, or run voicebot train text --out {model.folder.parent}",
            )
        self.model = model
        self.language = language
        params = params or TextParams()
        self._min_content = params.min_letters if SPECS[language].latin else params.min_characters

    @classmethod
    def load(
        cls, models_dir: Path, language: str, params: TextParams | None = None
    ) -> TextModel | None:
        """Load the text model of a language.

        Args:
            models_dir: See :func:`voicebot.emotion.onnx_model.models_dir`.
            language: ISO 639-1.
            params: When to abstain.

        Returns:
            None for a language that has no text model.

        Raises:
            ModelError: the language has one, but it is missing, broken or of another format.
        """
        if language not in LANGUAGES:
            return None
        return cls.open(models_dir / folder_name(language), language, params)

    @classmethod
    def open(cls, folder: Path, language: str, params: TextParams | None = None) -> TextModel:
        """Load the text model in a folder of any name; arguments and errors as :meth:`load`."""
        model = load_model(
            folder, KIND, features=FEATURE_SET, inputs={IDS: (None,), WEIGHTS: (None,)}
        )
        return cls(model, language, params)

    def score(self, text: str) -> EmotionScore | None:
        """Score an utterance.

        Args:
            text: What the recogniser wrote; any case, spacing and punctuation.

        Returns:
            None if there are too few words to judge by.

        Raises:
            ModelError: the runtime refuses the model's own input.
        """
        normalised = normalise(text, self.language)
        if content_length(normalised, self.language) < self._min_content:
            return None
        ids, weights = features(normalised, self.language)
        output = self.model.run({IDS: ids, WEIGHTS: weights})
        return self.model.calibration.score(
            np.asarray(output.probabilities)[0], float(output.anger_logit[0]), self.language
        )


def folder_name(language: str) -> str:
    """Name of the model folder of a language, for instance ``text-en``."""
    return f"text-{language}"
