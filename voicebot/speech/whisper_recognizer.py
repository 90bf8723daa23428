"""Whisper by faster-whisper: finals only, many languages, good on telephone speech.

One model is shared by all calls and read by one thread at a time.  Decoding is
greedy, without falling back to sampling at a higher temperature, so the same
audio always gives the same text.
"""

from __future__ import annotations

import math
import os
import threading
from pathlib import Path
from typing import Any, Final

import numpy as np

from voicebot import models
from voicebot.audio.pcm import Floats, resample, to_float
from voicebot.errors import ModelError
from voicebot.events import Hypothesis, Pcm, Transcript
from voicebot.speech.recognizer import check_pcm, check_rate

RATE: Final = 16000
"""Hz; what Whisper takes"""
_PROMPTS: Final = {"zh": "以下是普通话的句子。"}
"""Whisper writes Chinese in traditional characters as the mood takes it; this asks for simplified
ones.  It says: the following are sentences in Mandarin."""
_UNSPACED: Final = frozenset({"ja", "th", "zh"})
_WINDOW: Final = 30.0
"""s; what Whisper reads at once"""
_LOOPING: Final = 2.4
"""Text that zlib packs better than this is a repetition (Whisper's own threshold)."""
_NO_REPEAT: Final = 3
"""tokens of a sequence that may not come twice, in the second attempt"""
_TOKENS_PER_SECOND: Final = 16.0
"""More than anybody speaks in any language; bounds the time lost on a repetition."""
_MOST_TOKENS: Final = 400
_SHORTEST: Final = 0.2
"""s; less is not worth a reading of the 30 s window that Whisper always computes"""
_NO_SPEECH: Final = 0.6
_NO_SPEECH_LOGPROB: Final = -1.0
"""Whisper's own rule of silence: no speech likelier than this, and words less sure than that."""


class WhisperModel:
    """A loaded Whisper model.

    Args:
        folder: CTranslate2 conversion: model.bin, config.json, tokenizer.json, vocabulary.
        name: For people and events, as ``whisper:base``.
        threads: CPU threads of one reading.

    Raises:
        ModelError: ``faster-whisper`` is not installed, or the model is incomplete or wrong.
    """

    def __init__(self, folder: Path, name: str, threads: int = 0) -> None:
        if missing := models.missing_files("whisper", folder):
            raise ModelError(
                f"{folder}: Whisper model without {', '.join(missing)}",
                "install it again with `voicebot models install NAME --force`",
            )
        # The model is a folder on this machine; nothing is to be looked up on the network.
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        try:
            import faster_whisper
        except ImportError as err:
            raise ModelError(
                f"{name} needs the package faster-whisper ({err})",
                "pip install 'voicebot[whisper]'",
            ) from None
        try:
            self._model: Any = faster_whisper.WhisperModel(
                str(folder),
                device="cpu",
                compute_type="int8",
                cpu_threads=threads or min(4, os.cpu_count() or 1),
                num_workers=1,
                local_files_only=True,
            )
        except Exception as err:
            raise ModelError(
                f"{folder}: faster-whisper cannot load it ({err})",
                "check it with `voicebot models verify`",
            ) from None
        self.name = name
        self.languages: tuple[str, ...] = tuple(self._model.supported_languages)
        """ISO 639 codes"""
        self._turn = threading.Lock()

    def read(self, pcm: Pcm, rate: int, language: str) -> tuple[str, float]:
        """Transcribe a whole utterance.

        Args:
            pcm: Shape ``(samples,)``, any length.
            rate: Hz.
            language: ISO 639-1.

        Returns:
            Text, and confidence 0-1: the geometric mean of the probabilities of the tokens
            (``exp(avg_logprob)``), times the probability that there is speech at all, both
            weighted by the length of Whisper's segments.
        """
        if len(pcm) < _SHORTEST * rate or not pcm.any():
            return "", 0.0
        samples = to_float(resample(pcm, rate, RATE))
        with self._turn:
            kept = self._spoken(samples, language, no_repeat=0)
            if any(segment.compression_ratio > _LOOPING for segment in kept):
                # It went round in circles, as it may on unclear speech; once more, without.
                again = self._spoken(samples, language, no_repeat=_NO_REPEAT)
                kept = [s for s in again if s.compression_ratio <= _LOOPING]
        texts = [segment.text.strip() for segment in kept]
        if not any(texts):
            return "", 0.0
        weights = np.array([max(segment.end - segment.start, 0.1) for segment in kept])
        sure = np.array([math.exp(s.avg_logprob) * (1 - s.no_speech_prob) for s in kept])
        confidence = float(np.clip((weights * sure).sum() / weights.sum(), 0.0, 1.0))
        return ("" if language in _UNSPACED else " ").join(texts), confidence

    def _spoken(self, samples: Floats, language: str, no_repeat: int) -> list[Any]:
        """Whisper's segments, without those that it takes for silence or has from its prompt."""
        prompt = _PROMPTS.get(language)
        window = min(len(samples) / RATE, _WINDOW)
        segments, _ = self._model.transcribe(
            samples,
            language=language,
            beam_size=1,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=len(samples) <= (_WINDOW - 2) * RATE,
            initial_prompt=prompt,
            no_repeat_ngram_size=no_repeat,
            max_new_tokens=min(8 + int(_TOKENS_PER_SECOND * window), _MOST_TOKENS),
            vad_filter=False,
        )
        return [
            segment
            for segment in segments
            if segment.text.strip()
            and segment.text.strip() != prompt
            and not (
                segment.no_speech_prob > _NO_SPEECH and segment.avg_logprob < _NO_SPEECH_LOGPROB
            )
        ]


class WhisperEngine:
    """Whisper as the only engine: the text comes at the end of each utterance.

    Args:
        model: Shared.
        language: ISO 639-1.

    Raises:
        ModelError: An English-only model for another language.
    """

    streaming = False

    def __init__(self, model: WhisperModel, language: str) -> None:
        check_language(model, language)
        self.name = model.name
        self.language = language
        self._model = model

    def open(self, rate: int, start: float) -> WhisperUtterance:
        """Begin an utterance; see :class:`~voicebot.speech.recognizer.SpeechEngine`."""
        del start  # no word times
        check_rate(rate)
        return WhisperUtterance(self._model, self.language, rate)

    def close(self) -> None:
        """Nothing to do: the model goes with the last reference."""


class WhisperUtterance:
    """One utterance, kept until it ends.

    Args:
        model: To read it with.
        language: ISO 639-1.
        rate: Hz.
    """

    def __init__(self, model: WhisperModel, language: str, rate: int) -> None:
        self._model, self._language, self._rate = model, language, rate
        self._pieces: list[Pcm] | None = []

    def accept(self, pcm: Pcm) -> Hypothesis | None:
        """Keep some more audio; there are no partial texts."""
        self._open().append(check_pcm(pcm).copy())
        return None

    def finish(self) -> Transcript:
        """Read the whole utterance."""
        pieces, self._pieces = self._open(), None
        pcm = np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
        text, confidence = self._model.read(pcm, self._rate, self._language)
        return Transcript(text, confidence, self._language, self._model.name)

    def abandon(self) -> None:
        """Drop the audio."""
        self._pieces = None

    def _open(self) -> list[Pcm]:
        if self._pieces is None:
            raise RuntimeError("the utterance is over")
        return self._pieces


def check_language(model: WhisperModel, language: str) -> None:
    """Refuse a language that the model does not know.

    Raises:
        ModelError: So it is.
    """
    if language in model.languages:
        return
    if model.languages == ("en",):
        raise ModelError(
            f"{model.name} understands English only, the call's language is {language}",
            "use whisper-base",
        )
    raise ModelError(
        f"no speech model for the language '{language}': {model.name} does not know it",
        "give its ISO 639-1 code (en, zh, ko, ...), or --language none for the voice alone",
    )
