"""Whisper base on real weights (installed by name, checked by hash)."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from voicebot.errors import ModelError
from voicebot.events import Transcript
from voicebot.speech.evaluation import Clip, evaluate_stt, read_clip, read_manifest
from voicebot.speech.whisper_recognizer import WhisperEngine, WhisperModel

Clips = dict[str, list[Clip]]


def test_mandarin_is_understood(whisper: WhisperModel, clips: Clips) -> None:
    result = evaluate_stt(clips["zh"], WhisperEngine(whisper, "zh"), 16000)
    assert (result.measure, result.engine) == ("CER", "whisper:base")
    assert result.errors.rate < 0.20, "measured .08"
    assert 0.4 < result.confidence < 1.0


@pytest.mark.shared
def test_real_mandarin_is_understood(whisper: WhisperModel, shared_data: Path) -> None:
    real = read_manifest(shared_data / "stt" / "manifest.csv", "zh", limit=1)
    assert evaluate_stt(real, WhisperEngine(whisper, "zh"), 8000).errors.rate < 0.35


def test_there_are_no_partials_and_one_final(whisper: WhisperModel, clips: Clips) -> None:
    pcm = read_clip(clips["zh"][0].path, 8000)
    utterance = WhisperEngine(whisper, "zh").open(8000, 3.0)
    assert {utterance.accept(pcm[at : at + 800]) for at in range(0, len(pcm), 800)} == {None}
    final = utterance.finish()
    assert "经理" in final.text and (final.language, final.words) == ("zh", ())
    with pytest.raises(RuntimeError, match="over"):
        utterance.accept(pcm)


def test_the_same_audio_gives_the_same_text(whisper: WhisperModel, clips: Clips) -> None:
    pcm = read_clip(clips["zh"][1].path, 8000)
    assert whisper.read(pcm, 8000, "zh") == whisper.read(pcm, 8000, "zh")


@pytest.mark.parametrize("samples", [0, 1, 1000, 24000])
def test_nothing_said_is_no_text(whisper: WhisperModel, samples: int) -> None:
    assert whisper.read(np.zeros(samples, np.int16), 8000, "zh") == ("", 0.0)


def test_the_prompt_never_comes_out_as_what_was_said(whisper: WhisperModel) -> None:
    noise = np.random.default_rng(1).normal(0, 300, 16000).astype(np.int16)
    text, _ = whisper.read(noise, 8000, "zh")
    assert "普通话" not in text


def segment(text: str, **changes: float) -> SimpleNamespace:
    base = {"start": 0.0, "end": 1.0, "avg_logprob": -0.1, "no_speech_prob": 0.1,
            "compression_ratio": 1.0}  # fmt: skip
    return SimpleNamespace(text=text, **(base | changes))


class Fake:
    """Stands in for the network where a wanted fault of it is not to be had on demand."""

    def __init__(self, *answers: list[SimpleNamespace]) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def transcribe(self, samples: object, **options: Any) -> tuple[list[SimpleNamespace], None]:
        self.asked.append(options)
        return self.answers.pop(0), None


@pytest.fixture
def reading(whisper: WhisperModel, monkeypatch: pytest.MonkeyPatch) -> Any:
    def read(*answers: list[SimpleNamespace]) -> tuple[tuple[str, float], Fake]:
        fake = Fake(*answers)
        monkeypatch.setattr(whisper, "_model", fake)
        return whisper.read(np.ones(16000, np.int16), 8000, "zh"), fake

    return read


def test_going_round_in_circles_is_tried_again_without(reading: Any) -> None:
    (text, _), fake = reading([segment("三天" * 99, compression_ratio=9.0)], [segment("三天")])
    assert text == "三天"
    assert [asked["no_repeat_ngram_size"] for asked in fake.asked] == [0, 3]
    assert all(asked["temperature"] == 0.0 for asked in fake.asked)


def test_circles_twice_are_dropped(reading: Any) -> None:
    loop = [segment("三天" * 99, compression_ratio=9.0)]
    assert reading(loop, loop)[0] == ("", 0.0)


def test_what_is_likely_no_speech_is_dropped(reading: Any) -> None:
    silent = segment("谢谢观看", no_speech_prob=0.9, avg_logprob=-1.5)
    assert reading([silent])[0] == ("", 0.0)
    assert reading([silent, segment("你好")])[0][0] == "你好"


def test_the_confidence_is_the_mean_probability_times_that_of_speech(reading: Any) -> None:
    (_, confidence), _ = reading(
        [segment("a", end=3.0), segment("b", avg_logprob=-1.0, no_speech_prob=0.5)]
    )
    expected = (3 * math.exp(-0.1) * 0.9 + math.exp(-1.0) * 0.5) / 4
    assert confidence == pytest.approx(expected)


def test_the_length_of_a_reading_is_bounded_by_that_of_the_audio(reading: Any) -> None:
    _, fake = reading([segment("a")])
    assert fake.asked[0]["max_new_tokens"] == 8 + 16 * 2


def test_an_incomplete_model_names_the_file(tmp_path: Path) -> None:
    for name in ("config.json", "model.bin", "tokenizer.json"):
        (tmp_path / name).write_text("x")
    with pytest.raises(ModelError, match=r"Whisper model without vocabulary\.txt"):
        WhisperModel(tmp_path, "whisper:test")


def test_a_model_that_is_none_is_an_error_and_not_a_crash(tmp_path: Path) -> None:
    for name in ("config.json", "model.bin", "tokenizer.json", "vocabulary.txt"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(ModelError, match="faster-whisper cannot load it"):
        WhisperModel(tmp_path, "whisper:test")


def test_the_package_missing_is_said_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("config.json", "model.bin", "tokenizer.json", "vocabulary.txt"):
        (tmp_path / name).write_text("{}")
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(ModelError, match=r"pip install 'voicebot\[whisper\]'"):
        WhisperModel(tmp_path, "whisper:test")


def test_an_english_model_refuses_other_languages() -> None:
    english_only: Any = SimpleNamespace(name="whisper:tiny.en", languages=("en",))
    with pytest.raises(ModelError, match="understands English only"):
        WhisperEngine(english_only, "ko")
    assert WhisperEngine(english_only, "en").name == "whisper:tiny.en"


def test_an_abandoned_utterance_is_over(whisper: WhisperModel) -> None:
    utterance = WhisperEngine(whisper, "zh").open(8000, 0.0)
    utterance.abandon()
    with pytest.raises(RuntimeError, match="over"):
        utterance.finish()
    assert WhisperEngine(whisper, "zh").open(8000, 0.0).finish() == Transcript(
        "", 0.0, "zh", "whisper:base"
    )


def test_a_language_that_no_model_knows_is_refused() -> None:
    multilingual: Any = SimpleNamespace(name="whisper:base", languages=("en", "ko", "zh"))
    with pytest.raises(ModelError, match="no speech model for the language 'xx'"):
        WhisperEngine(multilingual, "xx")
