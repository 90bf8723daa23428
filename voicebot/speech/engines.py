"""Which engine hears a call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

from voicebot import models
from voicebot.errors import ModelError
from voicebot.speech.bundled_recognizer import BundledEngine
from voicebot.speech.recognizer import SpeechEngine, SttParams
from voicebot.speech.second_pass import SecondPass
from voicebot.speech.vosk_recognizer import VoskEngine
from voicebot.speech.whisper_recognizer import WhisperEngine, WhisperModel

Notice = Callable[[str], None]
"""Takes one sentence for the user."""

_log = structlog.get_logger(__name__)


def open_engine(
    language: str, params: SttParams, notice: Notice | None = None
) -> SpeechEngine | None:
    """Load the engine for a language.

    Args:
        language: ISO 639-1 language of the calls, or ``none``.
        params: Which engine; ``auto`` chooses.
        notice: Told in one sentence which engine was taken where that was a choice, and how to
            get the Vosk model.

    Returns:
        The engine; None if nothing is to be transcribed.

    Raises:
        ModelError: The engine, or any engine, is not installed for this language.
    """
    if language == "none" or params.engine == "none":
        return None
    tell = notice or (lambda sentence: None)
    match params.engine:
        case "vosk":
            engine: SpeechEngine = _vosk(language, params)
        case "bundled":
            engine = _bundled(language, params)
        case "whisper":
            engine = _whisper(language, params)
        case _:
            engine = _automatic(language, params, tell)
    _log.info("stt_engine", engine=engine.name, language=language, streaming=engine.streaming)
    return engine


def open_second_pass(language: str, params: SttParams) -> SecondPass | None:
    """Load the second pass, if one is configured.

    Raises:
        ModelError: Its model is not installed, or does not understand the language.
    """
    if language == "none" or params.engine == "none" or params.second_pass == "none":
        return None
    return SecondPass(_whisper_model(params.second_pass), language)


def _automatic(language: str, params: SttParams, tell: Notice) -> SpeechEngine:
    if params.vosk_model or any(models.installed("vosk", language)):
        return _vosk(language, params)
    hint = _vosk_hint(language)
    if language == "en":
        engine: SpeechEngine = _bundled(language, params)
        tell(f"English is heard by the bundled engine ({engine.name}); for streaming Vosk: {hint}")
        return engine
    found = list(models.installed("whisper", language))
    preferred = [pair for pair in found if pair[0].name == params.whisper_model]
    for known, folder in [*preferred, *found]:
        whisper = WhisperEngine(WhisperModel(folder, _whisper_name(known.name)), language)
        tell(
            f"No Vosk model for '{language}' is installed: {whisper.name} hears it, without "
            f"partial texts" + (f"; for streaming Vosk: {hint}" if hint else "")
        )
        return whisper
    raise ModelError(
        f"no speech model for the language '{language}' is installed",
        f"{hint or 'voicebot models install whisper-base'}, or --language none",
    )


def _vosk(language: str, params: SttParams) -> VoskEngine:
    if params.vosk_model:
        for known in models.registry():
            if known.name == params.vosk_model and not known.speaks(language):
                raise ModelError(
                    f"{known.name} understands {known.language}, the calls' language is {language}",
                    f"--language {known.language}, or another stt.vosk_model",
                )
        return VoskEngine(models.locate(params.vosk_model), language, params)
    for _, folder in models.installed("vosk", language):
        return VoskEngine(folder, language, params)
    raise ModelError(
        f"no Vosk model for the language '{language}' is installed in {models.speech_models_dir()}",
        _vosk_hint(language) or "name a folder with stt.vosk_model; see `voicebot models list`",
    )


def _bundled(language: str, params: SttParams) -> BundledEngine:
    if language != BundledEngine.language:
        raise ModelError(
            f"the bundled engine hears English only, not '{language}'", "stt.engine: auto"
        )
    return BundledEngine(params)


def _whisper(language: str, params: SttParams) -> WhisperEngine:
    return WhisperEngine(_whisper_model(params.whisper_model), language)


def _whisper_model(name_or_path: str) -> WhisperModel:
    folder: Path = models.locate(name_or_path)
    return WhisperModel(folder, _whisper_name(folder.name))


def _whisper_name(name: str) -> str:
    return f"whisper:{name.removeprefix('faster-').removeprefix('whisper-')}"


def _vosk_hint(language: str) -> str:
    """The line that installs the Vosk model of a language, or nothing."""
    for known in models.registry():
        if known.kind == "vosk" and known.language == language:
            return f"voicebot models install {known.name}"
    return ""
