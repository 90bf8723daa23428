"""Emotion models on disk: found, checked and run.

A model is a folder with ``model.onnx``, ``calibration.json`` and ``card.md``.
The ONNX file says in its metadata what it is (``voicebot.kind``), of which
``voicebot.format``, for which feature set (``voicebot.features``) and which
classes; a file that is anything else is refused when it is loaded, not when
the first caller is heard.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from voicebot.emotion.calibration import FILE as CALIBRATION_FILE
from voicebot.emotion.calibration import Calibration, read_calibration
from voicebot.errors import ModelError
from voicebot.events import EMOTIONS
from voicebot.onnx_session import first_line, open_session

FORMAT: Final = "1"
"""Version of the metadata and of the two outputs; raised when they change."""
MODEL_FILE: Final = "model.onnx"
CARD_FILE: Final = "card.md"
ENVIRONMENT: Final = "VOICEBOT_EMOTION_MODELS"
"""Environment variable that names another folder of models."""
OUTPUTS: Final = ("probabilities", "anger_logit")

Shape = tuple[int | None, ...]
"""Shape of an input; None where any length goes."""


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """What a model says of a batch, not yet calibrated."""

    probabilities: npt.NDArray[np.float32]
    """shape ``(batch, 7)``, in the order of ``EMOTIONS``"""
    anger_logit: npt.NDArray[np.float32]
    """nats, shape ``(batch,)``"""


@dataclass(frozen=True, slots=True)
class OnnxModel:
    """A checked model with its session; safe to share between threads."""

    folder: Path
    kind: str
    features: str
    """name and version of the feature set it wants"""
    calibration: Calibration
    metadata: Mapping[str, str]
    session: Any
    """``onnxruntime.InferenceSession``"""

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> ModelOutput:
        """Run the model.

        Args:
            feeds: Input name to array.

        Raises:
            ModelError: the runtime refuses the arrays.
        """
        try:
            probabilities, logit = self.session.run(list(OUTPUTS), dict(feeds))
        except Exception as err:  # onnxruntime's exceptions share no public base class
            raise ModelError(f"{self.folder}: {first_line(err)}", "report this as a fault") from err
        return ModelOutput(probabilities, logit)


def models_dir() -> Path:
    """The folder that holds the emotion models.

    That is ``$VOICEBOT_EMOTION_MODELS`` if set, else ``voicebot/assets/models`` of an installed
    wheel, else ``models/`` of a checkout.

    Raises:
        ModelError: the variable names something that is not a folder, or there are no models.
    """
    if named := os.environ.get(ENVIRONMENT):
        folder = Path(named).expanduser()
        if not folder.is_dir():
            raise ModelError(
                f"{ENVIRONMENT}={named}: no such folder", "correct the variable or unset it"
            )
        return folder
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "assets" / "models", package.parent / "models"):
        if folder.is_dir():
            return folder
    raise ModelError(
        f"no emotion models beside {package}",
        f"reinstall voicebot, or train some and set {ENVIRONMENT} to their folder",
    )


def read_metadata(folder: Path) -> Mapping[str, str]:
    """What a model says of itself, without a check of anything else.

    Args:
        folder: Holds ``model.onnx``.

    Returns:
        Key, such as ``voicebot.kind``, to value.

    Raises:
        ModelError: there is no such folder or file, or it is no ONNX file.
    """
    mend = "name the folder that voicebot train wrote"
    if not (folder / MODEL_FILE).is_file():
        what = f"{MODEL_FILE} is missing" if folder.is_dir() else "no such folder"
        raise ModelError(f"{folder}: {what}", mend)
    session = open_session(folder / MODEL_FILE, mend)
    return dict(session.get_modelmeta().custom_metadata_map)


def load_model(
    folder: Path,
    kind: str,
    *,
    inputs: Mapping[str, Mapping[str, Shape]] | None = None,
) -> OnnxModel:
    """Load a model folder and check that it is what the caller needs.

    Args:
        folder: Holds ``model.onnx``, ``calibration.json`` and ``card.md``.
        kind: Expected ``voicebot.kind``, for instance ``acoustic`` or ``text``.
        inputs: For each feature set that will do, its inputs: name to shape.  None takes any (see
            :attr:`OnnxModel.features`).

    Raises:
        ModelError: a file is missing or broken, or the model is another one.
    """
    mend = f"restore the folder, or run voicebot train {kind} --out {folder}"
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such {kind} model", mend)
    for name in (MODEL_FILE, CALIBRATION_FILE, CARD_FILE):
        if not (folder / name).is_file():
            raise ModelError(f"{folder}: {name} is missing", mend)
    calibration = read_calibration(folder)
    try:
        blob = (folder / MODEL_FILE).read_bytes()
    except OSError as err:
        raise ModelError(f"{folder / MODEL_FILE}: {err.strerror or err}", mend) from err
    session = open_session(folder / MODEL_FILE, mend, blob)
    metadata = dict(session.get_modelmeta().custom_metadata_map)
    made_for = metadata.get("voicebot.format", "")
    if made_for.isdecimal() and int(made_for) > int(FORMAT):
        raise ModelError(
            f"{folder}: of format {made_for}, made for a later voicebot (this one reads {FORMAT})",
            "update voicebot, or use a model of this version",
        )
    expected = {"kind": [kind], "format": [FORMAT], "classes": [",".join(EMOTIONS)]}
    if inputs is not None:
        expected["features"] = list(inputs)
    for name, wanted in expected.items():
        found = metadata.get(f"voicebot.{name}")
        if found not in wanted:
            raise ModelError(
                f"{folder}: expected a model with {name} {' or '.join(map(repr, wanted))}, "
                f"found {found!r}",
                mend,
            )
    features = metadata.get("voicebot.features", "")
    _check_ends(folder, session, inputs[features] if inputs is not None else None, mend)
    if calibration.model_sha256 not in ("", hashlib.sha256(blob).hexdigest()):
        raise ModelError(
            f"{folder}: {CALIBRATION_FILE} was made for another {MODEL_FILE} (checksum differs)",
            mend,
        )
    return OnnxModel(folder, kind, features, calibration, metadata, session)


def _check_ends(folder: Path, session: Any, inputs: Mapping[str, Shape] | None, mend: str) -> None:
    """Compare the graph's inputs and outputs with what is expected."""
    outputs = [o.name for o in session.get_outputs()]
    if missing := [name for name in OUTPUTS if name not in outputs]:
        raise ModelError(f"{folder}: no output {missing[0]!r}, found {outputs}", mend)
    if inputs is None:
        return
    found = {
        i.name: tuple(d if isinstance(d, int) else None for d in i.shape)
        for i in session.get_inputs()
    }
    if found != dict(inputs):
        raise ModelError(f"{folder}: expected inputs {dict(inputs)}, found {found}", mend)
