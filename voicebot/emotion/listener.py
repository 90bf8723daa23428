"""What the caller's voice and words say together: both models, fused, or an abstention."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from voicebot.emotion.acoustic import AcousticModel, AcousticParams, AcousticReading
from voicebot.emotion.baseline import BaselineParams
from voicebot.emotion.fusion import Fused, FusionParams, fuse
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
class EmotionModels:
    """The models that score, together: what is swapped is swapped as a whole."""

    acoustic: AcousticModel | None
    text: TextModel | None
    versions: Mapping[str, str] = field(default_factory=dict)
    """``acoustic`` and ``text`` to ``NAME@VERSION``; empty where that is not known"""


@dataclass(frozen=True, slots=True)
class Reading:
    """The emotion of a stretch of the caller's speech."""

    fused: Fused | None
    """voice and words together; None if both models abstained"""
    voice: AcousticReading | None
    """by the voice alone; None if there is no such model"""
    words: EmotionScore | None
    """by the words alone; None if that model abstained"""
    abstained: tuple[str, ...]
    """why a model that was asked gave no score, such as ``acoustic_low_snr``"""
    models: Mapping[str, str] = field(default_factory=dict)
    """which model scored, ``acoustic`` and ``text`` to ``NAME@VERSION``, as far as known"""

    @property
    def score(self) -> EmotionScore | None:
        """Of voice and words together; None if both models abstained."""
        return self.fused.score if self.fused else None

    @property
    def acoustic(self) -> float | None:
        """0-1, anger by the voice alone; None if that model abstained."""
        return self.voice.score.anger if self.voice and self.voice.score else None

    @property
    def text(self) -> float | None:
        """0-1, anger by the words alone; None if that model abstained."""
        return self.words.anger if self.words else None


class CallerEmotion:
    """Scores the caller of one call.  The models are shared between calls.

    Args:
        acoustic: Listens to the voice; None leaves it out.
        text: Reads the words; None leaves them out.
        params: How it is scored.
    """

    def __init__(
        self, acoustic: AcousticModel | None, text: TextModel | None, params: EmotionParams
    ) -> None:
        fixed = EmotionModels(acoustic, text)
        self._latest: Callable[[], EmotionModels] = lambda: fixed
        self._utterance: EmotionModels | None = None
        """what scores the utterance that goes on; None between utterances"""
        self.params = params

    @classmethod
    def following(cls, latest: Callable[[], EmotionModels], params: EmotionParams) -> Self:
        """One that asks for the models at each utterance, for they may be swapped in between.

        Args:
            latest: Gives the models to use from now on; called from the call's thread.
            params: How it is scored.
        """
        following = cls(None, None, params)
        following._latest = latest
        return following

    def running(
        self, window: Pcm, rate: int, speech_seconds: float, concealed: float = 0.0
    ) -> Reading:
        """Score a window of an utterance that goes on: by the voice alone."""
        models = self._utterance = self._utterance or self._latest()
        heard = _hear(models.acoustic, [window], rate, speech_seconds, concealed)
        return self._fused(models, heard, None, speech_seconds)

    def settled(
        self,
        pcm: Pcm,
        rate: int,
        speech_seconds: float,
        final: Final | None,
        concealed: float = 0.0,
    ) -> Reading:
        """Score a finished utterance by voice and words.

        Args:
            pcm: The utterance, shape (samples,), int16.
            rate: Hz.
            speech_seconds: Seconds of speech in it.
            final: Its text, or None where nothing is transcribed.
            concealed: Share of it that was made up for lost packets, 0-1.
        """
        models, self._utterance = self._utterance or self._latest(), None
        cut = pieces(pcm, rate, self.params.windows)
        heard = _hear(models.acoustic, cut, rate, speech_seconds, concealed)
        return self._fused(models, heard, final, speech_seconds)

    def _fused(
        self,
        models: EmotionModels,
        heard: AcousticReading | None,
        said: Final | None,
        speech_seconds: float,
    ) -> Reading:
        read = models.text.score(said.text) if models.text and said and said.text else None
        abstained = [f"acoustic_{heard.abstained}"] if heard and heard.abstained else []
        if models.text and said is not None and read is None:
            abstained.append("text_too_short")
        fused = combine(heard, read, said, speech_seconds, self.params.fusion)
        scored = {"acoustic": heard is not None and heard.score is not None, "text": bool(read)}
        used = {m: version for m, version in models.versions.items() if scored[m]}
        return Reading(fused, heard, read, tuple(abstained), used)


def combine(
    heard: AcousticReading | None,
    read: EmotionScore | None,
    said: Final | None,
    speech_seconds: float,
    params: FusionParams,
) -> Fused | None:
    """Join what the voice and the words of one utterance say.

    Args:
        heard: Of the voice; None if there is no such model.
        read: Of the words; None if that model abstained.
        said: The words, for how far the recogniser trusts them.
        speech_seconds: s of speech in the utterance.
        params: How the two are joined.

    Returns:
        None if both abstained.
    """
    return fuse(
        heard.score if heard else None,
        read,
        speech_seconds=speech_seconds,
        snr_db=heard.snr_db if heard else 0.0,
        stt_confidence=said.confidence if said else 0.0,
        params=params,
    )


def _hear(
    acoustic: AcousticModel | None,
    cut: Sequence[Pcm],
    rate: int,
    speech_seconds: float,
    concealed: float,
) -> AcousticReading | None:
    """The acoustic reading of one or more pieces, averaged over those that have a score."""
    if acoustic is None:
        return None
    readings = [acoustic.score(p, rate, speech_seconds / len(cut), concealed) for p in cut]
    heard = [(r.score, r.snr_db) for r in readings if r.score is not None]
    if not heard or len(readings) == 1:
        return readings[0]
    scores = [score for score, _ in heard]
    mean = EmotionScore(
        {name: float(np.mean([s.probabilities[name] for s in scores])) for name in EMOTIONS},
        float(np.mean([s.anger_logit for s in scores])),
    )
    return AcousticReading(mean, None, float(np.mean([snr_db for _, snr_db in heard])))
