"""The ONNX graph of a text model: n-grams and networks, their answers added up.

The linear model is exact.  The matrices of a transformer become 8-bit integers, one scale a
column, and what is multiplied with them is brought to 8 bits as it comes ("dynamic
quantisation"); only seven bits of the weights are used, so that processors which add pairs of
products in 16 bits (AVX2) cannot overflow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from voicebot.emotion.text import IDS, KIND, NETWORK_FEATURES, TOKENS, WEIGHTS
from voicebot.emotion.vocabulary import metadata
from voicebot.training.export import Graph, need_train_extra
from voicebot.training.text_encoder import (
    EPSILON,
    Array,
    ConvolutionShape,
    EncoderShape,
    padding_of,
    weights_of,
)
from voicebot.training.text_fit import FOLD, Linear
from voicebot.training.text_network import Network

WEIGHT_STEPS: Final = 63
"""Largest absolute value of a quantised weight."""
FLOAT: Final = 1  # onnx.TensorProto.FLOAT


@dataclass(frozen=True, slots=True)
class Mix:
    """How the answers are added up: ``linear`` times the one and ``network`` times the other."""

    linear: float
    network: float
    bias: float
    others_linear: float = 0.5
    """share of the linear model in the logits of the other emotions, 0-1"""


def export(linear: Linear, networks: Sequence[Network], mix: Mix, language: str) -> Any:
    """The graph of one text: n-grams and tokens in, probabilities and anger logit out.

    Args:
        linear: From :func:`voicebot.training.text_fit.fit`.
        networks: Whose logits are averaged; of one vocabulary.
        mix: Weights of the two.
        language: ISO 639-1.

    Returns:
        ``onnx.ModelProto``.
    """
    graph = Graph()
    anger, others = _linear(graph, linear)
    heads = [_network(graph, network) for network in networks]
    net_anger = graph.mean([a for a, _ in heads])
    net_others = graph.mean([o for _, o in heads])
    anger = _sum(graph, _times(graph, anger, mix.linear), _times(graph, net_anger, mix.network))
    anger = graph.node("Add", anger, graph.constant(np.array([mix.bias], dtype=np.float32)))
    others = _sum(
        graph,
        _times(graph, others, mix.others_linear),
        _times(graph, net_others, 1.0 - mix.others_linear),
    )
    # Shifted by this sum the anger logit is the log-odds against all others together.
    total = graph.node("ReduceLogSumExp", others, axes=[1], keepdims=1)
    logits = graph.node("Concat", graph.node("Add", anger, total), others, axis=1)
    return graph.finish(
        logits, kind=KIND, features=NETWORK_FEATURES, anger_logit=anger,
        inputs={IDS: ("int64", ["n"]), WEIGHTS: ("float32", ["n"]), TOKENS: ("int64", ["t"])},
        extra={"voicebot.language": language, **metadata(networks[0].vocabulary)},
    )  # fmt: skip


def _linear(graph: Graph, linear: Linear) -> tuple[str, str]:
    """Anger logit ``[1, 1]`` and logits of the others ``[1, 6]`` of the linear model."""
    value = graph.node("Unsqueeze", WEIGHTS, graph.constant(np.array([1])))  # [n, 1]

    def head(weights: npt.NDArray[np.float16], bias: npt.NDArray[np.float32], ids: str) -> str:
        table = graph.node("Gather", graph.constant(weights), ids, axis=0)
        products = graph.node("Mul", graph.node("Cast", table, to=FLOAT), value)
        total = graph.node("ReduceSum", products, graph.constant(np.array([0])), keepdims=1)
        return graph.node("Add", total, graph.constant(bias[None, :]))

    bias = np.array([linear.anger_bias], dtype=np.float32)
    folded = graph.node("Div", IDS, graph.constant(np.array(FOLD)))
    return (
        head(linear.anger[:, None], bias, IDS),
        head(linear.others, linear.others_bias, folded),
    )


def _network(graph: Graph, network: Network) -> tuple[str, str]:
    """Anger logit ``[1, 1]`` and logits of the others ``[1, 6]`` of a network."""
    weights = weights_of(network.net)
    if isinstance(network.shape, EncoderShape):
        pooled = _transformer(graph, network.shape, weights)
    else:
        pooled = _convolutions(graph, network.shape, weights)
    return _dense(graph, pooled, weights, "anger"), _dense(graph, pooled, weights, "others")


def _transformer(graph: Graph, shape: EncoderShape, weights: dict[str, Array]) -> str:
    """What the heads of a transformer look at, ``[1, width]``."""
    table, scale = quantise(weights["words.weight"], axis=1)
    words = graph.node("Cast", graph.node("Gather", graph.constant(table), TOKENS), to=FLOAT)
    x = graph.node("Mul", words, graph.node("Gather", graph.constant(scale), TOKENS))
    length = graph.node("Shape", TOKENS)
    first = graph.constant(np.array([0]))
    places = graph.constant(weights["places.weight"])
    x = graph.node("Add", x, graph.node("Slice", places, first, length, first))
    x = _norm(graph, x, weights, "norm")
    each = shape.width // shape.heads
    apart = graph.constant(np.array([-1, 3, shape.heads, each]))
    together = graph.constant(np.array([-1, shape.width]))
    for number in range(shape.layers):
        layer = f"layers.{number}"
        # The scale of the scores is folded into the queries.
        merged = {
            part: np.concatenate([
                weights[f"{layer}.query.{part}"] / np.float32(np.sqrt(each)),
                weights[f"{layer}.key.{part}"],
                weights[f"{layer}.value.{part}"],
            ])
            for part in ("weight", "bias")
        }  # fmt: skip
        split = graph.node("Reshape", _small(graph, x, merged["weight"], merged["bias"]), apart)
        split = graph.node("Transpose", split, perm=[1, 2, 0, 3])  # [3, heads, n, each]
        query, key, value = (
            graph.node("Squeeze", graph.node("Gather", split, graph.constant(np.array([i]))), first)
            for i in range(3)
        )
        scores = graph.node("MatMul", query, graph.node("Transpose", key, perm=[0, 2, 1]))
        seen = graph.node("MatMul", graph.node("Softmax", scores, axis=2), value)
        seen = graph.node("Reshape", graph.node("Transpose", seen, perm=[1, 0, 2]), together)
        x = graph.node("Add", x, _quantised(graph, seen, weights, f"{layer}.out"))
        x = _norm(graph, x, weights, f"{layer}.norm1")
        wide = _gelu(graph, _quantised(graph, x, weights, f"{layer}.up"))
        x = graph.node("Add", x, _quantised(graph, wide, weights, f"{layer}.down"))
        x = _norm(graph, x, weights, f"{layer}.norm2")
    both = graph.node(
        "Concat",
        graph.node("ReduceMean", x, axes=[0], keepdims=1),
        graph.node("ReduceMax", x, axes=[0], keepdims=1),
        axis=1,
    )
    return _gelu(graph, _dense(graph, both, weights, "pooled"))


def _convolutions(graph: Graph, shape: ConvolutionShape, weights: dict[str, Array]) -> str:
    """What the heads of a network of convolutions look at, ``[1, hidden]``."""
    x = graph.node("Gather", _half(graph, weights["words.weight"]), TOKENS)  # [n, width]
    x = graph.node("Transpose", x, perm=[1, 0])
    x = graph.node("Unsqueeze", x, graph.constant(np.array([0])))
    found = []
    for number, span in enumerate(shape.spans):
        y = graph.node(
            "Conv",
            x,
            _half(graph, weights[f"spans.{number}.weight"]),
            graph.constant(weights[f"spans.{number}.bias"]),
            pads=list(padding_of(span)),
        )
        found.append(graph.node("ReduceMax", graph.node("Relu", y), axes=[2], keepdims=0))
    return graph.node(
        "Relu", _dense(graph, graph.node("Concat", *found, axis=1), weights, "pooled")
    )


def quantise(matrix: Array, axis: int) -> tuple[npt.NDArray[np.int8], Array]:
    """Weights as integers of at most :data:`WEIGHT_STEPS`, and the scale along ``axis``."""
    most = np.abs(matrix).max(axis=axis, keepdims=True)
    scale = np.maximum(most, 1e-8) / WEIGHT_STEPS
    return np.rint(matrix / scale).astype(np.int8), scale.astype(np.float32)


def _quantised(graph: Graph, x: str, weights: dict[str, Array], name: str) -> str:
    return _small(graph, x, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _small(graph: Graph, x: str, weight: Array, bias: Array) -> str:
    """``x @ weight.T + bias`` in 8 bits; torch keeps its matrices the other way round."""
    table, scale = quantise(np.ascontiguousarray(weight.T), axis=0)
    names = [f"{x}_{part}" for part in ("q", "scale", "zero")]
    if not any(names[0] in node.output for node in graph.nodes):
        onnx, _ = need_train_extra()
        graph.nodes.append(onnx.helper.make_node("DynamicQuantizeLinear", [x], names))
    product = graph.node("MatMulInteger", names[0], graph.constant(table), names[2])
    both = graph.node("Mul", names[1], graph.constant(scale[0]))
    y = graph.node("Mul", graph.node("Cast", product, to=FLOAT), both)
    return graph.node("Add", y, graph.constant(bias))


def _dense(graph: Graph, x: str, weights: dict[str, Array], name: str) -> str:
    """``x @ weight.T + bias``, the weights stored in 16 bits."""
    product = graph.node("MatMul", x, _half(graph, weights[f"{name}.weight"].T))
    return graph.node("Add", product, graph.constant(weights[f"{name}.bias"]))


def _norm(graph: Graph, x: str, weights: dict[str, Array], name: str) -> str:
    scale, bias = (graph.constant(weights[f"{name}.{part}"]) for part in ("weight", "bias"))
    return graph.node("LayerNormalization", x, scale, bias, axis=-1, epsilon=EPSILON)


def _gelu(graph: Graph, x: str) -> str:
    """Gaussian error linear unit, x / 2 (1 + erf(x / sqrt 2)); Hendrycks and Gimpel, 2016."""
    root = graph.constant(np.array(np.sqrt(2.0), dtype=np.float32))
    one = graph.constant(np.array(1.0, dtype=np.float32))
    half = graph.constant(np.array(0.5, dtype=np.float32))
    part = graph.node("Add", graph.node("Erf", graph.node("Div", x, root)), one)
    return graph.node("Mul", graph.node("Mul", x, part), half)


def _half(graph: Graph, value: Array) -> str:
    """A constant stored in 16 bits, made 32 when the model is loaded."""
    return graph.node("Cast", graph.constant(value.astype(np.float16)), to=FLOAT)


def _times(graph: Graph, x: str, factor: float) -> str:
    return graph.node("Mul", x, graph.constant(np.array([factor], dtype=np.float32)))


def _sum(graph: Graph, one: str, other: str) -> str:
    return graph.node("Add", one, other)
