"""The lower layers of Whisper's encoder, as a small ONNX graph of integers.

Whisper learnt from 680,000 hours in a hundred languages what speech sounds like.  Its upper
layers keep what is said; its lower ones still hold how.  Leaving one corpus of ours out, a
linear model on the mean over time of the outputs of layers 1 to 3 of the ``base`` size
tells anger from the rest far better than on the last (mean AUC .885 against .79), so the
rest is cut off.  The weights of the matrix products are stored as 8-bit integers.

The graph takes ``mel`` (see :mod:`voicebot.emotion.logmel`), shape ``(batch, 80, frames)``,
and gives the mean over time of each layer in :data:`LAYERS`, shape
``(batch, EMBEDDING)``.

Sources:
    A. Radford et al., "Robust speech recognition via large-scale weak supervision", 2022 (MIT).
    CTranslate2's model file: github.com/OpenNMT/CTranslate2, ``model_spec.py`` (MIT).
"""

from __future__ import annotations

import hashlib
import logging
import os
import struct
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from voicebot import models
from voicebot.emotion.logmel import BANDS
from voicebot.errors import ModelError, OutputError
from voicebot.training.export import IR_VERSION, OPSET, Graph, need_train_extra

SOURCE: Final = "whisper-base"
"""of the registry of speech models"""
LAYERS: Final = (1, 2, 3)
"""whose mean over time is the embedding"""
MEL: Final = "mel"
EMBEDDING_OUTPUT: Final = "embedding"
EMBEDDING: Final = 512 * len(LAYERS)
_HEAD: Final = 64
"""width of a head of attention, in every size of Whisper"""
_POSITIONS: Final = 400
"""positions that are kept: 8 s"""

Floats = npt.NDArray[np.float32]
_TYPES: Final = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
"""CTranslate2's numbers of types"""


def encoder_file(cache: Path) -> Path:
    """The encoder as an ONNX file, made once and kept in the cache.

    Args:
        cache: Folder, created if missing.

    Raises:
        ModelError: Whisper's weights are not installed, or the ``train`` extra is not.
        OutputError: the cache cannot be written.
    """
    need_train_extra()
    folder = models.find(models.entry(SOURCE))
    if folder is None:
        raise ModelError(
            f"the speech encoder is cut out of {SOURCE}, which is not installed",
            f"voicebot models install {SOURCE}",
        )
    weights = folder / "model.bin"
    digest = hashlib.sha256(Path(__file__).read_bytes())
    digest.update(f"{SOURCE} {weights.stat().st_size} {LAYERS}".encode())
    path = cache / f"encoder-{digest.hexdigest()[:16]}.onnx"
    if path.is_file():
        return path
    blob = quantised(encoder_graph(read_weights(weights)))
    part = path.with_name(f"{path.stem}.{os.getpid()}.part")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        part.write_bytes(blob)
        part.replace(path)
    except OSError as err:
        raise OutputError(
            f"{path}: {err.strerror or err}", "free some space or choose another --cache"
        ) from err
    return path


def read_weights(path: Path) -> dict[str, Floats]:
    """Read the encoder's weights from CTranslate2's ``model.bin``.

    Raises:
        ModelError: the file is missing, cut short or of another kind.
    """
    mend = f"voicebot models install {SOURCE} --force"
    try:
        with path.open("rb") as file:
            (version,) = struct.unpack("<I", file.read(4))
            name = _string(file)
            if version < 5 or name != "WhisperSpec":
                raise ValueError(f"a {name} of format {version}")
            file.read(4)  # revision
            (count,) = struct.unpack("<I", file.read(4))
            weights: dict[str, Floats] = {}
            for _ in range(count):
                name, value = _variable(file)
                if name.startswith("encoder/") and value.ndim:
                    weights[name.removeprefix("encoder/")] = value
    except OSError as err:
        raise ModelError(f"{path}: {err.strerror or err}", mend) from err
    except (ValueError, KeyError, struct.error, UnicodeDecodeError) as err:
        raise ModelError(f"{path}: no weights of Whisper: {err}", mend) from None
    return weights


def encoder_graph(weights: Mapping[str, Floats]) -> Any:
    """The layers up to the last of :data:`LAYERS` as an ``onnx.ModelProto`` of floats.

    Args:
        weights: From :func:`read_weights`; matrices of shape ``(outputs, inputs)``.
    """
    onnx, _ = need_train_extra()
    g = Graph()
    x = _conv(g, MEL, weights, "conv1", 1)
    x = g.node("Transpose", _conv(g, x, weights, "conv2", 2), perm=[0, 2, 1])
    count = g.node("Shape", x, start=1, end=2)
    table = g.constant(weights["position_encodings/encodings"][:_POSITIONS])
    zero = g.constant(np.array([0]))
    x = g.node("Add", x, g.node("Slice", table, zero, count, zero))
    means = []
    for number in range(max(LAYERS)):
        x = _layer(g, x, weights, f"layer_{number}/")
        if number + 1 in LAYERS:
            means.append(g.node("ReduceMean", x, axes=[1], keepdims=0))
    g.node("Concat", *means, output=EMBEDDING_OUTPUT, axis=1)
    width = len(LAYERS) * weights["conv1/bias"].shape[0]
    helper, real = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        g.nodes,
        "whisper_encoder",
        [helper.make_tensor_value_info(MEL, real, ["batch", BANDS, "frames"])],
        [helper.make_tensor_value_info(EMBEDDING_OUTPUT, real, ["batch", width])],
        g.constants,
    )
    model = helper.make_model(
        graph, ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)]
    )
    onnx.checker.check_model(model)
    return model


def quantised(model: Any) -> bytes:
    """Store the weights of matrix products as 8-bit integers.

    Of seven bits of use: on processors without VNNI the sum of two products of eight bits would
    overflow sixteen (onnxruntime, "Quantize ONNX models", ``reduce_range``).

    Returns:
        The ONNX file.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder, _without_advice():
        before, after = Path(folder) / "floats.onnx", Path(folder) / "integers.onnx"
        before.write_bytes(model.SerializeToString(deterministic=True))
        quantize_dynamic(
            before, after, op_types_to_quantize=["MatMul"], per_channel=True, reduce_range=True,
            weight_type=QuantType.QInt8, extra_options={"MatMulConstBOnly": True},
        )  # fmt: skip
        return after.read_bytes()


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keep the quantiser's advice from the user: onnxruntime cleans the graph when it loads it."""
    root = logging.getLogger()

    def silent(record: logging.LogRecord) -> bool:
        return "pre-processing" not in record.getMessage()

    root.addFilter(silent)
    try:
        yield
    finally:
        root.removeFilter(silent)


def _layer(g: Graph, x: str, weights: Mapping[str, Floats], at: str) -> str:
    """One layer of the transformer: attention, then two dense layers, each added to its input."""
    y = _norm(g, x, weights, f"{at}self_attention/layer_norm")
    y = _linear(g, y, weights, f"{at}self_attention/linear_0")
    width = weights[f"{at}self_attention/layer_norm/gamma"].shape[0]
    heads = width // _HEAD
    shape = g.constant(np.array([0, 0, 3 * heads, _HEAD]))
    y = g.node("Transpose", g.node("Reshape", y, shape), perm=[0, 2, 1, 3])
    axis = g.constant(np.array([1]))
    query, key, value = (
        g.node("Slice", y, *(g.constant(np.array([i * heads])) for i in (part, part + 1)), axis)
        for part in range(3)
    )
    scale = g.constant(np.array(_HEAD**-0.5, dtype=np.float32))
    key = g.node("Transpose", key, perm=[0, 1, 3, 2])
    share = g.node("Softmax", g.node("MatMul", g.node("Mul", query, scale), key), axis=-1)
    y = g.node("Transpose", g.node("MatMul", share, value), perm=[0, 2, 1, 3])
    y = g.node("Reshape", y, g.constant(np.array([0, 0, width])))
    x = g.node("Add", x, _linear(g, y, weights, f"{at}self_attention/linear_1"))
    y = _norm(g, x, weights, f"{at}ffn/layer_norm")
    y = _gelu(g, _linear(g, y, weights, f"{at}ffn/linear_0"))
    return g.node("Add", x, _linear(g, y, weights, f"{at}ffn/linear_1"))


def _conv(g: Graph, x: str, weights: Mapping[str, Floats], at: str, stride: int) -> str:
    constants = (g.constant(weights[f"{at}/{part}"]) for part in ("weight", "bias"))
    y = g.node("Conv", x, *constants, kernel_shape=[3], pads=[1, 1], strides=[stride])
    return _gelu(g, y)


def _norm(g: Graph, x: str, weights: Mapping[str, Floats], at: str) -> str:
    constants = (g.constant(weights[f"{at}/{part}"]) for part in ("gamma", "beta"))
    return g.node("LayerNormalization", x, *constants, axis=-1)


def _linear(g: Graph, x: str, weights: Mapping[str, Floats], at: str) -> str:
    product = g.node("MatMul", x, g.constant(weights[f"{at}/weight"].T))
    return g.node("Add", product, g.constant(weights[f"{at}/bias"]))


def _gelu(g: Graph, x: str) -> str:
    """Gaussian error linear unit, in the form that onnxruntime knows as one operation."""
    root, one, half = (g.constant(np.array(v, dtype=np.float32)) for v in (2**0.5, 1.0, 0.5))
    raised = g.node("Add", g.node("Erf", g.node("Div", x, root)), one)
    return g.node("Mul", g.node("Mul", x, raised), half)


def _string(file: BinaryIO) -> str:
    """A string with its length before it and a zero behind."""
    (length,) = struct.unpack("<H", file.read(2))
    return file.read(length)[:-1].decode()


def _variable(file: BinaryIO) -> tuple[str, Floats]:
    """One named array."""
    name = _string(file)
    (rank,) = struct.unpack("<B", file.read(1))
    shape = struct.unpack(f"<{rank}I", file.read(4 * rank))
    kind, size = struct.unpack("<BI", file.read(5))
    blob = file.read(size)
    if len(blob) < size:
        raise ValueError(f"cut short in {name}")
    return name, np.frombuffer(blob, _TYPES[kind]).reshape(shape).astype(np.float32)
