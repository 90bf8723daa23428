from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from voicebot.errors import ModelError
from voicebot.speech.evaluation import Clip, read_clip
from voicebot.speech.second_pass import SecondPass
from voicebot.speech.text_metrics import error_rate
from voicebot.speech.whisper_recognizer import WhisperModel


def test_it_reads_an_utterance_again(whisper: WhisperModel, clips: dict[str, list[Clip]]) -> None:
    second = SecondPass(whisper, "zh")
    clip = clips["zh"][0]
    heard = second.reread(read_clip(clip.path, 8000), 8000, "zh")
    assert error_rate("zh", [(clip.text, heard.text)]).rate < 0.2
    assert (heard.engine, heard.language, heard.words) == ("whisper:base", "zh", ())
    assert second.name == "whisper:base"
    assert 0 < heard.confidence < 1


def test_it_refuses_what_is_not_audio_of_a_leg(whisper: WhisperModel) -> None:
    second = SecondPass(whisper, "en")
    with pytest.raises(ValueError, match="44100"):
        second.reread(np.zeros(10, np.int16), 44100, "en")
    with pytest.raises(ValueError, match="mono int16"):
        second.reread(np.zeros(10, np.float32), 8000, "en")


def test_an_english_model_for_another_language_is_refused_at_once() -> None:
    english_only: Any = SimpleNamespace(name="whisper:tiny.en", languages=("en",))
    with pytest.raises(ModelError, match="English only"):
        SecondPass(english_only, "ko")
