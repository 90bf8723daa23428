"""Training on spectrograms: it learns what can be learnt, the seed decides, no trace is left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from voicebot.emotion.calibration import ANGER
from voicebot.events import EMOTIONS
from voicebot.training.evaluation import aucs_by
from voicebot.training.spectral_fit import FittedSpectral, fit_spectral
from voicebot.training.spectral_networks import Spectral
from voicebot.training.spectrograms import HEARD_BANDS, Spectrograms
from voicebot.training.speech_corpora import Clip

torch = pytest.importorskip("torch")
KINDS = ("cnn", "gru")
NEUTRAL = EMOTIONS.index("neutral")


def clips(count: int) -> list[Clip]:
    emotions = [ANGER if i % 3 == 0 else NEUTRAL for i in range(count)]
    return [
        Clip(Path("x"), f"{i}.wav", "ab"[i % 2], "en", str(i), emotion, 1.0, "train", "")
        for i, emotion in enumerate(emotions)
    ]


def sounds(of: list[Clip], seed: int) -> Spectrograms:
    """Anger sways in its higher bands; the mean of a clip tells nothing."""
    rng = np.random.default_rng(seed)
    pieces = []
    for clip in of:
        x = rng.normal(size=(int(rng.integers(20, 60)), HEARD_BANDS))
        sway = 2.0 * np.sin(np.arange(len(x)) * np.pi / 8 + rng.uniform(0, 6))
        x[:, 30:] += sway[:, None] if clip.angry else 0.0
        pieces.append((x + 3.0).astype(np.float16))
    starts = np.cumsum([0, *(len(p) for p in pieces)], dtype=np.int64)
    return Spectrograms(np.concatenate(pieces), starts)


def fitted(kind: str, seed: int = 0, samples: int = 900) -> FittedSpectral:
    mine = clips(90)
    shape = Spectral(kind, width=16, samples=samples, batch=16)  # type: ignore[arg-type]
    rows = np.arange(90)
    return fit_spectral(
        [sounds(mine, 0), sounds(mine, 1)], mine, rows, shape, seed, lambda share: None
    )


def scores(model: FittedSpectral) -> np.ndarray:
    new = sounds(clips(60), 7)
    return model.anger([new[i] for i in range(60)])


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_what_only_time_can_tell(kind: str) -> None:
    found = scores(fitted(kind))
    (auc,) = aucs_by(np.full(60, "a"), found, np.array([c.angry for c in clips(60)])).values()
    assert auc > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_chance_is_the_seeds(kind: str) -> None:
    before = torch.random.get_rng_state()
    threads = torch.get_num_threads()
    first = scores(fitted(kind, samples=200))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert np.array_equal(first, scores(fitted(kind, samples=200)))
    assert not np.array_equal(first, scores(fitted(kind, seed=1, samples=200)))


def test_the_score_is_the_log_odds_of_anger() -> None:
    model = fitted("cnn", samples=200)
    piece = sounds(clips(1), 3)[0]
    x = torch.from_numpy((piece - model.mean) / model.scale)[None]
    with torch.no_grad():
        p = model.net.eval()(x, torch.tensor([len(piece)])).softmax(1)[0, ANGER].item()
    assert model.anger([piece])[0] == pytest.approx(np.log(p / (1 - p)), abs=1e-3)


def test_the_input_is_scaled_by_the_clips_that_are_learnt() -> None:
    model = fitted("gru", samples=100)
    assert model.mean == pytest.approx(3.0, abs=0.15)
    assert model.numbers > 2 * HEARD_BANDS


def test_progress_goes_to_the_end() -> None:
    told: list[float] = []
    mine = clips(20)
    fit_spectral(
        [sounds(mine, 0)], mine, np.arange(20), Spectral("gru", width=8, samples=40, batch=8), 0,
        told.append,
    )  # fmt: skip
    assert told == sorted(told)
    assert told[-1] == 1.0
