"""Models trained without one corpus each: what to expect of a line that nobody knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from voicebot.emotion.acoustic import KIND, AcousticModel
from voicebot.emotion.onnx_model import load_model
from voicebot.errors import ModelError
from voicebot.training.acoustic_predictions import Request
from voicebot.training.augmentation import Condition
from voicebot.training.feature_cache import default_cache
from voicebot.training.speech_corpora import Clip

COMMAND: Final = "voicebot train acoustic"
"""Makes them on its way."""


def left_out_folder() -> Path:
    """Where training leaves them by default."""
    return default_cache().parent / "left-out"


def requests(folder: Path, clips: Sequence[Clip], condition: Condition) -> list[Request]:
    """All clips of each corpus, to be scored by the model that was trained without it.

    Args:
        folder: Has a model folder ``acoustic-<corpus>`` for each corpus.
        clips: All clips of the data folder, whatever their split.
        condition: How they are heard.

    Raises:
        ModelError: a model is missing, of another feature set, or was trained with the corpus.
    """
    out = []
    for corpus in sorted({c.corpus for c in clips}):
        model = folder / f"acoustic-{corpus}"
        mend = f"make them with {COMMAND}, or name their folder with --left-out-models"
        if not model.is_dir():
            raise ModelError(f"{model}: no model that was trained without {corpus}", mend)
        try:
            AcousticModel.load(model)
        except ModelError as err:
            raise ModelError(f"left-out model: {err.what}", mend) from err
        known = load_model(model, KIND).metadata.get("voicebot.corpora", "")
        if corpus in known.replace(",", " ").split():
            raise ModelError(f"{model}: was trained with {corpus}, and not without it", mend)
        mine = tuple(c for c in clips if c.corpus == corpus)
        out.append(Request(model, mine, condition))
    return out
