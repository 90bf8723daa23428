"""Losses are as many and as bursty as asked; gaps are filled as the standard says."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from voicebot.training.packet_loss import PACKET, conceal, draw_losses

FRAME = PACKET // 2


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def voice(seconds: float = 1.0, hz: float = 100.0) -> npt.NDArray[np.float32]:
    t = np.arange(int(seconds * 8000)) / 8000
    wave = sum(np.sin(2 * np.pi * hz * k * t + k) / k for k in range(1, 12))
    return np.asarray(0.1 * wave, dtype=np.float32)


def gap(samples: int, first: int, count: int) -> npt.NDArray[np.bool_]:
    lost = np.zeros(-(-samples // PACKET), dtype=np.bool_)
    lost[first : first + count] = True
    return lost


@pytest.mark.parametrize(("rate", "burst"), [(0.03, 1.5), (0.05, 3.0), (0.2, 2.0)])
def test_rate_and_burst_are_as_asked(rate: float, burst: float) -> None:
    lost = draw_losses(200_000, rate, rng(), burst)
    assert lost.mean() == pytest.approx(rate, rel=0.05)
    starts = np.count_nonzero(lost[1:] & ~lost[:-1])
    assert lost.sum() / starts == pytest.approx(burst, rel=0.05)


def test_no_loss() -> None:
    assert not draw_losses(1000, 0.0, rng()).any()
    x = voice()
    assert np.array_equal(conceal(x, gap(len(x), 0, 0)), x)


@pytest.mark.parametrize(("rate", "burst"), [(1.0, 2.0), (-0.1, 2.0), (0.1, 0.5), (0.9, 1.0)])
def test_impossible_losses(rate: float, burst: float) -> None:
    with pytest.raises(ValueError, match="loss"):
        draw_losses(10, rate, rng(), burst)


def test_a_steady_voice_goes_on_through_one_lost_packet() -> None:
    x = voice()
    lost = gap(len(x), 20, 1)
    holed = x.copy()
    holed[20 * PACKET : 21 * PACKET] = 0.0
    out = conceal(holed, lost)
    inside = slice(20 * PACKET, 20 * PACKET + FRAME)
    assert np.allclose(out[inside], x[inside], atol=2e-3)  # 10 ms without attenuation
    second = slice(20 * PACKET + FRAME, 21 * PACKET)
    assert np.allclose(out[second], x[second] * (1 - 0.2 * np.arange(FRAME) / FRAME), atol=2e-3)
    assert np.array_equal(conceal(x, lost), out)  # what was lost is not looked at


def test_only_the_neighbourhood_of_a_gap_changes() -> None:
    x = voice() + rng().normal(size=8000).astype(np.float32) * 0.01
    out = conceal(x, gap(len(x), 20, 2))
    assert np.array_equal(out[: 20 * PACKET - 30], x[: 20 * PACKET - 30])
    assert np.array_equal(out[22 * PACKET + FRAME :], x[22 * PACKET + FRAME :])


def test_a_long_gap_fades_to_silence() -> None:
    x = voice()
    out = conceal(x, gap(len(x), 20, 5))
    start = 20 * PACKET

    def peak(frame: int) -> float:
        return float(np.abs(out[start + frame * FRAME : start + (frame + 1) * FRAME]).max())

    loud = float(np.abs(x).max())
    assert peak(0) == pytest.approx(loud, rel=0.05)
    assert all(peak(n) <= loud * (1.0 - 0.2 * (n - 1)) + 1e-6 for n in range(1, 6))
    assert peak(3) > 0.3 * loud  # 0.6 to 0.4 of the amplitude
    assert not out[start + 6 * FRAME : start + 10 * FRAME].any()
    after = out[start + 10 * FRAME : start + 11 * FRAME]
    assert abs(after[0]) < abs(x[start + 10 * FRAME]) + 1e-6 and after[0] != 0.0


def test_no_clicks_at_the_edges() -> None:
    x = voice(hz=137.0)
    out = conceal(x, draw_losses(50, 0.2, rng()))
    assert np.abs(np.diff(out)).max() < 1.3 * np.abs(np.diff(x)).max()


@pytest.mark.parametrize("samples", [1, 79, 80, 161, 400, 799])
def test_any_length_all_lost_and_first_and_last(samples: int) -> None:
    x = voice()[:samples]
    packets = -(-samples // PACKET)
    out = conceal(x, np.ones(packets, dtype=np.bool_))
    assert out.shape == x.shape and not out.any()  # nothing was ever heard
    last = conceal(x, gap(samples, packets - 1, 1))
    assert last.shape == x.shape and np.isfinite(last).all()
