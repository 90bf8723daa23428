"""Real engines, loaded once for all tests of this folder."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from voicebot import installer, models
from voicebot.speech import vosk_model
from voicebot.speech.bundled_recognizer import BundledEngine
from voicebot.speech.evaluation import Clip
from voicebot.speech.recognizer import SttParams
from voicebot.speech.vosk_model import VoskModel
from voicebot.speech.vosk_recognizer import VoskEngine
from voicebot.speech.whisper_recognizer import WhisperModel


@pytest.fixture(scope="session")
def korean_folder() -> Path:
    """The real Vosk model, installed by name (scripts/setup has done it before)."""
    return installer.install(models.entry("vosk-model-small-ko-0.22"))


@pytest.fixture(scope="session")
def korean_model(korean_folder: Path) -> VoskModel:
    """The library's model, for tests that drive a recogniser by hand."""
    return vosk_model.load(korean_folder)


@pytest.fixture(scope="session")
def korean(korean_folder: Path) -> Iterator[VoskEngine]:
    engine = VoskEngine(korean_folder, "ko", SttParams(pool_size=1, pool_limit=3))
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def english() -> BundledEngine:
    return BundledEngine(SttParams())


@pytest.fixture(scope="session")
def whisper() -> WhisperModel:
    """Whisper base, installed by name and checked by hash; kept between runs."""
    known = models.entry("whisper-base")
    return WhisperModel(installer.install(known), "whisper:base")


@pytest.fixture(scope="session")
def clips(data: Path) -> dict[str, list[Clip]]:
    """The committed clips, by language."""
    found: dict[str, list[Clip]] = {}
    with (data / "stt.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            clip = Clip(data / row["file"], row["language"], row["text"])
            found.setdefault(clip.language, []).append(clip)
    return found
