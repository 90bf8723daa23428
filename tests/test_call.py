"""One call, its stages scripted: what comes out, in which order, and what never may."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar, cast

import pytest

from tests.fakes import (
    RATE,
    AmplitudeModel,
    LevelDetector,
    NoResponse,
    Say,
    ScriptedEngine,
    audio,
    blocks,
)
from voicebot.call import Call, Stages
from voicebot.emotion.listener import CallerEmotion, EmotionParams
from voicebot.escalation.escalation import EscalationParams
from voicebot.escalation.rules import RuleMatcher, load_default_rules
from voicebot.events import (
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
    Frame,
    Leg,
    Partial,
    State,
    Transcript,
    UtteranceStarted,
)
from voicebot.speech.endpointing import Endpointer, EndpointingParams
from voicebot.speech.recognizer_pool import BusyError

EventT = TypeVar("EventT", bound=Event)
CALM, ANGRY = 1000, 6000
PAUSE = Say(1.5)


def stages(engine: ScriptedEngine | None, *legs: Leg, **changes: Any) -> Stages:
    parts: dict[str, Any] = {
        "endpointers": {
            leg: Endpointer(LevelDetector(), EndpointingParams(), RATE) for leg in legs
        },
        "speech": engine,
        "second_pass": None,
        "emotion": CallerEmotion(cast(Any, AmplitudeModel()), None, EmotionParams()),
        "rules": RuleMatcher(load_default_rules()),
        "escalation": EscalationParams(),
        "responder": cast(Any, NoResponse()),
    }
    return Stages(**{**parts, **changes})


def started(*legs: Leg) -> CallStarted:
    return CallStarted(
        call_id="c", leg=None, t=0.0, source="test", legs=legs, rate=RATE, language="en",
        engine="scripted:test", started_at="2026-01-01T00:00:00+00:00", version="0",
    )  # fmt: skip


def run(
    engine: ScriptedEngine | None,
    heard: list[dict[Leg, Frame]],
    *,
    reason: str = "end_of_audio",
    during: Callable[[Call], None] | None = None,
    **changes: Any,
) -> list[Event]:
    legs = tuple(heard[0])
    events: list[Event] = []
    call = Call(started(*legs), stages(engine, *legs, **changes), events.append)
    call.start()
    for block in heard:
        call.push(block)
    if during:
        during(call)
    call.end(reason)
    return events


def of(events: list[Event], kind: type[EventT]) -> list[EventT]:
    return [e for e in events if isinstance(e, kind)]


def speech(*peaks: int, seconds: float = 4.0) -> list[Say]:
    script = [Say(0.5)]
    for peak in peaks:
        script += [Say(seconds, peak), PAUSE]
    return script


def test_the_life_of_one_utterance_in_order() -> None:
    events = run(ScriptedEngine(["one two three four five"]), blocks(caller=audio(speech(CALM))))
    assert isinstance(events[0], CallStarted)
    assert isinstance(events[-1], CallEnded)
    order = [e.type for e in events if not (isinstance(e, Emotion | Evidence) and not e.settled)]
    assert order == [
        "call_started", "utterance_started", "partial", "partial", "partial", "partial", "partial",
        "final", "emotion", "evidence", "call_ended",
    ]  # fmt: skip
    assert [e.t for e in events] == sorted(e.t for e in events), "the audio clock never goes back"
    (final,) = of(events, Final)
    (begun,) = of(events, UtteranceStarted)
    assert final.start == begun.start == pytest.approx(0.2, abs=0.05), "0.3 s of pre-roll"
    assert final.end == pytest.approx(4.5, abs=0.05)
    assert final.text == "one two three four five"
    assert of(events, Partial)[0].text == "one"


def test_persistent_anger_escalates_and_asks_the_responder() -> None:
    engine = ScriptedEngine([f"sentence {n}" for n in range(5)])
    events = run(engine, blocks(caller=audio(speech(CALM, ANGRY, ANGRY, ANGRY, ANGRY))))
    assert [s.state for s in of(events, State)] == [
        EscalationState.RISING, EscalationState.ESCALATED,
    ]  # fmt: skip
    alert = of(events, Alert)[0]
    assert alert.reason == "persistent_anger"
    assert [q.text for q in alert.evidence][:2] == ["sentence 1", "sentence 2"]
    actions = of(events, Action)
    assert [a.detail for a in actions][:3] == ["state", "state", "alert"]
    assert actions[2].alert_id == alert.alert_id
    assert events.index(actions[2]) == events.index(alert) + 1
    ended = of(events, CallEnded)[0]
    assert ended.alerts == 1
    assert ended.peak_evidence >= of(events, Evidence)[0].threshold


def test_one_loud_burst_does_not() -> None:
    engine = ScriptedEngine(["calm", "burst", "calm", "calm"])
    events = run(engine, blocks(caller=audio(speech(CALM, 32000, CALM, CALM, seconds=9))))
    assert of(events, Alert) == []


def test_the_agents_emotion_is_never_scored() -> None:
    engine = ScriptedEngine([f"i am furious {n}" for n in range(6)])
    heard = blocks(agent=audio(speech(*[ANGRY] * 6)))
    events = run(engine, heard)
    assert len(of(events, Final)) == 6
    assert not of(events, Emotion)
    assert not of(events, Evidence)
    assert not of(events, Alert)


def test_two_legs_are_two_transcripts_and_one_record() -> None:
    engine = ScriptedEngine(["hello", "good morning"])
    heard = blocks(
        caller=audio([Say(0.5), Say(2, CALM), Say(4)]),
        agent=audio([Say(3.03), Say(2, ANGRY), Say(1.47)]),
    )
    events = run(engine, heard)
    assert [(f.leg, f.text, f.utterance) for f in of(events, Final)] == [
        (Leg.CALLER, "hello", 1), (Leg.AGENT, "good morning", 1),
    ]  # fmt: skip
    assert [e.t for e in events] == sorted(e.t for e in events)
    ended = of(events, CallEnded)[0]
    assert ended.speech_seconds == pytest.approx({"caller": 2.0, "agent": 2.0}, abs=0.03)
    assert {e.leg for e in of(events, Emotion)} == {Leg.CALLER}


def test_a_rule_opens_an_alert_with_what_was_said() -> None:
    engine = ScriptedEngine(["hello", "let me talk to your manager"])
    events = run(engine, blocks(caller=audio(speech(CALM, CALM))))
    (alert,) = of(events, Alert)
    assert alert.reason == "asks_for_human"
    assert [q.text for q in alert.evidence] == ["let me talk to your manager"]
    assert alert.evidence[0].anger is not None


def test_without_a_recogniser_the_voice_alone_is_evidence() -> None:
    events = run(None, blocks(caller=audio(speech(ANGRY, ANGRY, ANGRY))))
    assert not of(events, Final)
    assert not of(events, Partial)
    alert = of(events, Alert)[0]
    assert {q.text for q in alert.evidence} == {""}
    assert all(e.modalities["text"] is None for e in of(events, Emotion))


def test_abstentions_are_counted_and_no_score_is_made_up() -> None:
    engine = ScriptedEngine(["whisper"])
    events = run(engine, blocks(caller=audio(speech(80))))
    assert not of(events, Emotion)
    assert not of(events, Evidence)
    assert of(events, CallEnded)[0].abstained == {"acoustic_silent": 1}


@pytest.mark.parametrize(("lost", "scored"), [(0.05, True), (0.15, False)])
def test_speech_that_was_largely_concealed_is_not_scored(lost: float, scored: bool) -> None:
    heard = blocks(caller=audio(speech(ANGRY)))
    gappy = [
        {
            leg: replace(frame, concealed=((frame.start, frame.start + lost * 0.1),))
            for leg, frame in block.items()
        }
        for block in heard
    ]
    events = run(ScriptedEngine(["one two three four five"]), gappy)
    assert bool(of(events, Emotion)) is scored
    assert of(events, Final), "its words are there all the same"
    assert of(events, CallEnded)[0].abstained == ({} if scored else {"acoustic_concealed": 1})


def test_what_the_line_says_is_in_the_record_until_the_end() -> None:
    def press(call: Call) -> None:
        call.tell(Digit(call_id=call.id, leg=Leg.CALLER, t=call.t, digit="5", seconds=0.1))

    events = run(ScriptedEngine([]), blocks(caller=audio([Say(1.0)])), during=press)
    (digit,) = of(events, Digit)
    assert digit.t == pytest.approx(1.0)
    call = Call(started(Leg.CALLER), stages(None, Leg.CALLER), events.append)
    call.end("hangup")
    press(call)
    assert len(of(events, Digit)) == 1, "nothing follows the end"


def test_the_end_of_the_audio_closes_what_is_being_said() -> None:
    engine = ScriptedEngine(["cut off in the"])
    events = run(engine, blocks(caller=audio([Say(0.5), Say(2, ANGRY)])), reason="interrupted")
    (final,) = of(events, Final)
    assert final.text == "cut off in the"
    assert engine.leases[0].ended == "finished"
    assert of(events, CallEnded)[0].reason == "interrupted"


def test_the_end_comes_once() -> None:
    def twice(call: Call) -> None:
        call.end("end_of_audio")

    events = run(None, blocks(caller=audio([Say(1)])), during=twice)
    assert len(of(events, CallEnded)) == 1


def test_an_abandoned_call_gives_its_recognisers_back() -> None:
    engine = ScriptedEngine(["never finished"])
    heard = blocks(caller=audio([Say(0.5), Say(2, CALM)]))
    events = run(engine, heard, during=Call.abandon)
    assert engine.leases[0].ended == "abandoned"
    assert of(events, CallEnded) == []


def test_when_every_recogniser_is_busy_only_the_words_are_lost() -> None:
    class Busy(ScriptedEngine):
        def open(self, rate: int, start: float) -> Any:
            raise BusyError("all recognisers are leased", "raise stt.pool_limit")

    events = run(Busy([]), blocks(caller=audio(speech(ANGRY))))
    assert of(events, Final) == []
    assert len([e for e in of(events, Emotion) if e.settled]) == 1
    assert of(events, CallEnded)[0].abstained == {"stt_busy": 1}


def test_the_second_pass_replaces_the_text_and_both_are_kept() -> None:
    class Second:
        def reread(self, pcm: Any, rate: int, language: str) -> Transcript:
            return Transcript("better words", 0.9, language, "whisper:test")

    engine = ScriptedEngine(["batter word"])
    events = run(engine, blocks(caller=audio(speech(CALM))), second_pass=Second())
    (final,) = of(events, Final)
    assert (final.text, final.engine, final.confidence) == ("better words", "whisper:test", 0.9)
    assert final.first_pass is not None
    assert final.first_pass.text == "batter word"


def test_the_same_audio_gives_the_same_record_in_any_block_size() -> None:
    pcm = audio(speech(CALM, ANGRY, ANGRY, ANGRY))

    def record(block: int) -> list[str]:
        heard = [
            {Leg.CALLER: Frame(pcm[at : at + block], RATE, at / RATE)}
            for at in range(0, len(pcm), block)
        ]
        lines = []
        for event in run(ScriptedEngine([f"s {n}" for n in range(4)]), heard):
            line = {**json.loads(event.to_json()), "alert_id": None}
            lines.append(json.dumps(line))
        return lines

    assert record(800) == record(800)
    settled = ('"final"', '"state"', '"call_ended"')
    assert [x for x in record(800) if any(s in x for s in settled)] == [
        x for x in record(160) if any(s in x for s in settled)
    ]


def test_an_empty_second_reading_does_not_wipe_out_the_first() -> None:
    class Deaf:
        def reread(self, pcm: Any, rate: int, language: str) -> Transcript:
            return Transcript("", 0.0, language, "whisper:test")

    events = run(ScriptedEngine(["clear words"]), blocks(caller=audio(speech(CALM))),
                 second_pass=Deaf())  # fmt: skip
    (final,) = of(events, Final)
    assert (final.text, final.first_pass) == ("clear words", None)


def test_an_agent_who_speaks_meanwhile_does_not_let_the_evidence_leak() -> None:
    caller = [*speech(ANGRY), Say(0.5), Say(12, CALM // 2), Say(2)]
    quiet = run(ScriptedEngine(["a", "b"]), blocks(caller=audio(caller)))
    engine = ScriptedEngine(["a", "b", "mm", "mm", "mm"])
    agent = [Say(7.0), Say(0.6, CALM), Say(2), Say(0.6, CALM), Say(2), Say(0.6, CALM), Say(8)]
    busy = run(engine, blocks(caller=audio(caller), agent=audio(agent)))
    assert [(s.state, s.t) for s in of(busy, State)] == [(s.state, s.t) for s in of(quiet, State)]


def test_an_interrupted_call_ends_without_finishing_what_was_said() -> None:
    engine = ScriptedEngine(["never finished"])
    heard = blocks(caller=audio([Say(0.5), Say(2, CALM)]))
    events = run(engine, heard, during=lambda call: call.end("interrupted", finish=False))
    assert engine.leases[0].ended == "abandoned"
    assert of(events, Final) == []
    assert of(events, CallEnded)[0].reason == "interrupted"
