"""A candidate beside the active model: what it says of an utterance, and would say of a call."""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass
from typing import Final

from voicebot.emotion import comparison
from voicebot.emotion.comparison import Comparison
from voicebot.emotion.fusion import Fused
from voicebot.emotion.ledger import Pair
from voicebot.emotion.listener import CallerEmotion, EmotionParams, Reading, combine
from voicebot.emotion.opening import EmotionModel
from voicebot.emotion.pointer import ModelId
from voicebot.emotion.text import TextModel
from voicebot.errors import ModelError
from voicebot.escalation.escalation import Escalation, EscalationParams
from voicebot.events import Alert, EmotionScore
from voicebot.events import Final as FinalText
from voicebot.speech.endpointing import Closed

RECENT: Final = 20
"""Utterances over which the cost of a candidate is averaged."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A finished utterance of the caller, as the active models were given it."""

    closed: Closed
    rate: int
    """Hz"""
    final: FinalText | None
    reading: Reading
    """what the active models said"""
    concealed: float = 0.0
    """0-1, share of it that was made up for lost packets"""


@dataclass(frozen=True, slots=True)
class Tried:
    """What a candidate made of an utterance."""

    own: EmotionScore | None
    """its own score; None if it abstained"""
    rival: EmotionScore | None
    """the active model's of the same modality; None if that abstained"""
    fused: Fused | None
    """with the other modality's, as the active models have it; None if both abstained"""
    ms: float
    """CPU time that the candidate's scoring took"""


class Candidate:
    """A loaded candidate.

    Args:
        model: Which version.
        opened: The model.
        emotion: How the caller is scored.
        limit_ms: Mean CPU time an utterance above which it is too slow.
    """

    def __init__(
        self, model: ModelId, opened: EmotionModel, emotion: EmotionParams, limit_ms: float
    ) -> None:
        self.id = model
        self._emotion = emotion
        self._limit_ms = limit_ms
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._text = opened if isinstance(opened, TextModel) else None
        self._voice = None if isinstance(opened, TextModel) else opened
        self.role = "text" if self._text else "acoustic"

    def score(self, heard: Heard) -> Tried | None:
        """Score an utterance; None if there is nothing for this model in it.

        Raises:
            ModelError: the model fails, or its score is not a number.
        """
        reading, said = heard.reading, heard.final
        voice, words, speech = reading.voice, reading.words, heard.closed.speech_seconds
        began = time.thread_time()
        if self._voice is not None:
            listener = CallerEmotion(self._voice, None, self._emotion)
            rival = voice.score if voice else None
            voice = listener.settled(
                heard.closed.pcm, heard.rate, speech, None, heard.concealed
            ).voice
            own = voice.score if voice else None
        elif self._text is not None and said is not None and said.text:
            rival = words
            own = words = self._text.score(said.text)
        else:
            return None
        ms = 1000 * (time.thread_time() - began)
        self._recent.append(ms)
        if own is not None and not math.isfinite(own.anger_logit):
            raise ModelError(f"{self.id}: its score is not a number", "train it again")
        fused = combine(voice, words, said, speech, self._emotion.fusion)
        return Tried(own, rival, fused, ms)

    @property
    def too_slow(self) -> str:
        """Why it has to be switched off; empty if it is fast enough."""
        # The first utterances count against the whole number: one outlier is no habit, but one
        # that takes seconds is.
        if sum(self._recent) / RECENT <= self._limit_ms:
            return ""
        mean = sum(self._recent) / len(self._recent)
        return f"took {mean:.0f} ms of CPU time an utterance, the limit is {self._limit_ms:g} ms"


class _Course:
    """What evidence alone, without rules, makes of the scores of one call."""

    def __init__(self, emotion: EmotionParams, escalation: EscalationParams) -> None:
        self._escalation = Escalation("", escalation, emotion.baseline)
        self.alerted: float | None = None
        """s, audio clock, of the first alert"""

    def take(self, fused: Fused | None, heard: Heard) -> None:
        """Take in an utterance."""
        if fused is None:
            return
        closed = heard.closed
        self._escalation.settle(
            fused, closed.start, closed.end, closed.speech_seconds, "", closed.t
        )
        events = self._escalation.decide((), closed.t)
        if self.alerted is None and any(isinstance(event, Alert) for event in events):
            self.alerted = closed.t

    @property
    def peak(self) -> float:
        """Nats; the most evidence there ever was."""
        return self._escalation.peak


class Track:
    """One call with the active model's scores, and the same call with the candidate's."""

    def __init__(self, emotion: EmotionParams, escalation: EscalationParams) -> None:
        self._active = _Course(emotion, escalation)
        self._candidate = _Course(emotion, escalation)
        self.pairs: set[Pair] = set()
        """who was compared; more than one if the active model was swapped in between"""

    def take(self, pair: Pair, heard: Heard, tried: Tried | None) -> None:
        """Take in an utterance; one that the candidate was not asked about counts alike."""
        self.pairs.add(pair)
        self._active.take(heard.reading.fused, heard)
        self._candidate.take(tried.fused if tried else heard.reading.fused, heard)

    def outcome(self) -> Comparison:
        """What the call would have come to."""
        return comparison.call(
            self._active.alerted, self._candidate.alerted, self._active.peak, self._candidate.peak
        )
