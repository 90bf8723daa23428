"""Both kinds of networks: padding changes nothing, a published encoder is taken over exactly."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from voicebot.errors import ModelError
from voicebot.training.text_encoder import (
    Array,
    ConvolutionShape,
    EncoderShape,
    build,
    need_torch,
    padding_of,
    start_from,
    weights_of,
)

torch = pytest.importorskip("torch", reason="needs the extra train-text")

TRANSFORMER = EncoderShape(20, 12, layers=2, width=8, heads=2, hidden=16)
CONVOLUTIONS = ConvolutionShape(20, width=6, filters=5, spans=(1, 2, 3, 4), hidden=7)


@pytest.mark.parametrize("shape", [TRANSFORMER, CONVOLUTIONS])
def test_padding_changes_nothing(shape: EncoderShape | ConvolutionShape) -> None:
    torch.manual_seed(1)
    net = build(shape, 3).eval()
    ids = torch.tensor([[2, 5, 6, 7, 3]])
    alone = net(ids, torch.ones(1, 5))
    padded = net(
        torch.cat([ids, torch.zeros(1, 4, dtype=torch.int64)], 1),
        torch.tensor([[1.0] * 5 + [0.0] * 4]),
    )
    assert [tuple(part.shape) for part in alone] == [(1,), (1, 6), (1, 3)]
    for one, other in zip(alone, padded, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("shape", [TRANSFORMER, CONVOLUTIONS])
def test_order_of_words_matters(shape: EncoderShape | ConvolutionShape) -> None:
    net = build(shape, 1).eval()
    one, other = (
        float(net(torch.tensor([ids]), torch.ones(1, 6))[0].detach())
        for ids in ([2, 5, 6, 7, 8, 3], [2, 6, 5, 8, 7, 3])
    )  # fmt: skip
    assert abs(one - other) > 1e-5


@pytest.mark.parametrize(("span", "padding"), [(1, (0, 0)), (2, (0, 1)), (3, (1, 1)), (4, (1, 2))])
def test_padding_keeps_the_length(span: int, padding: tuple[int, int]) -> None:
    assert padding_of(span) == padding
    assert sum(padding) == span - 1


def published(width: int = 8, layers: int = 2) -> dict[str, Array]:
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> Array:
        return rng.normal(size=shape).astype(np.float32)

    out = {
        "embeddings.word_embeddings.weight": draw(30, width),
        "embeddings.token_type_embeddings.weight": draw(2, width),
        "embeddings.position_embeddings.weight": draw(50, width),
        "embeddings.LayerNorm.weight": draw(width), "embeddings.LayerNorm.bias": draw(width),
    }  # fmt: skip
    for number in range(layers):
        for name, shape in {
            "attention.self.query": (width, width), "attention.self.key": (width, width),
            "attention.self.value": (width, width), "attention.output.dense": (width, width),
            "attention.output.LayerNorm": (width,), "intermediate.dense": (16, width),
            "output.dense": (width, 16), "output.LayerNorm": (width,),
        }.items():  # fmt: skip
            out[f"encoder.layer.{number}.{name}.weight"] = draw(*shape)
            out[f"encoder.layer.{number}.{name}.bias"] = draw(shape[0])
    return out


def test_a_published_encoder_is_taken_over() -> None:
    net = build(TRANSFORMER, 3)
    theirs = published()
    start_from(net, theirs, list(range(5, 25)))
    mine = weights_of(net)
    np.testing.assert_allclose(
        mine["words.weight"],
        theirs["embeddings.word_embeddings.weight"][5:25]
        + theirs["embeddings.token_type_embeddings.weight"][0],
    )
    np.testing.assert_array_equal(
        mine["places.weight"], theirs["embeddings.position_embeddings.weight"][:12]
    )
    for ours, name in {"out": "attention.output.dense", "down": "output.dense"}.items():
        for part in ("weight", "bias"):
            np.testing.assert_array_equal(
                mine[f"layers.1.{ours}.{part}"], theirs[f"encoder.layer.1.{name}.{part}"]
            )


def test_another_encoder_is_refused() -> None:
    with pytest.raises(ModelError, match="of another size"):
        start_from(build(TRANSFORMER, 3), published(width=10), list(range(20)))
    with pytest.raises(ModelError, match="of another kind"):
        start_from(build(TRANSFORMER, 3), published(layers=1), list(range(20)))


def test_missing_torch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModelError, match=r"voicebot\[train-text\]"):
        need_torch()
