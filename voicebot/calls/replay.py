"""A call that was heard once, judged under any evidence and policy, in milliseconds.

The observations go through the very same :class:`~voicebot.escalation.escalation.Escalation`
as those of a live call.
"""

from __future__ import annotations

from dataclasses import dataclass

from voicebot.calls.line import Levels
from voicebot.calls.record import Heard
from voicebot.escalation.escalation import Escalation, EscalationParams
from voicebot.events import Alert, EscalationState, State


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rule made of a call."""

    opened: tuple[float, ...]
    """s, audio clock; when an alert was opened"""
    told: tuple[float, ...]
    """s, audio clock; when an alert was opened or repeated"""
    peak: float = 0.0
    """nats, the most evidence there was"""

    @property
    def alert(self) -> float | None:
        """s; the first alert, None if there was none."""
        return self.opened[0] if self.opened else None


def replay(call: Heard, params: EscalationParams, levels: Levels) -> Outcome:
    """Put the utterances of a call through the escalation.

    Args:
        call: What was heard.
        params: Evidence and policy.
        levels: The prior of the caller's own level.
    """
    escalation = Escalation("", params, levels.of(call.facts), new_alert_id=str)
    opened: list[float] = []
    told: list[float] = []
    calm = True

    def note(events: list[State | Alert]) -> None:
        nonlocal calm
        for event in events:
            if isinstance(event, State):
                calm = event.state is EscalationState.CALM
            else:
                told.append(event.t)
                if not event.update:
                    opened.append(event.t)

    looks, look = call.looks, 0
    for seen in call.observations:
        while look < len(looks) and looks[look] < seen.t:
            if not calm:  # a call that is calm stays so while nobody speaks: evidence only leaks
                note(escalation.decide((), looks[look]))
            look += 1
        if seen.fused is not None:
            escalation.settle(seen.fused, seen.start, seen.end, seen.speech_seconds, "", seen.t)
        note(escalation.decide((), seen.t, seen.score.anger if seen.score else None))
    for t in looks[look:]:
        if not calm:
            note(escalation.decide((), t))
    return Outcome(tuple(opened), tuple(told), escalation.peak)
