"""English without any download: Moonshine tiny on whole utterances.

The network does not stream.  Partial texts come from reading the utterance so
far once more, each time after it has grown by half, so that all readings of an
utterance together cost at most about three times the last one.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from voicebot.audio.pcm import resample, to_float
from voicebot.events import Hypothesis, Pcm, Transcript
from voicebot.speech.moonshine import RATE, Moonshine, folder
from voicebot.speech.recognizer import SttParams, check_pcm, check_rate

_GROWTH: Final = 1.5
_LONGEST: Final = 20.0
"""s; longer audio is read in pieces, cut where it is quietest"""


class BundledEngine:
    """The bundled English engine; its lease is a mere buffer, so there is no pool.

    Args:
        params: For the interval of partial texts.

    Raises:
        ModelError: ``moonshine-voice`` is not installed, or incomplete.
    """

    name = "moonshine:tiny-en"
    language = "en"
    streaming = True

    def __init__(self, params: SttParams) -> None:
        self._model = Moonshine(folder())
        self._interval = params.partial_interval_seconds

    def open(self, rate: int, start: float) -> BundledUtterance:
        """Begin an utterance; see :class:`~voicebot.speech.recognizer.SpeechEngine`."""
        check_rate(rate)
        return BundledUtterance(self, rate, start, self._interval)

    def close(self) -> None:
        """Nothing to do: the sessions go with the last reference."""

    def read(self, pcm: Pcm, rate: int) -> tuple[str, float]:
        """Text and confidence of a whole piece of audio of any length."""
        texts, weights = list[str](), list[tuple[float, int]]()
        for piece in split_at_pauses(pcm, rate, _LONGEST):
            text, confidence = self._model.transcribe(to_float(resample(piece, rate, RATE)))
            if text:
                texts.append(text)
                weights.append((confidence, len(piece)))
        total = sum(length for _, length in weights)
        if not total:
            return "", 0.0
        return " ".join(texts), sum(value * length for value, length in weights) / total


class BundledUtterance:
    """One utterance, kept whole until it ends.

    Args:
        engine: To read it with.
        rate: Hz.
        start: Audio clock of the first sample, in seconds.
        interval: Least new audio before another partial text, in seconds.
    """

    def __init__(self, engine: BundledEngine, rate: int, start: float, interval: float) -> None:
        self._engine, self._rate, self._start, self._interval = engine, rate, start, interval
        self._pieces: list[Pcm] | None = []
        self._seconds = 0.0
        self._next = interval
        self._last = ""

    def accept(self, pcm: Pcm) -> Hypothesis | None:
        """Hear some more audio; now and then the text so far."""
        pieces = self._open()
        pieces.append(check_pcm(pcm).copy())
        self._seconds += len(pcm) / self._rate
        if self._seconds < self._next:
            return None
        self._next = max(self._seconds + self._interval, self._seconds * _GROWTH)
        text, _ = self._engine.read(np.concatenate(pieces), self._rate)
        if text == self._last:
            return None
        self._last = text
        return Hypothesis(text, self._start + self._seconds)

    def finish(self) -> Transcript:
        """Read the whole utterance."""
        pieces, self._pieces = self._open(), None
        pcm = np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
        text, confidence = self._engine.read(pcm, self._rate)
        return Transcript(text, confidence, self._engine.language, self._engine.name)

    def abandon(self) -> None:
        """Drop the audio."""
        self._pieces = None

    def _open(self) -> list[Pcm]:
        if self._pieces is None:
            raise RuntimeError("the utterance is over")
        return self._pieces


def split_at_pauses(pcm: Pcm, rate: int, longest: float) -> list[Pcm]:
    """Cut audio into pieces of at most ``longest`` seconds, each at the quietest 0.2 s there is.

    Args:
        pcm: Shape ``(samples,)``.
        rate: Hz.
        longest: s; the cut is looked for in the second half of it.

    Returns:
        Pieces that joined together are ``pcm``; none for no audio.
    """
    most, block = int(longest * rate), rate // 5
    pieces = []
    while len(pcm) > most:
        tail = pcm[most // 2 : most].astype(np.float64)
        blocks = tail[: len(tail) // block * block].reshape(-1, block)
        quietest = int((blocks**2).sum(axis=1).argmin())
        cut = most // 2 + quietest * block + block // 2
        pieces.append(pcm[:cut])
        pcm = pcm[cut:]
    return [*pieces, pcm] if len(pcm) else pieces
