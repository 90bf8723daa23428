"""The acoustic model that is shipped: scores, abstains with a reason, keeps its budget."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from tests.emotion.test_features import speechlike
from voicebot.audio.pcm import resample
from voicebot.emotion.acoustic import AcousticModel, AcousticParams
from voicebot.emotion.frames import RATE
from voicebot.errors import ModelError
from voicebot.events import EMOTIONS


@pytest.fixture(scope="module")
def model() -> AcousticModel:
    return AcousticModel.load()


def test_a_window_is_scored(model: AcousticModel) -> None:
    reading = model.score(speechlike(), RATE, 2.0)
    assert reading.abstained is None
    assert reading.score is not None
    assert tuple(reading.score.probabilities) == EMOTIONS
    assert sum(reading.score.probabilities.values()) == pytest.approx(1.0)
    assert reading.score.probabilities["anger"] == pytest.approx(reading.score.anger)
    assert reading.snr_db > 12


def test_the_rate_does_not_matter_much(model: AcousticModel) -> None:
    narrow = speechlike()
    one = model.score(narrow, RATE, 2.0).score
    two = model.score(resample(narrow, RATE, 16000), 16000, 2.0).score
    assert one is not None
    assert two is not None
    assert one.anger_logit == pytest.approx(two.anger_logit, abs=0.3)


def test_only_the_end_of_a_long_window_counts(model: AcousticModel) -> None:
    end = speechlike(seconds=8.0)
    long = np.concatenate([speechlike(hz=300, tilt=0.3, seconds=4.0), end])
    assert model.score(long, RATE, 12.0) == model.score(end, RATE, 8.0)


@pytest.mark.parametrize(
    ("samples", "speech_seconds", "reason"),
    [
        (speechlike(), 0.3, "too_short"),
        (speechlike()[:2000], 2.0, "too_short"),
        (np.zeros(0, np.int16), 0.0, "too_short"),
        (np.zeros(2 * RATE, np.int16), 2.0, "silent"),
        ((np.random.default_rng(0).normal(size=2 * RATE) * 2000).astype("i2"), 2.0, "low_snr"),
        (np.clip(speechlike().astype(int) * 20, -20000, 20000).astype("i2"), 2.0, "clipped"),
    ],
)
def test_it_abstains_with_a_reason(
    model: AcousticModel, samples: np.ndarray, speech_seconds: float, reason: str
) -> None:
    reading = model.score(samples, RATE, speech_seconds)
    assert reading.abstained == reason
    assert reading.score is None


def test_a_voice_that_was_made_up_for_lost_packets_is_not_scored(model: AcousticModel) -> None:
    window = speechlike()
    assert model.score(window, RATE, 2.0, 0.1).score == model.score(window, RATE, 2.0).score
    reading = model.score(window, RATE, 2.0, 0.11)
    assert (reading.score, reading.abstained) == (None, "concealed")
    lax = AcousticModel.load(params=AcousticParams(max_concealed_share=0.5))
    assert lax.score(window, RATE, 2.0, 0.5).score is not None
    assert lax.score(window, RATE, 2.0, 0.51).abstained == "concealed"


def test_the_limits_are_parameters() -> None:
    noisy = speechlike() + np.random.default_rng(0).normal(size=2 * RATE) * 800
    window = noisy.astype(np.int16)
    strict = AcousticModel.load(params=AcousticParams(min_snr_db=30.0))
    lax = AcousticModel.load(params=AcousticParams(min_snr_db=-10.0))
    assert strict.score(window, RATE, 2.0).abstained == "low_snr"
    assert lax.score(window, RATE, 2.0).score is not None


def test_threads_may_share_it(model: AcousticModel) -> None:
    windows = [speechlike(hz=hz) for hz in (110, 150, 200, 260)]
    alone = [model.score(w, RATE, 2.0) for w in windows]
    together: dict[int, object] = {}

    def work(index: int) -> None:
        for _ in range(5):
            together[index] = model.score(windows[index], RATE, 2.0)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[i] for i in range(4)] == alone


def test_another_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such acoustic model"):
        AcousticModel.load(tmp_path / "absent")


def test_the_shipped_card_begins_with_the_licence() -> None:
    from voicebot.emotion.onnx_model import models_dir

    folder = models_dir() / "acoustic"
    first = (folder / "card.md").read_text().splitlines()[0]
    assert "CC BY-NC-SA" in first
    assert "research only" in first
    assert (folder / "model.onnx").stat().st_size < 25_000_000
    assert (models_dir() / "acoustic-small" / "model.onnx").stat().st_size < 1_000_000
