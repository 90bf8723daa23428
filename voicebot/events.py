"""What flows through a call.

Two kinds of frozen dataclasses live here, with the unit under each field:

* **values** that one stage hands to the next (:class:`Frame`,
  :class:`Transcript`, ...), which never leave the process, and
* **events** (subclasses of :class:`Event`), the public record of a call.  An
  event is one JSON object, one line of ``--events``, and is described by
  ``voicebot/assets/events.schema.json``.

Every ``t``, ``start`` and ``end`` is on the *audio clock*: seconds of audio
since the call began.  Wall-clock time appears in ``started_at`` alone, so the
same audio always gives the same events apart from identifiers.
"""

from __future__ import annotations

import json
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from voicebot.plain import from_plain, to_plain

Pcm = npt.NDArray[np.int16]
"""Mono linear PCM, shape ``(samples,)``, dtype int16."""

Span = tuple[float, float]
"""Start and end, in seconds on the audio clock."""

Probabilities = Mapping[str, float]
"""Emotion name (see :data:`EMOTIONS`) to probability, 0-1, summing to one."""

EMOTIONS: typing.Final = (
    "anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise",
)  # fmt: skip
"""The classes of every emotion model, in the order of its outputs."""


class Leg(StrEnum):
    """One side of a call.  Only the caller's emotion is ever scored."""

    CALLER = "caller"
    AGENT = "agent"


class EscalationState(StrEnum):
    """How far a call has escalated."""

    CALM = "CALM"
    RISING = "RISING"
    ESCALATED = "ESCALATED"
    COOLING = "COOLING"


class LegState(StrEnum):
    """How the audio of a leg comes from the phone line."""

    LIVE = "live"
    HELD = "held"
    """on hold: silence is as it should be"""
    SILENT = "silent"
    """nothing has come for a while, and nobody said why"""


class Severity(StrEnum):
    """How urgent an alert is, least first."""

    INFORMATION = "information"
    COACHING = "coaching"
    CRITICAL = "critical"


# ---------------------------------------------------------------- values


@dataclass(frozen=True, slots=True)
class Frame:
    """A short block of audio of one leg.  Sources give 100 ms at a time; any length is taken."""

    pcm: Pcm
    """samples"""
    rate: int
    """Hz"""
    start: float
    """s, audio clock"""
    concealed: tuple[Span, ...] = ()
    """what of it was made up for audio that never came, in order"""

    @property
    def end(self) -> float:
        """Audio clock at the end of the frame, in seconds."""
        return self.start + len(self.pcm) / self.rate


@dataclass(frozen=True, slots=True)
class Word:
    """One recognised word."""

    text: str
    start: float
    """s, audio clock"""
    end: float
    """s, audio clock"""
    confidence: float
    """0-1"""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What a recogniser thinks so far of an utterance that is still going on."""

    text: str
    end: float
    """s, audio clock up to which audio was heard"""


@dataclass(frozen=True, slots=True)
class Transcript:
    """The finished text of one utterance."""

    text: str
    confidence: float
    """0-1; how far the engine trusts its own words"""
    language: str
    """ISO 639-1"""
    engine: str
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class EmotionScore:
    """What one model, or the fusion of two, says of a stretch of speech."""

    probabilities: Probabilities
    anger_logit: float
    """nats; calibrated log-odds of anger against everything else"""

    @property
    def anger(self) -> float:
        """Calibrated probability of anger, 0-1."""
        return 0.5 + 0.5 * math.tanh(self.anger_logit / 2)  # the logistic, without overflow


@dataclass(frozen=True, slots=True)
class Quote:
    """One utterance that an alert rests on."""

    start: float
    """s, audio clock"""
    end: float
    """s, audio clock"""
    text: str
    anger: float | None
    """0-1; None where it was not scored: an agent's words, or too little speech"""


# ---------------------------------------------------------------- events


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the public record of a call."""

    type: ClassVar[str] = ""
    call_id: str
    leg: Leg | None
    """None where the event belongs to the call and not to one leg"""
    t: float
    """s, audio clock"""

    def to_dict(self) -> dict[str, Any]:
        """The event as plain JSON types; times and scores rounded to 1e-4."""
        return {
            "type": self.type,
            **{f.name: to_plain(getattr(self, f.name)) for f in fields(self)},
        }

    def to_json(self) -> str:
        """The event as one line of JSON, without the newline."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStarted(Event):
    """A call was opened."""

    type: ClassVar[str] = "call_started"
    source: str
    legs: tuple[Leg, ...]
    rate: int
    """Hz"""
    language: str
    """ISO 639-1, or ``none`` when nothing is transcribed"""
    engine: str
    """speech-to-text engine, or ``none``"""
    started_at: str
    """ISO 8601, wall clock, UTC"""
    version: str
    """of voicebot"""


@dataclass(frozen=True, slots=True, kw_only=True)
class UtteranceStarted(Event):
    """The VAD is sure that somebody began to speak."""

    type: ClassVar[str] = "utterance_started"
    utterance: int
    """number within the leg, from 1"""
    start: float
    """s; earlier than ``t`` by the pre-roll and the time to be sure"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial(Event):
    """The text of an utterance so far; it may still change."""

    type: ClassVar[str] = "partial"
    utterance: int
    text: str
    start: float
    """s"""
    end: float
    """s"""
    language: str
    engine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Final(Event):
    """The finished text of an utterance.  Text is empty if no word was recognised."""

    type: ClassVar[str] = "final"
    utterance: int
    text: str
    start: float
    """s"""
    end: float
    """s"""
    confidence: float
    """0-1"""
    language: str
    engine: str
    words: tuple[Word, ...] = ()
    first_pass: Transcript | None = None
    """what the streaming engine had heard, where a second pass replaced it"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Emotion(Event):
    """An emotion score of the caller.  Where the models abstain there is no event."""

    type: ClassVar[str] = "emotion"
    utterance: int
    start: float
    """s"""
    end: float
    """s"""
    probabilities: Probabilities
    anger: float
    """0-1, calibrated, both modalities fused"""
    modalities: Mapping[str, float | None]
    """anger 0-1 by ``acoustic`` and ``text``; None where one abstained"""
    settled: bool
    """False for a window of an utterance that goes on, True for the whole utterance"""
    models: Mapping[str, str] = field(default_factory=dict)
    """``NAME@VERSION`` of the models that scored, by ``acoustic`` and ``text``"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence(Event):
    """The evidence of persistent anger, as accumulated."""

    type: ClassVar[str] = "evidence"
    evidence: float
    """nats, never below zero"""
    threshold: float
    """nats, at which the call escalates"""
    change: float
    """nats, what the last observation added (before the floor at zero)"""
    angry_seconds: float
    """s of angry speech that this evidence rests on"""
    angry_utterances: int
    settled: bool
    """False while the utterance goes on: shown, but never escalated upon"""


@dataclass(frozen=True, slots=True, kw_only=True)
class State(Event):
    """The call went from one escalation state to another."""

    type: ClassVar[str] = "state"
    previous: EscalationState
    state: EscalationState
    evidence: float
    """nats"""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert(Event):
    """Somebody should look at this call, and why."""

    type: ClassVar[str] = "alert"
    alert_id: str
    severity: Severity
    reason: str
    """``persistent_anger`` or the name of a rule"""
    evidence: tuple[Quote, ...]
    update: bool = False
    """True when the one open alert of the call is repeated with more evidence"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action(Event):
    """Something was done, or put in the outbox to be done, because of a state or an alert."""

    type: ClassVar[str] = "action"
    action: str
    """``soothe``, ``notify``, ``webhook``, ``prompt``"""
    detail: str
    """what was said to whom, or where it was sent"""
    alert_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Digit(Event):
    """Somebody pressed a key of the telephone (DTMF)."""

    type: ClassVar[str] = "digit"
    digit: str
    """``0``-``9``, ``*``, ``#``, ``A``-``D``"""
    seconds: float
    """s that the key was held"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineState(Event):
    """The audio of a leg stopped coming, or came back."""

    type: ClassVar[str] = "line"
    state: LegState


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(Event):
    """One step of handing the caller over to a human agent."""

    type: ClassVar[str] = "transfer"
    alert_id: str
    target: str
    attempt: int
    """from 1, over all targets"""
    result: str
    """``started``; then ``done``, ``busy``, ``declined``, ``no_answer``, ``unreachable``,
    ``timeout``, ``unsupported`` or ``gone``"""
    detail: str
    """what the peer said, such as ``486 Busy Here``"""
    seconds: float
    """s since this attempt was started, by the wall clock"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded(Event):
    """A call was closed; nothing follows."""

    type: ClassVar[str] = "call_ended"
    duration: float
    """s of audio"""
    reason: str
    """``end_of_audio``, ``interrupted``, ``device_lost``, ``audio_error``; of a live call
    ``hangup``, ``transferred``, ``dead_line``, ``line_lost``, ``operator``, ``shutdown``, ..."""
    speech_seconds: Mapping[str, float]
    """s of speech by leg"""
    utterances: int
    alerts: int
    peak_evidence: float
    """nats"""
    abstained: Mapping[str, int] = field(default_factory=dict)
    """windows without a score, by reason"""


AnyEvent = (
    CallStarted | UtteranceStarted | Partial | Final | Emotion | Evidence | State | Alert | Action
    | Digit | LineState | Transfer | CallEnded
)  # fmt: skip
EVENT_TYPES: typing.Final[dict[str, type[Event]]] = {
    cls.type: cls for cls in typing.get_args(AnyEvent)
}


def from_dict(data: Mapping[str, Any]) -> Event:
    """Rebuild an event from :meth:`Event.to_dict`.

    Raises:
        ValueError: unknown ``type``, or a missing, unknown or ill-typed field.
    """
    cls = EVENT_TYPES.get(str(data.get("type")))
    if cls is None:
        raise ValueError(f"unknown event type {data.get('type')!r}")
    rebuilt = from_plain(cls, {k: v for k, v in data.items() if k != "type"})
    assert isinstance(rebuilt, Event)
    return rebuilt


def from_json(line: str) -> Event:
    """Rebuild an event from one line of JSON; errors as :func:`from_dict`."""
    data = json.loads(line)
    if not isinstance(data, dict):
        raise ValueError("an event is a JSON object")
    return from_dict(data)
