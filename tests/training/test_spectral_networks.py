"""The networks on spectrograms: their shapes, and that padding is nothing to them."""

from __future__ import annotations

import pytest

from voicebot.training.spectral_networks import Spectral, build
from voicebot.training.spectrograms import HEARD_BANDS

torch = pytest.importorskip("torch")
KINDS = (Spectral("cnn", width=16), Spectral("gru", width=16))


@pytest.mark.parametrize("shape", KINDS, ids=lambda shape: shape.kind)
@pytest.mark.parametrize("steps", [1, 7, 300])
def test_a_clip_of_any_length_has_seven_logits(shape: Spectral, steps: int) -> None:
    net = build(shape).eval()
    x = torch.randn(2, steps, HEARD_BANDS)
    logits = net(x, torch.tensor([steps, max(1, steps // 2)]))
    assert logits.shape == (2, 7)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("shape", KINDS, ids=lambda shape: shape.kind)
@pytest.mark.parametrize("steps", [1, 13, 50])
def test_a_score_does_not_depend_on_what_it_is_beside(shape: Spectral, steps: int) -> None:
    torch.manual_seed(0)
    net = build(shape).eval()
    alone = torch.randn(1, steps, HEARD_BANDS)
    beside = torch.zeros(2, 90, HEARD_BANDS)
    beside[0, :steps] = alone[0]
    beside[1] = torch.randn(90, HEARD_BANDS)
    with torch.no_grad():
        one = net(alone, torch.tensor([steps]))
        two = net(beside, torch.tensor([steps, 90]))
    assert torch.allclose(one[0], two[0], atol=1e-5)


@pytest.mark.parametrize("shape", KINDS, ids=lambda shape: shape.kind)
def test_every_weight_learns(shape: Spectral) -> None:
    net = build(shape)
    net(torch.randn(4, 40, HEARD_BANDS), torch.tensor([40, 30, 20, 40])).square().sum().backward()
    still = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []
