"""When a call escalates, and when it is over: a small machine with memory.

::

            evidence >= rising            evidence >= threshold, and enough
            or a rule that warns          angry speech, or a rule that alerts
    CALM ─────────────────────► RISING ─────────────────────► ESCALATED
     ▲ ▲                          │                              │   ▲
     │ └──────────────────────────┘                              │   │ again
     │     evidence <= release, held                             ▼   │
     └──────────────────────────────────────────────────────── COOLING
           evidence <= release and the cooldown is over   (evidence <= release, held)

A rule that alerts takes a call from any state to ESCALATED without touching
the evidence.  There is at most one open alert a call: what happens while it is
open updates it, and it is closed when the call is CALM again.

Everything is pure; :func:`decide` is called with settled evidence only, that is
at the end of each utterance and, if one likes, while nobody speaks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from pydantic import model_validator

from voicebot.escalation.evidence import EvidenceState
from voicebot.escalation.rules import RuleHit
from voicebot.events import EscalationState, Severity
from voicebot.params import Params, key

PERSISTENT_ANGER = "persistent_anger"
"""Reason of an alert that rests on evidence and not on a rule."""

_RANK = {severity: rank for rank, severity in enumerate(Severity)}


class PolicyParams(Params):
    """When evidence and rules become states and alerts."""

    rising_nats: float = key(
        0.4,
        "Evidence from which the call is RISING and the caller is soothed, before it is enough for "
        "an alert: soothing in vain costs nothing.",
        unit="nats", gt=0, le=100,
    )  # fmt: skip
    threshold_nats: float = key(
        1.3,
        "Evidence from which the call is ESCALATED and an alert opened. Raise it for fewer false "
        "alarms, lower it for earlier alerts.",
        unit="nats", gt=0, le=100,
    )  # fmt: skip
    release_nats: float = key(
        0.1,
        "Evidence down to which a state is kept (hysteresis), so that a call does not go back "
        "and forth around one value.",
        unit="nats", ge=0, le=100,
    )  # fmt: skip
    min_angry_utterances: int = key(
        2,
        "An alert for persistent anger needs so many angry utterances, whatever the evidence. "
        "Never below 2: a single burst must not call a supervisor.",
        ge=2, le=100,
    )  # fmt: skip
    min_angry_seconds: float = key(
        4.0,
        "An alert for persistent anger needs so much angry speech, whatever the evidence.",
        unit="s", ge=0, le=600,
    )  # fmt: skip
    hold_seconds: float = key(
        20.0,
        "RISING and ESCALATED last at least this long after what last caused them, even if the "
        "caller falls silent (or a rule caused them and there is no evidence at all).",
        unit="s", ge=0, le=3600,
    )  # fmt: skip
    cooldown_seconds: float = key(
        120.0,
        "COOLING lasts at least this long. Anger that returns within it updates the open alert; "
        "after it, a new alert would be opened.",
        unit="s", ge=0, le=7200,
    )  # fmt: skip
    update_seconds: float = key(
        30.0,
        "While anger goes on, the open alert is updated no more often than this. A rule of "
        "higher severity updates it at once.",
        unit="s", ge=1, le=3600,
    )  # fmt: skip
    severity: Severity = key(
        Severity.CRITICAL, "Severity of an alert for persistent anger; rules have their own."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.release_nats < self.rising_nats < self.threshold_nats:
            raise ValueError(
                f"release_nats ({self.release_nats}) < rising_nats ({self.rising_nats}) < "
                f"threshold_nats ({self.threshold_nats}) must hold"
            )
        return self


# ------------------------------------------------------------- decisions


@dataclass(frozen=True, slots=True)
class Transition:
    """The call goes from one state to another."""

    t: float
    """s, audio clock"""
    previous: EscalationState
    state: EscalationState
    evidence: float
    """nats"""
    reason: str


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """An alert is to be opened; there is none."""

    t: float
    """s, audio clock"""
    severity: Severity
    reason: str
    """:data:`PERSISTENT_ANGER` or the name of a rule"""
    hits: tuple[RuleHit, ...]
    """the rules that alerted, if any"""


@dataclass(frozen=True, slots=True)
class UpdateAlert:
    """The open alert is to be repeated with more evidence."""

    t: float
    """s, audio clock"""
    severity: Severity
    """the highest so far"""
    reason: str
    """what updates it"""
    hits: tuple[RuleHit, ...]
    """the rules that alerted, if any"""


@dataclass(frozen=True, slots=True)
class CloseAlert:
    """The call has calmed down: what comes now would be a new alert."""

    t: float
    """s, audio clock"""


Decision = Transition | OpenAlert | UpdateAlert | CloseAlert


@dataclass(frozen=True, slots=True)
class PolicyState:
    """What the policy remembers of a call."""

    state: EscalationState = EscalationState.CALM
    entered: float = 0.0
    """s, audio clock at which ``state`` was entered"""
    caused: float = 0.0
    """s, audio clock at which ``state`` was last given a cause"""
    severity: Severity | None = None
    """of the open alert; None where there is none"""
    told: float = 0.0
    """s, audio clock at which the open alert was opened or last updated"""


def decide(
    policy: PolicyState,
    evidence: EvidenceState,
    hits: Sequence[RuleHit],
    t: float,
    params: PolicyParams,
) -> tuple[PolicyState, list[Decision]]:
    """Decide what follows from the evidence and from the rules that fired.

    Args:
        policy: What was decided before.
        evidence: Settled evidence at ``t``.
        hits: Rules that fired since the last decision.
        t: Audio clock, s; never decreasing.
        params: Thresholds and times.

    Returns:
        What to remember, and the decisions in the order they are to be carried out.
    """
    alerting = tuple(hit for hit in hits if hit.alert)
    warning = tuple(hit for hit in hits if not hit.alert)
    persists = (
        evidence.value >= params.threshold_nats
        and evidence.angry_utterances >= params.min_angry_utterances
        and evidence.angry_seconds >= params.min_angry_seconds
    )
    if alerting or persists:
        return _escalate(policy, evidence, alerting, persists, t, params)

    quiet = evidence.value <= params.release_nats
    held = t - policy.caused < params.hold_seconds
    match policy.state:
        case EscalationState.CALM | EscalationState.RISING if (
            warning or evidence.value >= params.rising_nats
        ):
            policy = replace(policy, caused=t)
            if policy.state is EscalationState.RISING:
                return policy, []
            reason = worst(warning).rule if warning else "anger_rising"
            return _go(policy, EscalationState.RISING, evidence, reason, t)
        case EscalationState.RISING if quiet and not held:
            return _go(policy, EscalationState.CALM, evidence, "calmed", t)
        case EscalationState.ESCALATED if quiet and not held:
            return _go(policy, EscalationState.COOLING, evidence, "calmed", t)
        case EscalationState.COOLING if quiet and t - policy.entered >= params.cooldown_seconds:
            policy, decisions = _go(policy, EscalationState.CALM, evidence, "cooled_down", t)
            return replace(policy, severity=None), [*decisions, CloseAlert(t)]
        case _:
            return policy, []


def worst(hits: Iterable[RuleHit]) -> RuleHit:
    """The hit of the highest severity; the first of them if there are several."""
    return max(hits, key=lambda hit: _RANK[hit.severity])


def _escalate(
    policy: PolicyState,
    evidence: EvidenceState,
    hits: tuple[RuleHit, ...],
    persists: bool,
    t: float,
    params: PolicyParams,
) -> tuple[PolicyState, list[Decision]]:
    """There is a cause for an alert: open it, or update the open one."""
    reason, severity = PERSISTENT_ANGER, params.severity
    if hits:
        hit = worst(hits)
        if not persists or _RANK[hit.severity] > _RANK[severity]:
            reason, severity = hit.rule, hit.severity
    known = policy.severity
    returns = policy.state is not EscalationState.ESCALATED
    policy = replace(policy, caused=t)
    decisions: list[Decision] = []
    if returns:
        policy, decisions = _go(policy, EscalationState.ESCALATED, evidence, reason, t)
    if known is None:
        decisions.append(OpenAlert(t, severity, reason, hits))
        return replace(policy, severity=severity, told=t), decisions
    graver = _RANK[severity] > _RANK[known]
    highest = severity if graver else known
    if graver or returns or hits or t - policy.told >= params.update_seconds:
        decisions.append(UpdateAlert(t, highest, reason, hits))
        policy = replace(policy, severity=highest, told=t)
    return policy, decisions


def _go(
    policy: PolicyState, state: EscalationState, evidence: EvidenceState, reason: str, t: float
) -> tuple[PolicyState, list[Decision]]:
    """Change state."""
    gone = Transition(t, policy.state, state, evidence.value, reason)
    return replace(policy, state=state, entered=t), [gone]
