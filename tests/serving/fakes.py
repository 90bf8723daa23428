"""A line, an engine and callers that do as they are told, for the tests of serving."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from tests.fakes import AmplitudeModel, LevelDetector, NoResponse
from voicebot.call import Call, Stages
from voicebot.emotion.listener import CallerEmotion, EmotionParams
from voicebot.escalation.escalation import EscalationParams
from voicebot.escalation.rules import RuleMatcher, RulesParams
from voicebot.events import CallStarted, Event, Leg, Pcm
from voicebot.speech.endpointing import Endpointer, EndpointingParams
from voicebot.telephony.line import (
    Briefing,
    Ear,
    MediaFigures,
    Offer,
    Transferred,
    TransferResult,
)

RATE = 8000
CALM, ANGRY = 1000, 6000


def offer(*legs: Leg, called: str = "100") -> Offer:
    return Offer("test", uuid.uuid4().hex, "127.0.0.1:1", legs or (Leg.CALLER,), RATE, called)


def tone(seconds: float, peak: int = 0) -> Pcm:
    return np.full(round(seconds * RATE), peak, np.int16)


class Maker:
    """Makes calls whose stages are scripted: loudness is speech, and anger."""

    def __init__(self, broken_at: float | None = None) -> None:
        self.broken_at = broken_at
        """s on the audio clock at which a stage of the call fails"""

    def call(
        self, source: str, legs: Sequence[Leg], rate: int, emit: Callable[[Event], None]
    ) -> Call:
        started = CallStarted(
            call_id=uuid.uuid4().hex, leg=None, t=0.0, source=source, legs=tuple(legs), rate=rate,
            language="none", engine="none", started_at="2026-01-01T00:00:00+00:00", version="0",
        )  # fmt: skip
        stages = Stages(
            endpointers={
                leg: Endpointer(LevelDetector(), EndpointingParams(), rate) for leg in legs
            },
            speech=None,
            second_pass=None,
            emotion=CallerEmotion(cast(Any, AmplitudeModel()), None, EmotionParams()),
            rules=RuleMatcher(RulesParams()),
            escalation=EscalationParams(),
            responder=cast(Any, NoResponse()),
        )
        call = Call(started, stages, emit)
        if self.broken_at is not None:
            _break(call, self.broken_at)
        return call


def _break(call: Call, at: float) -> None:
    push = call.push

    def broken(block: Any) -> None:
        if call.t >= at:
            raise RuntimeError("a stage is broken")
        push(block)

    call.push = broken  # type: ignore[method-assign]


@dataclass
class FakeLine:
    """A line that answers transfers from a list."""

    outcomes: list[TransferResult] = field(default_factory=list)
    can_speak: bool = True
    ear: Ear | None = None
    played: list[Pcm] = field(default_factory=list)
    stopped: int = 0
    play_seconds: float = 0.0
    asked: list[tuple[str, Briefing]] = field(default_factory=list)
    hung_up: list[str] = field(default_factory=list)
    tells_end: bool = True
    """whether hanging up leads to the ear's being told"""

    def figures(self) -> Mapping[Leg, MediaFigures]:
        return {Leg.CALLER: MediaFigures("PCMU", packets=98, lost=2, jitter=0.0042)}

    async def play(self, pcm: Pcm) -> None:
        self.played.append(pcm)
        try:
            await asyncio.sleep(self.play_seconds)
        except asyncio.CancelledError:
            self.stopped += 1
            raise

    async def transfer(self, target: str, briefing: Briefing) -> Transferred:
        self.asked.append((target, briefing))
        await asyncio.sleep(0)
        return Transferred(self.outcomes.pop(0), "in its own words")

    async def hang_up(self, reason: str) -> None:
        self.hung_up.append(reason)
        if self.ear and self.tells_end:
            self.ear.ended(reason)
