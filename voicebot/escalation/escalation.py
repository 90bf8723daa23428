"""The escalation of one call: scores and rule hits in, evidence, states and alerts out.

Joins the pure parts (evidence, policy) with what a
call has to remember between utterances; it returns events and has no side effects.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Sequence

from voicebot.emotion.baseline import BaselineParams
from voicebot.emotion.fusion import Fused
from voicebot.escalation import evidence, policy
from voicebot.escalation.evidence import EvidenceParams, EvidenceState, Observation
from voicebot.escalation.policy import (
    CloseAlert,
    OpenAlert,
    PolicyParams,
    PolicyState,
    Transition,
    UpdateAlert,
)
from voicebot.escalation.rules import RuleHit
from voicebot.events import Alert, Evidence, Leg, Quote, State
from voicebot.params import Params, key

QUOTES = 12
"""How many of the latest angry utterances an alert quotes; bounds what a call keeps."""


class EscalationParams(Params):
    """From scores to alerts."""

    evidence: EvidenceParams = key(EvidenceParams(), "How scores add up to evidence.")
    policy: PolicyParams = key(PolicyParams(), "When evidence becomes a state or an alert.")


class Escalation:
    """What one call has come to.

    Args:
        call_id: Of the call.
        params: Evidence and policy.
        own_level: The prior of the caller's own level.
        new_alert_id: Gives an identifier for each alert.
    """

    def __init__(
        self,
        call_id: str,
        params: EscalationParams,
        own_level: BaselineParams,
        new_alert_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self._call_id = call_id
        self._params = params
        self._new_alert_id = new_alert_id
        self._own_level = own_level
        self._evidence = evidence.begin(params.evidence, own_level)
        self._policy = PolicyState()
        self._quotes: deque[Quote] = deque(maxlen=QUOTES)
        self._alert_id: str | None = None
        self.alerts = 0
        self.peak = 0.0
        """nats; the most evidence there ever was"""

    def provisional(
        self, fused: Fused, start: float, end: float, speech_seconds: float
    ) -> Evidence:
        """What the evidence would be if the utterance ended now; nothing is remembered."""
        seen = _observation(fused, start, end, speech_seconds)
        return self._told(self._with(seen), end, settled=False)

    def settle(
        self,
        fused: Fused,
        start: float,
        end: float,
        speech_seconds: float,
        text: str,
        t: float,
    ) -> Evidence:
        """Take in what is known of a finished utterance of the caller.

        Args:
            fused: Voice and words.
            start: s, audio clock.
            end: s, audio clock; end of speech.
            speech_seconds: s of speech.
            text: What was said, to be quoted; empty if not transcribed.
            t: s, audio clock; now.
        """
        seen = _observation(fused, start, end, speech_seconds)
        self._evidence = self._with(seen)
        self.peak = max(self.peak, self._evidence.value)
        if self._evidence.last_angry == end:
            self._quotes.append(Quote(start, end, text, fused.score.anger))
        now = evidence.at(self._evidence, t, self._params.evidence)  # as decide() will see it
        return self._told(now, t, settled=True)

    def decide(
        self, hits: Sequence[RuleHit], t: float, anger: float | None = None
    ) -> list[State | Alert]:
        """Let the policy draw its conclusions.

        Args:
            hits: Rules that the last utterance set off; empty if only time has passed.
            t: s, audio clock; never decreasing.
            anger: 0-1, of the utterance that set the rules off; None if it was not scored.
        """
        now = evidence.at(self._evidence, t, self._params.evidence)
        self._policy, decisions = policy.decide(self._policy, now, hits, t, self._params.policy)
        events: list[State | Alert] = []
        for decision in decisions:
            match decision:
                case Transition():
                    events.append(
                        State(
                            call_id=self._call_id, leg=None, t=t, previous=decision.previous,
                            state=decision.state, evidence=decision.evidence,
                            reason=decision.reason,
                        )
                    )  # fmt: skip
                case OpenAlert() | UpdateAlert():
                    events.append(self._alert(decision, now, t, anger))
                case CloseAlert():
                    self._alert_id = None
        return events

    def _with(self, seen: Observation) -> EvidenceState:
        """The evidence with one utterance more."""
        return evidence.step(self._evidence, seen, self._params.evidence, self._own_level)

    def _alert(
        self, decision: OpenAlert | UpdateAlert, now: EvidenceState, t: float, anger: float | None
    ) -> Alert:
        if self._alert_id is None:
            self._alert_id = self._new_alert_id()
            self.alerts += 1
        since = now.since if now.since is not None else t
        quotes = {quote.start: quote for quote in self._quotes if quote.start >= since}
        for hit in decision.hits:
            start, end = hit.utterance_start, hit.utterance_end
            quotes.setdefault(start, Quote(start, end, hit.text, anger))
        return Alert(
            call_id=self._call_id, leg=Leg.CALLER, t=t, alert_id=self._alert_id,
            severity=decision.severity, reason=decision.reason,
            evidence=tuple(quotes[start] for start in sorted(quotes)),
            update=isinstance(decision, UpdateAlert),
        )  # fmt: skip

    def _told(self, now: EvidenceState, t: float, *, settled: bool) -> Evidence:
        return Evidence(
            call_id=self._call_id, leg=Leg.CALLER, t=t, evidence=now.value,
            threshold=self._params.policy.threshold_nats, change=now.change,
            angry_seconds=now.angry_seconds, angry_utterances=now.angry_utterances,
            settled=settled,
        )  # fmt: skip


def _observation(fused: Fused, start: float, end: float, speech_seconds: float) -> Observation:
    return Observation(
        start, end, speech_seconds, fused.voice, fused.voice_weight, fused.words or 0.0
    )
