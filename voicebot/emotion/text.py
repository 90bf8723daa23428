"""The model that reads the words: the text of an utterance in, a calibrated score out.

One model a language: a linear model over hashed n-grams
(:mod:`voicebot.emotion.text_features`), and beside it, in the same graph, a small network over
tokens (:mod:`voicebot.emotion.vocabulary`).  A model without the network is run as well.
It abstains from an utterance that has no words of its own: "um, yeah" is not calm, it
says nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from voicebot.emotion.onnx_model import OnnxModel, load_model
from voicebot.emotion.text_features import (
    FEATURE_SET,
    LANGUAGES,
    SPECS,
    content_length,
    features,
    normalise,
)
from voicebot.emotion.vocabulary import load_vocabulary
from voicebot.errors import ModelError
from voicebot.events import EmotionScore
from voicebot.params import Params, key

KIND: Final = "text"
IDS: Final = "ids"
WEIGHTS: Final = "weights"
TOKENS: Final = "tokens"
NETWORK_FEATURES: Final = f"{FEATURE_SET}+tokens-1"
"""Name and version of what a model with a network wants to be fed."""
_INPUTS: Final = {FEATURE_SET: {IDS, WEIGHTS}, NETWORK_FEATURES: {IDS, WEIGHTS, TOKENS}}


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
        ModelError: the model is for another language, or its vocabulary is missing or another.
    """

    def __init__(self, model: OnnxModel, language: str, params: TextParams | None = None) -> None:
        found = model.metadata.get("voicebot.language")
        if found != language:
            raise ModelError(
                f"{model.folder}: a text model for {found!r}, expected {language!r}",
                _mend(model.folder),
            )
        self.model = model
        self.language = language
        self._vocabulary = (
            load_vocabulary(model.folder, model.metadata, _mend(model.folder))
            if model.features == NETWORK_FEATURES
            else None
        )
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
        model = load_model(folder, KIND)
        if model.features not in _INPUTS:
            raise ModelError(
                f"{folder}: a model for features {model.features!r}, this version knows "
                f"{' and '.join(map(repr, _INPUTS))}",
                _mend(folder),
            )
        found = {i.name for i in model.session.get_inputs()}
        if found != _INPUTS[model.features]:
            raise ModelError(
                f"{folder}: expected the inputs {sorted(_INPUTS[model.features])}, "
                f"found {sorted(found)}",
                _mend(folder),
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
        feeds: dict[str, npt.NDArray[Any]] = {IDS: ids, WEIGHTS: weights}
        if self._vocabulary is not None:
            feeds[TOKENS] = self._vocabulary.ids(normalised)
        output = self.model.run(feeds)
        return self.model.calibration.score(
            np.asarray(output.probabilities)[0], float(output.anger_logit[0]), self.language
        )


def folder_name(language: str) -> str:
    """Name of the model folder of a language, for instance ``text-en``."""
    return f"text-{language}"


def _mend(folder: Path) -> str:
    return f"restore the folder, or run voicebot train text --out {folder.parent}"
