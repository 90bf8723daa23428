"""Stand-ins with a script, for tests of what joins the stages.

The detector hears loudness, the recogniser reads from a list and the acoustic
model takes amplitude for anger, so that a test can write a call as a list of
sentences and know exactly what each stage has to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from voicebot.emotion.acoustic import AcousticReading
from voicebot.events import (
    EMOTIONS,
    Action,
    Alert,
    EmotionScore,
    Frame,
    Hypothesis,
    Leg,
    Pcm,
    State,
    Transcript,
)
from voicebot.speech.vad import Decision

RATE = 8000
BLOCK = 800
EVEN = dict.fromkeys(EMOTIONS, 1 / len(EMOTIONS))


class LevelDetector:
    """Speech is what is loud."""

    frame_samples = 160

    def __init__(self) -> None:
        self._rest = np.empty(0, np.int16)

    def push(self, pcm: Pcm) -> list[Decision]:
        whole = np.concatenate((self._rest, pcm))
        count = len(whole) // self.frame_samples
        self._rest = whole[count * self.frame_samples :]
        frames = whole[: count * self.frame_samples].reshape(count, self.frame_samples)
        return [Decision(bool(f.max(initial=0) > 50), 1.0) for f in frames]

    def reset(self) -> None:
        self._rest = np.empty(0, np.int16)


@dataclass
class ScriptedEngine:
    """Recognises the next sentence of the script, whatever is said."""

    script: list[str]
    confidence: float = 0.95
    name: str = "scripted:test"
    language: str = "en"
    streaming: bool = True
    leases: list[ScriptedLease] = field(default_factory=list)
    closed: bool = False

    def open(self, rate: int, start: float) -> ScriptedLease:
        lease = ScriptedLease(self, self.script.pop(0), start)
        self.leases.append(lease)
        return lease

    def close(self) -> None:
        self.closed = True


@dataclass
class ScriptedLease:
    engine: ScriptedEngine
    text: str
    start: float
    heard: float = 0.0
    """s"""
    ended: str = ""

    def accept(self, pcm: Pcm) -> Hypothesis | None:
        before = int(self.heard)
        self.heard += len(pcm) / RATE
        if int(self.heard) == before:
            return None
        words = self.text.split()[: int(self.heard)]
        return Hypothesis(" ".join(words), self.start + self.heard)

    def finish(self) -> Transcript:
        self.ended = "finished"
        return Transcript(self.text, self.engine.confidence, self.engine.language, self.engine.name)

    def abandon(self) -> None:
        self.ended = self.ended or "abandoned"


class AmplitudeModel:
    """A peak of 1000 is a logit of -3, one of 4000 and more is +3.

    Below 100 it abstains, and so it does where more than a tenth is concealed.
    """

    def score(
        self, pcm: Pcm, rate: int, speech_seconds: float, concealed: float = 0.0
    ) -> AcousticReading:
        peak = int(np.abs(pcm.astype(np.int32)).max(initial=0))
        if peak < 100 or concealed > 0.1:
            return AcousticReading(None, "silent" if peak < 100 else "concealed", 0.0)
        logit = float(np.interp(peak, [1000, 4000], [-3.0, 3.0]))
        return AcousticReading(EmotionScore(EVEN, logit), None, 30.0)


class NoResponse:
    """Answers every state and alert with one action, so that tests see that it was asked."""

    def respond(self, event: State | Alert) -> list[Action]:
        alert_id = event.alert_id if isinstance(event, Alert) else None
        return [
            Action(
                call_id=event.call_id, leg=None, t=event.t, action="test", detail=event.type,
                alert_id=alert_id,
            )
        ]  # fmt: skip

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Say:
    """A stretch of a leg: silence if the peak is zero."""

    seconds: float
    peak: int = 0


def audio(script: Sequence[Say]) -> Pcm:
    """A leg's audio: a tone of the given peak for each stretch."""
    parts = []
    for say in script:
        n = np.arange(round(say.seconds * RATE))
        parts.append((say.peak * np.cos(n * 0.7)).astype(np.int16))
    return np.concatenate(parts)


def blocks(**legs: Pcm) -> list[dict[Leg, Frame]]:
    """Blocks of 100 ms of the named legs, the shorter ones filled up with silence."""
    length = max(len(pcm) for pcm in legs.values())
    padded = {Leg(name): np.pad(pcm, (0, length - len(pcm))) for name, pcm in legs.items()}
    return [
        {leg: Frame(pcm[at : at + BLOCK], RATE, at / RATE) for leg, pcm in padded.items()}
        for at in range(0, length, BLOCK)
    ]
