"""What is known of a call whose truth is known, and what the pipeline heard in it.

:class:`Facts` is the truth, :class:`Heard` adds what each finished utterance
of the caller sounded like.  Evidence and policy need nothing else, so a call that was
heard once can be judged under any setting of them (:mod:`voicebot.calls.replay`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

from voicebot.audio.source import BLOCK_SECONDS, NARROW
from voicebot.call import LOOK_SECONDS
from voicebot.emotion.fusion import Fused, FusionParams, fuse
from voicebot.events import EmotionScore


class Kind(StrEnum):
    """What happens in a call."""

    CALM = "calm"
    """neutral"""
    CALM_SAD = "calm_sad"
    CALM_HAPPY = "calm_happy"
    CALM_LOUD = "calm_loud"
    """the caller's loudest neutral and happy speech, on a line 10 dB up"""
    OUTBURST = "outburst"
    """calm, but for one angry turn"""
    ANGRY = "angry"
    """calm, then angry to the end"""
    ANGRY_FROM_START = "angry_from_start"

    @property
    def persists(self) -> bool:
        """Whether somebody should be called."""
        return self in (Kind.ANGRY, Kind.ANGRY_FROM_START)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the caller's speech."""

    start: float
    """s, audio clock"""
    end: float
    """s, audio clock"""
    angry: bool

    def overlap(self, start: float, end: float) -> float:
        """Seconds of it that lie between two times."""
        return max(0.0, min(self.end, end) - max(self.start, start))


@dataclass(frozen=True)
class Facts:
    """The truth about a call."""

    number: int
    """of the call within its set, from 0"""
    kind: Kind
    corpus: str
    language: str
    """ISO 639-1"""
    speaker: str
    gender: str
    """``female``, ``male`` or ``unknown``"""
    snr_db: float | None
    """dB, speech against the background noise; None if there is none"""
    line: str
    """codec, and what else the line does"""
    seconds: float
    """s, length"""
    onset: float | None
    """s at which persistent anger begins; None if it does not"""
    outburst: float | None
    """s at which the one angry turn begins; None if there is none"""
    spans: tuple[Span, ...]
    """what the caller says, in order"""
    uses: int = 1
    """how often the most used recording is heard in it"""

    @cached_property
    def provoked(self) -> float:
        """Until when the caller is calm, in s; the end of the call if nothing happens."""
        return min(t for t in (self.onset, self.outburst, self.seconds) if t is not None)

    @cached_property
    def calm_speech(self) -> float:
        """Seconds of speech before the caller is provoked: false alarms are counted against it."""
        return sum(span.overlap(0.0, self.provoked) for span in self.spans)

    def angry_speech(self, until: float) -> float:
        """Seconds of angry speech from the onset to a time.

        Args:
            until: s, audio clock.
        """
        since = self.onset or 0.0
        return sum(span.overlap(since, until) for span in self.spans if span.angry)

    def angry_share(self, start: float, end: float) -> float:
        """Share of the speech between two times that is angry, 0-1; 0 if nothing is said."""
        said = [(span.overlap(start, end), span.angry) for span in self.spans]
        total = sum(seconds for seconds, _ in said)
        return sum(seconds for seconds, angry in said if angry) / total if total else 0.0


@dataclass(frozen=True, slots=True)
class Observation:
    """One finished utterance of the caller, as the pipeline heard it."""

    opened: float
    """s, audio clock at which it was sure that somebody speaks"""
    start: float
    """s"""
    end: float
    """s; end of speech"""
    t: float
    """s, audio clock at which it was over"""
    speech_seconds: float
    """s of voiced frames"""
    fused: Fused | None
    """voice and words together; None if both abstained"""
    voice: EmotionScore | None
    words: EmotionScore | None
    snr_db: float
    """dB, as estimated from the utterance"""
    confidence: float
    """0-1, of the recogniser; 0 if nothing was transcribed"""
    abstained: str
    """why a model said nothing, by comma; else empty"""
    angry_share: float
    """0-1; the truth: how much of its speech is angry"""

    @property
    def score(self) -> EmotionScore | None:
        """Of voice and words together; None if both models abstained."""
        return self.fused.score if self.fused else None

    @property
    def logit(self) -> float | None:
        """nats; the fused anger logit, None if both models abstained."""
        return self.score.anger_logit if self.score else None


@dataclass(frozen=True)
class Heard:
    """A call and what was heard in it."""

    facts: Facts
    observations: tuple[Observation, ...]

    @cached_property
    def looks(self) -> tuple[float, ...]:
        """When the pipeline lets time alone pass, in s: about once a second of silence.

        Repeats :meth:`voicebot.call.Call.push` block by block.
        """
        block = round(BLOCK_SECONDS * NARROW)
        times, due, index = [], 0.0, 0
        total = round(self.facts.seconds * NARROW)
        for at in range(0, total, block):
            t = at / NARROW + min(block, total - at) / NARROW
            while index < len(self.observations) and self.observations[index].t <= t:
                index += 1
            speaks = index < len(self.observations) and self.observations[index].opened <= t
            if t >= due and not speaks:
                times.append(t)
                due = t + LOOK_SECONDS
        return tuple(times)

    def fused_again(self, params: FusionParams, *, voice: bool = True, words: bool = True) -> Heard:
        """The same call with voice and words joined in another way.

        Args:
            params: How they are joined.
            voice: Whether the voice is listened to.
            words: Whether the words are read.
        """
        return replace(
            self,
            observations=tuple(
                replace(
                    o,
                    fused=fuse(
                        o.voice if voice else None,
                        o.words if words else None,
                        speech_seconds=o.speech_seconds,
                        snr_db=o.snr_db,
                        stt_confidence=o.confidence,
                        params=params,
                    ),
                )
                for o in self.observations
            ),
        )
