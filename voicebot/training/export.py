"""Writing models: ONNX graphs with their metadata, calibration and card.

Every model has the two outputs of :data:`voicebot.emotion.onnx_model.OUTPUTS`:
``probabilities`` ``[batch, 7]`` and ``anger_logit`` ``[batch]`` (nats, raw).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from voicebot.emotion.calibration import ANGER, Calibration, write_calibration
from voicebot.emotion.onnx_model import CARD_FILE, FORMAT, MODEL_FILE, OUTPUTS
from voicebot.errors import ModelError, OutputError
from voicebot.events import EMOTIONS

Weights = npt.NDArray[np.float32]

OPSET = 17
IR_VERSION = 8  # read by every onnxruntime that pyproject.toml allows


@dataclass(frozen=True, slots=True)
class Dense:
    """One layer: ``activation(x @ weight + bias)``.

    Args:
        weight: Shape ``(inputs, outputs)``.
        bias: Shape ``(outputs,)``.
        activation: Name of a unary ONNX operator (``Relu``, ``Tanh``), or empty.
    """

    weight: Weights
    bias: Weights
    activation: str = ""


def need_train_extra() -> tuple[Any, Any]:
    """The ``onnx`` and ``sklearn`` packages.

    Raises:
        ModelError: they are not installed.
    """
    try:
        import onnx
        import sklearn
    except ImportError as err:
        raise ModelError(
            f"training needs the Python package {err.name}", "pip install 'voicebot[train]'"
        ) from None
    return onnx, sklearn


class Graph:
    """Collects the nodes and constants of an ONNX graph, naming values as it goes."""

    def __init__(self) -> None:
        self._onnx, _ = need_train_extra()
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: npt.NDArray[Any]) -> str:
        """Add a constant and return its name."""
        name = f"c{len(self.constants)}"
        self.constants.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node with one output and return the output's name."""
        name = output or f"v{len(self.nodes)}"
        self.nodes.append(self._onnx.helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def absorb(self, model: Any) -> str:
        """Take in the nodes and constants of another graph, and return the name of its output.

        Args:
            model: ``onnx.ModelProto``.  Its inputs become inputs of this graph, under their own
                names; it has one output.
        """
        outside = {value.name for value in model.graph.input}

        def renamed(name: str) -> str:
            return name if not name or name in outside else f"absorbed_{name}"

        for node in model.graph.node:
            copy = self._onnx.NodeProto()
            copy.CopyFrom(node)
            copy.name = renamed(node.name)
            copy.input[:] = [renamed(name) for name in node.input]
            copy.output[:] = [renamed(name) for name in node.output]
            self.nodes.append(copy)
        for constant in model.graph.initializer:
            copy = self._onnx.TensorProto()
            copy.CopyFrom(constant)
            copy.name = renamed(constant.name)
            self.constants.append(copy)
        return renamed(model.graph.output[0].name)

    def dense(self, value: str, layers: Sequence[Dense]) -> str:
        """Chain layers behind ``value`` and return the last output's name."""
        for layer in layers:
            value = self.node(
                "Gemm",
                value,
                self.constant(layer.weight.astype(np.float32)),
                self.constant(layer.bias.astype(np.float32)),
            )
            if layer.activation:
                value = self.node(layer.activation, value)
        return value

    def mean(self, values: Sequence[str]) -> str:
        """Average values of one shape and return the output's name."""
        return values[0] if len(values) == 1 else self.node("Mean", *values)

    def finish(
        self,
        class_logits: str,
        *,
        kind: str,
        features: str,
        inputs: Mapping[str, tuple[str, Sequence[int | str]]],
        anger_logit: str | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> Any:
        """Add both outputs, metadata and a check.

        Args:
            class_logits: Name of a value ``[batch, 7]``; its softmax are the probabilities.
            kind: ``voicebot.kind``.
            features: ``voicebot.features``, name and version of the feature set.
            inputs: Name to element type (``float32``, ``int64``, ...) and shape, where a string
                names a dimension of any length.
            anger_logit: Name of a value ``[batch, 1]``; None derives it from ``class_logits``
                as the log-odds of anger against the six others.
            extra: More metadata.

        Returns:
            ``onnx.ModelProto``.
        """
        helper, types = self._onnx.helper, self._onnx.TensorProto
        self.node("Softmax", class_logits, output=OUTPUTS[0], axis=1)
        if anger_logit is None:
            one = self.node("Gather", class_logits, self.constant(np.array([ANGER])), axis=1)
            rest = np.delete(np.arange(len(EMOTIONS)), ANGER)
            others = self.node("Gather", class_logits, self.constant(rest), axis=1)
            total = self.node("ReduceLogSumExp", others, axes=[1], keepdims=1)
            anger_logit = self.node("Sub", one, total)
        self.node(
            "Reshape", anger_logit, self.constant(np.array([-1], dtype=np.int64)), output=OUTPUTS[1]
        )
        graph = helper.make_graph(
            self.nodes,
            f"voicebot_{kind}",
            [
                helper.make_tensor_value_info(
                    name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), list(shape)
                )
                for name, (dtype, shape) in inputs.items()
            ],
            [
                helper.make_tensor_value_info(OUTPUTS[0], types.FLOAT, ["batch", len(EMOTIONS)]),
                helper.make_tensor_value_info(OUTPUTS[1], types.FLOAT, ["batch"]),
            ],
            self.constants,
        )
        model = helper.make_model(
            graph,
            producer_name="voicebot",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        metadata = {
            "voicebot.kind": kind,
            "voicebot.format": FORMAT,
            "voicebot.features": features,
            "voicebot.classes": ",".join(EMOTIONS),
            **(extra or {}),
        }
        helper.set_model_props(model, metadata)
        self._onnx.checker.check_model(model)
        return model


def write_model(folder: Path, model: Any, calibration: Calibration, card: str) -> None:
    """Write a model folder; the calibration is bound to the graph by its checksum.

    Args:
        folder: Created if missing.
        model: ``onnx.ModelProto`` from :meth:`Graph.finish`.
        calibration: Fitted on the raw ``anger_logit``.
        card: Markdown; its first lines say which licence governs the weights.

    Raises:
        OutputError: the folder cannot be written.
    """
    blob = model.SerializeToString(deterministic=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MODEL_FILE).write_bytes(blob)
        (folder / CARD_FILE).write_text(card, encoding="utf-8")
    except OSError as err:
        raise OutputError(
            f"{folder}: {err.strerror or err}", "choose a folder you may write with --out"
        ) from err
    checksum = hashlib.sha256(blob).hexdigest()
    write_calibration(folder, replace(calibration, model_sha256=checksum))
