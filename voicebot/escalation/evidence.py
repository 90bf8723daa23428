"""How sure we are that the caller has been angry for a while: a CUSUM, in nats.

One angry sentence is not a reason to call a supervisor; anger that lasts is.
That is a change-point question, so it is answered as one.  Every utterance of
the caller says by how much anger explains it better than calm does (its
log-likelihood ratio), and the sum of these, kept from falling below zero, is
the evidence (Page, "Continuous inspection schemes", Biometrika 41, 1954).  No
other rule crosses a threshold sooner for the same rate of false alarms
(Moustakides, "Optimal stopping times for detecting changes in distributions",
Annals of Statistics 14, 1986), if the observations are independent and their
distributions known.  Neither holds quite, hence what is added to Page's sum:

* seconds of one utterance repeat each other, so they are weighted by less than
  one, and no utterance adds more than a cap: a burst, however loud or long, is
  one observation;
* a caller's anger fades while nobody provokes it, so evidence leaks away in
  every second in which the caller does not speak.

Everything is pure: the same observations always give the same evidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

from pydantic import model_validator

from voicebot.params import Params, key

_GONE = 0.01
"""nats; what is left of evidence below this is called zero"""


class EvidenceParams(Params):
    """How observations add up to evidence."""

    nats_per_second: float = key(
        0.3,
        "Weight of one second of speech: what a log-likelihood ratio of 1 nat adds in a second. "
        "Below 1 because neighbouring seconds say much the same; raise it to alert sooner and "
        "more often. Clearly angry speech (1.5 nats) gains 0.45 nats a second, so that the "
        "default threshold of 4 is some 9 seconds away, plus what pauses take.",
        unit="nats/(nat s)", gt=0, le=5,
    )  # fmt: skip
    clip_nats: float = key(
        2.5,
        "Largest log-likelihood ratio, in either direction, that one utterance is believed to "
        "have. Keeps a model that is sure of nonsense from deciding alone.",
        unit="nats", gt=0, le=20,
    )  # fmt: skip
    utterance_cap_nats: float = key(
        2.4,
        "The most that one utterance can add, however long or loud. With escalation.policy."
        "rising_nats it must stay within escalation.policy.threshold_nats, so that no single "
        "burst can take a call from calm to an alert.",
        unit="nats", gt=0, le=50,
    )  # fmt: skip
    leak_seconds: float = key(
        60.0,
        "Time constant of forgetting: after so many seconds in which the caller says nothing, "
        "1/e (37 %) of the evidence is left. Raise it for lines with long waits.",
        unit="s", gt=0, le=3600,
    )  # fmt: skip
    angry_nats: float = key(
        1.0,
        "An utterance counts as angry (for minimum seconds and utterances) if its "
        "log-likelihood ratio is above this.",
        unit="nats", ge=0, le=10,
    )  # fmt: skip
    min_utterance_seconds: float = key(
        0.5,
        "An utterance with less speech than this adds evidence but is not counted as one of the "
        "angry utterances: a shouted 'no' after a long one is not a second witness.",
        unit="s", ge=0, le=10,
    )  # fmt: skip

    @model_validator(mode="after")
    def _angry_is_reachable(self) -> Self:
        if self.angry_nats >= self.clip_nats:
            raise ValueError(
                f"angry_nats ({self.angry_nats}) must be below clip_nats ({self.clip_nats}), "
                "or no utterance is ever angry"
            )
        return self


@dataclass(frozen=True, slots=True)
class Observation:
    """What one utterance of the caller, finished or going on, says about anger.

    Raises:
        ValueError: a time or ``llr`` is NaN, speech is negative, or the end is
            before the start.
    """

    start: float
    """s, audio clock"""
    end: float
    """s, audio clock"""
    speech_seconds: float
    """s of speech within it"""
    llr: float
    """nats; log-likelihood ratio of anger against calm, for this caller"""

    def __post_init__(self) -> None:
        if math.isnan(self.llr):
            raise ValueError("llr is not a number")
        if not (math.isfinite(self.start) and math.isfinite(self.end) and self.end >= self.start):
            raise ValueError(f"an observation from {self.start} s to {self.end} s")
        if not (math.isfinite(self.speech_seconds) and self.speech_seconds >= 0):
            raise ValueError(f"{self.speech_seconds} s of speech")

    @classmethod
    def from_logit(
        cls,
        start: float,
        end: float,
        speech_seconds: float,
        *,
        anger_logit: float,
        prior_logit: float = 0.0,
        baseline_offset: float = 0.0,
    ) -> Observation:
        """Make an observation of a calibrated score.

        By Bayes' rule posterior log-odds = prior log-odds + log-likelihood ratio.

        Args:
            start: Audio clock, s.
            end: Audio clock, s.
            speech_seconds: Speech within, s.
            anger_logit: Calibrated log-odds of anger, nats.
            prior_logit: Log-odds of anger among the data of the calibration, nats.
            baseline_offset: By how much this caller sounds angrier than callers
                do when calm, nats; zero while unknown.

        Raises:
            ValueError: as the class.
        """
        return cls(start, end, speech_seconds, anger_logit - prior_logit - baseline_offset)


@dataclass(frozen=True, slots=True)
class EvidenceState:
    """The evidence at one moment; a few numbers, however long the call."""

    value: float = 0.0
    """nats, never below zero"""
    t: float = 0.0
    """s, audio clock up to which the call was taken into account"""
    angry_seconds: float = 0.0
    """s of angry speech since the evidence last left zero"""
    angry_utterances: int = 0
    """angry utterances since the evidence last left zero"""
    since: float | None = None
    """s, start of the utterance with which the evidence left zero; None at zero"""
    first_angry: float | None = None
    """s, start of the first angry utterance since then"""
    last_angry: float | None = None
    """s, end of the last angry utterance since then"""
    change: float = 0.0
    """nats, what the last observation added (before the floor at zero)"""


def at(state: EvidenceState, t: float, params: EvidenceParams) -> EvidenceState:
    """The evidence at time ``t`` if the caller has said nothing since ``state``.

    Args:
        state: Evidence after the last utterance.
        t: Audio clock, s; earlier than ``state.t`` changes nothing.
        params: How evidence leaks.
    """
    if t <= state.t:
        return state
    return _leaked(state, t - state.t, t, params)


def step(state: EvidenceState, observation: Observation, params: EvidenceParams) -> EvidenceState:
    """Add one utterance.

    For an utterance that is still going on, call this with what is known of it
    so far, from the state before it, and show but do not keep the result.

    Args:
        state: Evidence before the utterance.
        observation: The utterance.
        params: How it is weighed.

    Returns:
        Evidence at the end of the utterance.
    """
    end = max(state.t, observation.end)
    speech = min(observation.speech_seconds, observation.end - observation.start)
    quiet = max(0.0, end - state.t - speech)
    before = _leaked(state, quiet, end, params)

    llr = min(max(observation.llr, -params.clip_nats), params.clip_nats)
    change = min(params.nats_per_second * llr * speech, params.utterance_cap_nats)
    value = before.value + change
    if value < _GONE:
        return EvidenceState(t=end, change=change)
    after = replace(
        before,
        value=value,
        change=change,
        since=observation.start if before.since is None else before.since,
    )
    if llr <= params.angry_nats or speech <= 0.0:
        return after
    counts = speech >= params.min_utterance_seconds
    return replace(
        after,
        angry_seconds=before.angry_seconds + speech,
        angry_utterances=before.angry_utterances + counts,
        first_angry=observation.start if before.first_angry is None else before.first_angry,
        last_angry=observation.end,
    )


def _leaked(state: EvidenceState, quiet: float, t: float, params: EvidenceParams) -> EvidenceState:
    """The state at ``t`` after ``quiet`` seconds without the caller's voice."""
    value = state.value * math.exp(-quiet / params.leak_seconds)
    if value < _GONE:
        return EvidenceState(t=t, change=state.change)
    return replace(state, value=value, t=t)
