"""One event of each type, for tests that must hold for all."""

from __future__ import annotations

from voicebot.events import (
    EMOTIONS,
    Action,
    Alert,
    CallEnded,
    CallStarted,
    Digit,
    Emotion,
    EscalationState,
    Event,
    Evidence,
    Final,
    Leg,
    LegState,
    LineState,
    Partial,
    Quote,
    Severity,
    State,
    Transcript,
    Transfer,
    UtteranceStarted,
    Word,
)

PROBABILITIES = {name: 0.4 if name == "anger" else 0.1 for name in EMOTIONS}

ONE_OF_EACH: tuple[Event, ...] = (
    CallStarted(
        call_id="c1", leg=None, t=0.0, source="call.wav", legs=(Leg.CALLER, Leg.AGENT), rate=8000,
        language="en", engine="moonshine:tiny-en", started_at="2026-01-02T03:04:05.678+00:00",
        version="0.1.0",
    ),
    UtteranceStarted(call_id="c1", leg=Leg.CALLER, t=1.3, utterance=1, start=1.0),
    Partial(
        call_id="c1", leg=Leg.CALLER, t=2.0, utterance=1, text="where is", start=1.0, end=2.0,
        language="en", engine="e",
    ),
    Final(
        call_id="c1", leg=Leg.CALLER, t=3.0, utterance=1, text="where is my parcel", start=1.0,
        end=2.4, confidence=0.8, language="en", engine="whisper:base",
        words=(Word("where", 1.0, 1.3, 0.9), Word("is", 1.3, 1.4, 0.7)),
        first_pass=Transcript("wear is my parcel", 0.5, "en", "vosk", (Word("wear", 1, 2, 0.5),)),
    ),
    Emotion(
        call_id="c1", leg=Leg.CALLER, t=3.0, utterance=1, start=1.0, end=2.4,
        probabilities=PROBABILITIES, anger=0.6, modalities={"acoustic": 0.7, "text": None},
        settled=True, models={"acoustic": "acoustic@shipped"},
    ),
    Evidence(
        call_id="c1", leg=Leg.CALLER, t=3.0, evidence=4.2, threshold=5.0, change=-0.3,
        angry_seconds=4.4, angry_utterances=2, settled=True,
    ),
    State(
        call_id="c1", leg=None, t=3.0, previous=EscalationState.CALM,
        state=EscalationState.RISING, evidence=4.2, reason="evidence is rising",
    ),
    Alert(
        call_id="c1", leg=Leg.CALLER, t=9.5, alert_id="a1", severity=Severity.CRITICAL,
        reason="persistent_anger", evidence=(Quote(1.0, 2.4, "where is my parcel", 0.6),),
    ),
    Action(call_id="c1", leg=None, t=9.5, action="webhook", detail="queued", alert_id="a1"),
    Digit(call_id="c1", leg=Leg.CALLER, t=9.6, digit="#", seconds=0.12),
    LineState(call_id="c1", leg=Leg.CALLER, t=9.7, state=LegState.HELD),
    Transfer(
        call_id="c1", leg=None, t=9.8, alert_id="a1", target="sip:agent@pbx", attempt=1,
        result="busy", detail="486 Busy Here", seconds=1.5,
    ),
    CallEnded(
        call_id="c1", leg=None, t=12.0, duration=12.0, reason="end_of_audio",
        speech_seconds={"caller": 4.5}, utterances=3, alerts=1, peak_evidence=5.5,
        abstained={"acoustic_too_short": 1},
    ),
)  # fmt: skip
