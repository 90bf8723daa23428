"""One call: the only place that joins the stages.

Audio goes in block by block and events come out, in the order of the audio
clock and on the caller's own thread: nothing here sleeps or reads a clock, so
the same audio gives the same events however fast it is fed.  (The one wait is
for a free recogniser, where more legs speak at once than the pool has.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from voicebot.audio.concealment import ConcealedAudio
from voicebot.candidate import Heard
from voicebot.emotion.listener import CallerEmotion, Reading
from voicebot.emotion.windows import RunningWindow
from voicebot.escalation.actions import Responder
from voicebot.escalation.escalation import Escalation, EscalationParams
from voicebot.escalation.rules import RuleMatcher
from voicebot.events import (
    Alert,
    CallEnded,
    CallStarted,
    Emotion,
    EmotionScore,
    Event,
    Final,
    Frame,
    Leg,
    Partial,
    Pcm,
    State,
    UtteranceStarted,
)
from voicebot.shadow import ShadowCall
from voicebot.speech.endpointing import Closed, Continued, Endpoint, Endpointer, Opened
from voicebot.speech.recognizer import SpeechEngine, UtteranceRecognizer
from voicebot.speech.recognizer_pool import BusyError
from voicebot.speech.second_pass import SecondPass

log = structlog.get_logger()

LOOK_SECONDS = 1.0
"""s; how often time alone is looked at while the caller says nothing."""
LONGEST_SECONDS = 70.0
"""s; the longest utterance that can be configured, with its pauses."""


@dataclass(frozen=True, slots=True)
class Stages:
    """What a call is made of.  Models are shared between calls, endpointers are its own."""

    endpointers: Mapping[Leg, Endpointer]
    speech: SpeechEngine | None
    """None: nothing is transcribed"""
    second_pass: SecondPass | None
    emotion: CallerEmotion
    rules: RuleMatcher
    escalation: EscalationParams
    responder: Responder
    shadow: ShadowCall | None = None
    """tries candidates on what the caller says; None where there are none"""


class _Leg:
    """The utterance that one leg is in, and what was counted so far."""

    def __init__(self, endpointer: Endpointer) -> None:
        self.endpointer = endpointer
        self.concealed = ConcealedAudio(LONGEST_SECONDS)
        self.lease: UtteranceRecognizer | None = None
        self.window: RunningWindow | None = None
        """of the caller's utterance that is going on; None while the leg is quiet"""
        self.utterance = 0
        self.start = 0.0
        self.speech_seconds = 0.0


class Call:
    """One call from its first frame to its end.

    Args:
        started: The first event, which also names the call and its legs.
        stages: What the call is made of.
        emit: Takes every event as it happens.
    """

    def __init__(self, started: CallStarted, stages: Stages, emit: Callable[[Event], None]) -> None:
        self._started = started
        self._id = started.call_id
        self._stages = stages
        self._emit = emit
        self._legs = {leg: _Leg(e) for leg, e in stages.endpointers.items()}
        self._escalation = Escalation(
            started.call_id, stages.escalation, stages.emotion.params.baseline
        )
        self._rule_fired: dict[str, float] = {}
        self._abstained: Counter[str] = Counter()
        self._t = 0.0
        self._next_look = 0.0
        self._ended = False

    @property
    def id(self) -> str:
        """Of the call, as in its events."""
        return self._id

    @property
    def t(self) -> float:
        """Audio clock, in seconds."""
        return self._t

    def start(self) -> None:
        """Announce the call."""
        self._emit(self._started)

    def tell(self, event: Event) -> None:
        """Put into the record what the line says, between two blocks; nothing after the end."""
        if not self._ended:
            self._emit(event)

    def push(self, block: Mapping[Leg, Frame]) -> None:
        """Take one block of audio of every leg, in step on the audio clock."""
        happenings: list[tuple[Leg, Endpoint]] = []
        for leg, frame in block.items():
            self._t = max(self._t, frame.end)
            self._legs[leg].concealed.add(frame.concealed, frame.end)
            happenings += ((leg, h) for h in self._legs[leg].endpointer.push(frame))
        # The legs' frames end at different times within a block; the record keeps to the clock.
        for leg, happening in sorted(happenings, key=lambda pair: pair[1].t):
            self._happened(leg, happening)
        self._pass_time()

    def end(self, reason: str, *, finish: bool = True) -> None:
        """Close the call with its last event.  May be called twice.

        Args:
            reason: As in :class:`~voicebot.events.CallEnded`.
            finish: Whether what is being said is finished and scored; False
                where :meth:`push` was interrupted in the middle.
        """
        if self._ended:
            return
        self._ended = True
        if finish:
            for leg, state in self._legs.items():
                for happening in state.endpointer.flush(self._t):
                    self._happened(leg, happening)
        self._give_back()
        if self._stages.shadow:
            self._stages.shadow.ended()
        self._emit(
            CallEnded(
                call_id=self._id, leg=None, t=self._t, duration=self._t, reason=reason,
                speech_seconds={leg: s.speech_seconds for leg, s in self._legs.items()},
                utterances=sum(s.utterance for s in self._legs.values()),
                alerts=self._escalation.alerts, peak_evidence=self._escalation.peak,
                abstained=dict(sorted(self._abstained.items())),
            )
        )  # fmt: skip

    def abandon(self) -> None:
        """Give the recognisers back without an end: for when a stage has failed."""
        self._ended = True
        self._give_back()

    def _give_back(self) -> None:
        """Return the recognisers that are still leased."""
        for state in self._legs.values():
            if state.lease is not None:
                state.lease.abandon()
                state.lease = None

    # ------------------------------------------------------------ speech

    def _happened(self, leg: Leg, happening: Endpoint) -> None:
        """An utterance began, goes on or is over."""
        state = self._legs[leg]
        match happening:
            case Opened():
                self._opened(leg, state, happening)
            case Continued():
                self._heard(leg, state, happening.pcm, happening.t)
            case Closed():
                self._closed(leg, state, happening)

    def _opened(self, leg: Leg, state: _Leg, opened: Opened) -> None:
        state.utterance += 1
        state.start = opened.start
        if self._stages.speech:
            try:
                state.lease = self._stages.speech.open(self._started.rate, opened.start)
            except BusyError:
                # The utterance is still heard for its emotion; only its words are lost.
                self._abstained["stt_busy"] += 1
                log.warning("stt_busy", call_id=self._id, leg=leg.value, t=opened.t)
        if leg is Leg.CALLER:
            state.window = RunningWindow(self._stages.emotion.params.windows, self._started.rate)
        self._emit(
            UtteranceStarted(
                call_id=self._id, leg=leg, t=opened.t, utterance=state.utterance,
                start=opened.start,
            )
        )  # fmt: skip
        self._heard(leg, state, opened.pcm, opened.t)

    def _heard(self, leg: Leg, state: _Leg, pcm: Pcm, t: float) -> None:
        """Audio of an utterance that goes on."""
        speech = self._stages.speech
        if state.lease and speech and (guess := state.lease.accept(pcm)):
            self._emit(
                Partial(
                    call_id=self._id, leg=leg, t=t, utterance=state.utterance, text=guess.text,
                    start=state.start, end=guess.end, language=speech.language, engine=speech.name,
                )
            )  # fmt: skip
        window = state.window.push(pcm) if state.window else None
        if window is None:
            return
        seconds = len(window) / self._started.rate
        reading = self._stages.emotion.running(
            window, self._started.rate, seconds, state.concealed.share(t - seconds, t)
        )
        if fused := reading.fused:
            self._tell_emotion(state, reading, fused.score, t - seconds, t, t, settled=False)
            self._emit(self._escalation.provisional(fused, state.start, t, t - state.start))

    def _closed(self, leg: Leg, state: _Leg, closed: Closed) -> None:
        """An utterance is over: settle its text, its emotion, the evidence and what follows."""
        state.speech_seconds += closed.speech_seconds
        state.window = None
        final = self._settle_text(leg, state, closed)
        anger = self._settle_emotion(state, closed, final) if leg is Leg.CALLER else None
        hits = self._stages.rules.match(final, self._rule_fired) if final else ()
        self._rule_fired.update({hit.rule: hit.start for hit in hits})
        if hits or leg is Leg.CALLER or not self._caller_speaks:
            for event in self._escalation.decide(hits, closed.t, anger):
                self._act(event)

    def _settle_text(self, leg: Leg, state: _Leg, closed: Closed) -> Final | None:
        """The final text, re-read by the second pass if there is one."""
        if self._stages.speech is None:
            return None
        lease, state.lease = state.lease, None
        first = lease.finish() if lease else None
        second, language = self._stages.second_pass, self._stages.speech.language
        reread = second.reread(closed.pcm, self._started.rate, language) if second else None
        # An empty second reading is Whisper's silence, no reason to lose what was heard first.
        chosen = reread if reread and reread.text else (first or reread)
        if chosen is None:
            return None
        final = Final(
            call_id=self._id, leg=leg, t=closed.t, utterance=state.utterance,
            text=chosen.text, start=closed.start, end=closed.end, confidence=chosen.confidence,
            language=chosen.language, engine=chosen.engine, words=chosen.words,
            first_pass=first if chosen is reread else None,
        )  # fmt: skip
        self._emit(final)
        return final

    # ------------------------------------------------------------ emotion and escalation

    def _settle_emotion(self, state: _Leg, closed: Closed, final: Final | None) -> float | None:
        """Score the caller's finished utterance; return its anger, None if the models abstain."""
        reading = self._stages.emotion.settled(
            closed.pcm, self._started.rate, closed.speech_seconds, final,
            concealed := state.concealed.share(closed.start, closed.end),
        )  # fmt: skip
        self._abstained.update(reading.abstained)
        if self._stages.shadow:
            heard = Heard(closed, self._started.rate, final, reading, concealed)
            self._stages.shadow.settled(heard)
        fused = reading.fused
        if fused is None:
            return None
        start, end, t = closed.start, closed.end, closed.t
        self._tell_emotion(state, reading, fused.score, start, end, t, settled=True)
        self._emit(
            self._escalation.settle(
                fused, start, end, closed.speech_seconds, final.text if final else "", t
            )
        )
        return fused.score.anger

    def _tell_emotion(
        self,
        state: _Leg,
        reading: Reading,
        score: EmotionScore,
        start: float,
        end: float,
        t: float,
        *,
        settled: bool,
    ) -> None:
        self._emit(
            Emotion(
                call_id=self._id, leg=Leg.CALLER, t=t, utterance=state.utterance,
                start=max(0.0, start), end=end, probabilities=score.probabilities,
                anger=score.anger,
                modalities={"acoustic": reading.acoustic, "text": reading.text}, settled=settled,
                models=reading.models,
            )
        )  # fmt: skip

    @property
    def _caller_speaks(self) -> bool:
        """Whether the caller is in an utterance, in which evidence does not leak."""
        caller = self._legs.get(Leg.CALLER)
        return caller is not None and caller.window is not None

    def _pass_time(self) -> None:
        """Let evidence leak and states end while the caller says nothing."""
        if self._t < self._next_look or self._caller_speaks:
            return
        self._next_look = self._t + LOOK_SECONDS
        for event in self._escalation.decide((), self._t):
            self._act(event)

    def _act(self, event: State | Alert) -> None:
        """Tell of a state or an alert, and what is done about it."""
        self._emit(event)
        for action in self._stages.responder.respond(event):
            self._emit(action)
