"""What the caller's voice and words say together: both models, fused, or an abstention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voicebot.emotion.acoustic import AcousticModel, AcousticParams, AcousticReading
from voicebot.emotion.baseline import BaselineParams
from voicebot.emotion.fusion import FusionParams, fuse
from voicebot.emotion.text import TextModel, TextParams
from voicebot.emotion.windows import WindowParams, pieces
from voicebot.events import EMOTIONS, EmotionScore, Final, Pcm
from voicebot.params import Params, key


class EmotionParams(Params):
    """How the caller's emotion is scored.  The agent's never is."""

    windows: WindowParams = key(WindowParams(), "When to score, and over how much speech.")
    acoustic: AcousticParams = key(AcousticParams(), "The model that listens to the voice.")
    text: TextParams = key(TextParams(), "The model that reads the words.")
    fusion: FusionParams = key(FusionParams(), "How the two are joined.")
    baseline: BaselineParams = key(BaselineParams(), "This caller's own level.")


@dataclass(frozen=True, slots=True)
class Reading:
    """The emotion of a stretch of the caller's speech."""

    score: EmotionScore | None
    """None if both models abstained"""
    voice: AcousticReading | None
    """by the voice alone; None if there is no such model"""
    words: EmotionScore | None
    """by the words alone; None if that model abstained"""
    abstained: tuple[str, ...]
    """why a model that was asked gave no score, such as ``acoustic_low_snr``"""

    @property
    def acoustic(self) -> float | None:
        """0-1, anger by the voice alone; None if that model abstained."""
        return self.voice.score.anger if self.voice and self.voice.score else None

    @property
    def text(self) -> float | None:
        """0-1, anger by the words alone; None if that model abstained."""
        return self.words.anger if self.words else None


class CallerEmotion:
    """Scores the caller.  Holds no state of a call; the models may be shared between calls."""

    def __init__(
        self, acoustic: AcousticModel | None, text: TextModel | None, params: EmotionParams
    ) -> None:
        self._acoustic = acoustic
        self._text = text
        self.params = params

    def running(self, window: Pcm, rate: int, speech_seconds: float) -> Reading:
        """Score a window of an utterance that goes on: by the voice alone."""
        return self._fused(self._hear([window], rate, speech_seconds), None, speech_seconds)

    def settled(self, pcm: Pcm, rate: int, speech_seconds: float, final: Final | None) -> Reading:
        """Score a finished utterance by voice and words.

        Args:
            pcm: The utterance, shape (samples,), int16.
            rate: Hz.
            speech_seconds: Seconds of speech in it.
            final: Its text, or None where nothing is transcribed.
        """
        cut = pieces(pcm, rate, self.params.windows)
        return self._fused(self._hear(cut, rate, speech_seconds), final, speech_seconds)

    def _hear(self, cut: Sequence[Pcm], rate: int, speech_seconds: float) -> AcousticReading | None:
        """The acoustic reading of one or more pieces, averaged over those that have a score."""
        if self._acoustic is None:
            return None
        readings = [self._acoustic.score(p, rate, speech_seconds / len(cut)) for p in cut]
        heard = [(r.score, r.snr_db) for r in readings if r.score is not None]
        if not heard or len(readings) == 1:
            return readings[0]
        scores = [score for score, _ in heard]
        mean = EmotionScore(
            {name: float(np.mean([s.probabilities[name] for s in scores])) for name in EMOTIONS},
            float(np.mean([s.anger_logit for s in scores])),
        )
        return AcousticReading(mean, None, float(np.mean([snr_db for _, snr_db in heard])))

    def _fused(
        self, heard: AcousticReading | None, said: Final | None, speech_seconds: float
    ) -> Reading:
        read = self._text.score(said.text) if self._text and said and said.text else None
        acoustic = heard.score if heard else None
        abstained = [f"acoustic_{heard.abstained}"] if heard and heard.abstained else []
        if self._text and said is not None and read is None:
            abstained.append("text_too_short")
        score = fuse(
            acoustic,
            read,
            speech_seconds=speech_seconds,
            snr_db=heard.snr_db if heard else 0.0,
            stt_confidence=said.confidence if said else 0.0,
            params=self.params.fusion,
        )
        return Reading(score, heard, read, tuple(abstained))
