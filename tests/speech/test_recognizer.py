from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from voicebot.speech.bundled_recognizer import BundledEngine
from voicebot.speech.recognizer import SpeechEngine, SttParams, check_pcm, check_rate
from voicebot.speech.vosk_recognizer import VoskEngine
from voicebot.speech.whisper_recognizer import WhisperEngine


@pytest.mark.parametrize("rate", [0, -8000, 44100, 11025])
def test_only_the_rates_of_a_leg_pass(rate: int) -> None:
    with pytest.raises(ValueError, match=f"not {rate}"):
        check_rate(rate)
    check_rate(8000)
    check_rate(16000)


@pytest.mark.parametrize(
    "pcm",
    [
        np.zeros(100, np.float32), np.zeros((100, 2), np.int16), np.zeros(100, np.int32),
        np.zeros(101, np.uint8),
    ],
)  # fmt: skip
def test_what_would_be_heard_as_noise_is_refused(pcm: np.ndarray) -> None:
    with pytest.raises(ValueError, match="mono int16"):
        check_pcm(pcm)


def test_a_strided_view_becomes_contiguous() -> None:
    stereo = np.arange(20, dtype=np.int16).reshape(-1, 2)
    left = check_pcm(stereo[:, 0])
    assert left.flags.c_contiguous
    assert left.tobytes() == stereo[:, 0].copy().tobytes()


def test_unknown_engines_and_keys_are_refused() -> None:
    for wrong in ({"engine": "kaldi"}, {"pool": 3}, {"pool_size": 0}, {"pool_limit": 1}):
        with pytest.raises(ValidationError):
            SttParams.model_validate(wrong)


def _is_engine(engine: SpeechEngine) -> SpeechEngine:
    return engine


def test_every_engine_is_one_for_the_type_checker(
    english: BundledEngine, korean: VoskEngine, tmp_path: Path
) -> None:
    for engine in (_is_engine(english), _is_engine(korean)):
        assert engine.name and engine.streaming and engine.language in ("en", "ko")
    assert not WhisperEngine.streaming
