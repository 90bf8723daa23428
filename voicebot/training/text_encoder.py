"""The networks that read the words, in torch, all with three kinds of heads.

*How angry?* (one logit), *which of the other six emotions?* (six), and each corpus' own labels,
which only serve to teach the layers below and are not exported.

Two kinds.  A *transformer* with BERT's layers (J. Devlin et al., NAACL 2019), so that a published
encoder can be the start; it is pooled by the mean over the tokens next to their maximum.  Where
none is to be had, *convolutions* over characters, pooled by their maximum (Y. Kim,
"Convolutional neural networks for sentence classification", EMNLP 2014).

torch is imported by the functions, never with the module: a machine that only listens to calls
has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from voicebot.errors import ModelError
from voicebot.training.text_corpora import OTHERS

Array = npt.NDArray[np.float32]

EPSILON: Final = 1e-12
"""Of the layer normalisation."""


@dataclass(frozen=True, slots=True)
class EncoderShape:
    """Size of a network."""

    pieces: int
    """size of the vocabulary"""
    positions: int
    layers: int
    width: int
    heads: int
    hidden: int
    """width between the two halves of a layer's feed-forward part"""
    dropout: float = 0.1


@dataclass(frozen=True, slots=True)
class ConvolutionShape:
    """Size of a network of convolutions."""

    pieces: int
    """size of the vocabulary"""
    width: int
    """of a character's vector"""
    filters: int
    """of each span"""
    spans: tuple[int, ...]
    """in characters"""
    hidden: int
    dropout: float = 0.4


def need_torch() -> Any:
    """The ``torch`` package.

    Raises:
        ModelError: it is not installed.
    """
    try:
        import torch
    except ImportError:
        raise ModelError(
            "training needs the Python package torch", "pip install 'voicebot[train-text]'"
        ) from None
    return torch


def build(shape: EncoderShape | ConvolutionShape, labels: int) -> Any:
    """A network with random weights, drawn from torch's generator.

    Args:
        shape: Its size.
        labels: How many labels the corpora have together.

    Returns:
        ``torch.nn.Module``; ``net(ids, mask)`` takes token ids ``[batch, n]`` and a mask of the
        same shape (1 where there is a token) and gives the anger logit ``[batch]``, the logits
        of the others ``[batch, 6]`` and of the corpora's labels ``[batch, labels]``.
    """
    if isinstance(shape, ConvolutionShape):
        return _convolutions(shape, labels)
    return _transformer(shape, labels)


def _transformer(shape: EncoderShape, labels: int) -> Any:
    torch = need_torch()
    nn, functional = torch.nn, torch.nn.functional

    class Layer(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.query, self.key, self.value, self.out = (
                nn.Linear(shape.width, shape.width) for _ in range(4)
            )
            self.norm1 = nn.LayerNorm(shape.width, EPSILON)
            self.up = nn.Linear(shape.width, shape.hidden)
            self.down = nn.Linear(shape.hidden, shape.width)
            self.norm2 = nn.LayerNorm(shape.width, EPSILON)
            self.drop = nn.Dropout(shape.dropout)

        def forward(self, x: Any, bias: Any) -> Any:
            batch, tokens, width = x.shape

            def split(y: Any) -> Any:
                return y.view(batch, tokens, shape.heads, width // shape.heads).transpose(1, 2)

            attended = functional.scaled_dot_product_attention(
                split(self.query(x)), split(self.key(x)), split(self.value(x)), attn_mask=bias
            )
            attended = attended.transpose(1, 2).reshape(batch, tokens, width)
            x = self.norm1(x + self.drop(self.out(attended)))
            return self.norm2(x + self.drop(self.down(functional.gelu(self.up(x)))))

    class Net(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(shape.pieces, shape.width)
            self.places = nn.Embedding(shape.positions, shape.width)
            self.norm = nn.LayerNorm(shape.width, EPSILON)
            self.drop = nn.Dropout(shape.dropout)
            self.layers = nn.ModuleList([Layer() for _ in range(shape.layers)])
            self.pooled = nn.Linear(2 * shape.width, shape.width)
            self.anger = nn.Linear(shape.width, 1)
            self.others = nn.Linear(shape.width, len(OTHERS))
            self.labels = nn.Linear(shape.width, labels)
            self.drop_pooled = nn.Dropout(max(shape.dropout, 0.1))

        def forward(self, ids: Any, mask: Any) -> tuple[Any, Any, Any]:
            x = self.words(ids) + self.places.weight[: ids.shape[1]]
            x = self.drop(self.norm(x))
            bias = ((1.0 - mask) * -1e4)[:, None, None, :]
            for layer in self.layers:
                x = layer(x, bias)
            seen = mask[:, :, None]
            mean = (x * seen).sum(1) / seen.sum(1)
            most = (x + (seen - 1.0) * 1e4).amax(1)
            h = functional.gelu(self.pooled(torch.cat([mean, most], 1)))
            h = self.drop_pooled(h)
            return self.anger(h)[:, 0], self.others(h), self.labels(h)

    return Net()


def _convolutions(shape: ConvolutionShape, labels: int) -> Any:
    torch = need_torch()
    nn, functional = torch.nn, torch.nn.functional

    class Net(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            # Padding, as the zeros before and behind a text, is nothing to a convolution.
            self.words = nn.Embedding(shape.pieces, shape.width, padding_idx=0)
            nn.init.normal_(self.words.weight, std=0.1)
            with torch.no_grad():
                self.words.weight[0] = 0.0
            self.drop_words = nn.Dropout(shape.dropout / 2)
            self.spans = nn.ModuleList(
                [nn.Conv1d(shape.width, shape.filters, span) for span in shape.spans]
            )
            self.drop = nn.Dropout(shape.dropout)
            self.pooled = nn.Linear(shape.filters * len(shape.spans), shape.hidden)
            self.anger = nn.Linear(shape.hidden, 1)
            self.others = nn.Linear(shape.hidden, len(OTHERS))
            self.labels = nn.Linear(shape.hidden, labels)

        def forward(self, ids: Any, mask: Any) -> tuple[Any, Any, Any]:
            x = self.drop_words(self.words(ids)).transpose(1, 2)
            found = []
            for span, convolve in zip(shape.spans, self.spans, strict=True):
                y = convolve(functional.pad(x, padding_of(span)))
                # Never below zero, so what lies in the padding may be set to it.
                found.append((functional.relu(y) * mask[:, None, :]).amax(2))
            h = functional.relu(self.pooled(self.drop(torch.cat(found, 1))))
            return self.anger(h)[:, 0], self.others(h), self.labels(h)

    return Net()


def padding_of(span: int) -> tuple[int, int]:
    """Zeros before and behind a text that keep its length under a convolution."""
    return (span - 1) // 2, span // 2


def weights_of(net: Any) -> dict[str, Array]:
    """All weights by name, as numpy."""
    return {name: value.detach().numpy().copy() for name, value in net.state_dict().items()}


def start_from(net: Any, published: Mapping[str, Array], kept: list[int]) -> None:
    """Take over a published BERT encoder, with the kept pieces of its vocabulary only.

    Args:
        net: From :func:`build`, of the same width and number of layers.
        published: Its tensors by the names that BERT's own have.
        kept: Ids of the pieces to keep, in our order.

    Raises:
        ModelError: the encoder is another one.
    """
    torch = need_torch()
    inside = {
        "query": "attention.self.query", "key": "attention.self.key",
        "value": "attention.self.value", "out": "attention.output.dense",
        "norm1": "attention.output.LayerNorm", "up": "intermediate.dense",
        "down": "output.dense", "norm2": "output.LayerNorm",
    }  # fmt: skip
    state = net.state_dict()
    try:
        words = published["embeddings.word_embeddings.weight"][kept]
        # The second kind of segment never occurs here, so the first is part of every word.
        words = words + published["embeddings.token_type_embeddings.weight"][0]
        places = published["embeddings.position_embeddings.weight"]
        new = {"words.weight": words, "places.weight": places[: len(state["places.weight"])]}
        for part in ("weight", "bias"):
            new[f"norm.{part}"] = published[f"embeddings.LayerNorm.{part}"]
            for number in range(len(net.layers)):
                for ours, theirs in inside.items():
                    name = f"encoder.layer.{number}.{theirs}.{part}"
                    new[f"layers.{number}.{ours}.{part}"] = published[name]
    except (KeyError, IndexError) as err:
        raise ModelError(f"the published encoder is of another kind: {err!r}") from None
    for name, value in new.items():
        if state[name].shape != value.shape:
            raise ModelError(f"the published encoder is of another size: {name} {value.shape}")
        state[name] = torch.from_numpy(np.array(value))
    net.load_state_dict(state)
