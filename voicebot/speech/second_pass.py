"""A second, slower and better reading of each finished utterance."""

from __future__ import annotations

from voicebot.events import Pcm, Transcript
from voicebot.speech.recognizer import check_pcm, check_rate
from voicebot.speech.whisper_recognizer import WhisperModel, check_language


class SecondPass:
    """Reads a finished utterance again.

    The final event takes its text and keeps the first one in ``first_pass``.
    Safe to use from any thread; readings queue up.

    Args:
        model: Shared with nobody or with all calls.
        language: ISO 639-1; of the calls it will be used for.

    Raises:
        ModelError: An English-only model for another language.
    """

    def __init__(self, model: WhisperModel, language: str) -> None:
        check_language(model, language)
        self._model = model

    @property
    def name(self) -> str:
        """Engine and model, as in ``whisper:base``."""
        return self._model.name

    def reread(self, pcm: Pcm, rate: int, language: str) -> Transcript:
        """Read an utterance.

        Args:
            pcm: The whole utterance, shape ``(samples,)``.
            rate: Hz, 8000 or 16000.
            language: ISO 639-1.

        Returns:
            Text and confidence, no words; empty text where Whisper hears no speech.
        """
        check_rate(rate)
        text, confidence = self._model.read(check_pcm(pcm), rate, language)
        return Transcript(text, confidence, language, self._model.name)
