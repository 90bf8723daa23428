"""Events as plain lines of text, for logs, pipes and people without a terminal."""

from __future__ import annotations

from voicebot.events import (
    Action,
    Alert,
    CallEnded,
    CallStarted,
    Digit,
    Emotion,
    Event,
    Evidence,
    Final,
    LineState,
    State,
    Transfer,
)


def clock(seconds: float) -> str:
    """Audio clock as minutes and seconds.

    Example:
        >>> clock(83.46)
        '01:23.5'
    """
    tenths = round(seconds * 10)
    return f"{tenths // 600:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"


def lines(event: Event) -> list[str]:
    """The lines that tell a reader about one event; none for what only a live view shows."""
    at = clock(event.t)
    match event:
        case CallStarted():
            legs = "+".join(event.legs)
            return [
                f"{at} call {event.source}: {legs}, {event.rate} Hz, "
                f"language {event.language}, engine {event.engine}"
            ]
        case Final():
            said = f"“{event.text}”" if event.text else "(no words recognised)"
            return [f"{at} {event.leg or '':<6} {said} ({event.confidence:.2f})"]
        case Emotion(settled=True):
            strongest = max(event.probabilities, key=lambda name: event.probabilities[name])
            parts = [
                f"{name} {'abstained' if value is None else f'{value:.2f}'}"
                for name, value in event.modalities.items()
            ]
            return [f"{at} anger  {event.anger:.2f} ({', '.join(parts)}); mostly {strongest}"]
        case Evidence(settled=True):
            return [f"{at} evidence {event.evidence:.2f} of {event.threshold:.2f} nats"]
        case State():
            return [f"{at} STATE  {event.previous.value} → {event.state.value}: {event.reason}"]
        case Alert():
            kind = "updated" if event.update else "opened"
            head = f"{at} ALERT  {event.severity.value} {kind}: {event.reason}"
            return [
                head,
                *(
                    f"         {clock(q.start)}-{clock(q.end)} "
                    f"{'' if q.anger is None else f'anger {q.anger:.2f} '}“{q.text}”"
                    for q in event.evidence
                ),
            ]
        case Action():
            return [f"{at} action {event.action}: {event.detail}"]
        case Digit():
            return [f"{at} {event.leg or '':<6} pressed {event.digit}"]
        case LineState():
            return [f"{at} {event.leg or '':<6} line {event.state.value}"]
        case Transfer():
            how = f" ({event.detail})" if event.detail else ""
            after = "" if event.result == "started" else f" after {event.seconds:.1f} s"
            return [f"{at} transfer {event.attempt} to {event.target}: {event.result}{how}{after}"]
        case CallEnded():
            spoken = ", ".join(f"{leg} {s:.0f} s" for leg, s in event.speech_seconds.items())
            return [
                f"{at} call ended ({event.reason}): {event.utterances} utterances, "
                f"speech {spoken or 'none'}, {event.alerts} alert(s), "
                f"peak evidence {event.peak_evidence:.2f} nats"
            ]
        case _:
            return []
