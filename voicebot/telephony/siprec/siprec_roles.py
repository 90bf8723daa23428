"""Which stream of a recorded call is the caller, and which the agent.

The metadata of SIPREC names parties, not their roles, so it takes rules.  The first
that tells the parties apart decides:

1. ``agent_patterns``: addresses that are the house's own.  The only rule that
   is right for calls in both directions whoever sends them.
2. BroadWorks: the subscriber whose calls are recorded (``userID``) is the agent;
   by ``callType`` the other number is the caller's.
3. Oracle: the calling party is the caller (wrong for calls that agents make).
4. The stream of the first m-line is the caller's.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from voicebot.events import Leg
from voicebot.telephony.siprec.siprec_metadata import Participant, Recording


class Rule(IntEnum):
    """What the roles rest on; the greater, the surer."""

    ORDER = 1
    CALLING_PARTY = 2
    SUBSCRIBER = 3
    PATTERNS = 4


@dataclass(frozen=True, slots=True)
class Roles:
    """Who is heard on each m-line."""

    legs: tuple[Leg | None, ...]
    """by m-line; None for one that is not wanted, such as a third"""
    mixed: bool
    """the caller's stream carries the agent too"""
    rule: Rule


def assign(
    recording: Recording | None, labels: Sequence[str], agent_patterns: Sequence[str]
) -> Roles:
    """Say who is heard where.

    Args:
        recording: What is known of the call; None before there was any metadata.
        labels: ``a=label`` of each m-line of audio that is sent; empty where it has none.
        agent_patterns: Shell patterns (``*@agents.example.com``, ``7???@*``) of agents'
            addresses, against ``user@host`` and ``user``, in lower case.
    """
    everybody = tuple(recording.participants.values()) if recording else ()
    senders = [_senders(recording, label) for label in labels]
    # Some peers add a stream with everybody in it to two clean ones.
    clean = [
        index
        for index, label in enumerate(labels)
        if not (_is_mixed(recording, label) or 1 < len(everybody) == len(senders[index]))
    ]
    unknown = len(labels) == 1 and not senders[0] and len(everybody) != 1
    legs: list[Leg | None] = [None] * len(labels)
    if labels and (unknown or not clean):
        legs[0] = Leg.CALLER
        return Roles(tuple(legs), True, Rule.ORDER)
    rule, agents = _agents(recording, everybody, agent_patterns)
    sides = [_side(sent, agents) for sent in senders]
    for index in clean:
        if sides[index] not in legs:
            legs[index] = sides[index]
    for index in clean:
        if sides[index] is None:  # whose side is known but taken is a third party
            legs[index] = next((leg for leg in Leg if leg not in legs), None)
    return Roles(tuple(legs), False, rule)


def sides(recording: Recording, agent_patterns: Sequence[str]) -> dict[Leg, Participant]:
    """The first party on each side, by the same rules; by order, the first one is the caller."""
    everybody = tuple(recording.participants.values())
    _, agents = _agents(recording, everybody, agent_patterns)
    found: dict[Leg, Participant] = {}
    for place, person in enumerate(everybody):
        agent = person.id in agents if agents is not None else place > 0
        found.setdefault(Leg.AGENT if agent else Leg.CALLER, person)
    return found


def address(aor: str) -> str:
    """``user@host`` of an address, in lower case: without scheme, port and parameters."""
    text = aor.strip().strip("<>").lower()
    for scheme in ("sips:", "sip:", "tel:"):
        text = text.removeprefix(scheme)
    text = text.partition(";")[0].partition("?")[0]
    user, at, host = text.rpartition("@")
    return f"{user}@{host.partition(':')[0]}" if at else text


def _senders(recording: Recording | None, label: str) -> tuple[Participant, ...]:
    return recording.senders(label) if recording is not None and label else ()


def _is_mixed(recording: Recording | None, label: str) -> bool:
    if recording is None or not label:
        return False
    return any(s.mixed for s in recording.streams.values() if s.label == label)


def _side(senders: Sequence[Participant], agents: frozenset[str] | None) -> Leg | None:
    """The side of those who send a stream; None if unknown, or both."""
    if not senders or agents is None:
        return None
    sides = {Leg.AGENT if sender.id in agents else Leg.CALLER for sender in senders}
    return sides.pop() if len(sides) == 1 else None


def _agents(
    recording: Recording | None, everybody: Sequence[Participant], patterns: Sequence[str]
) -> tuple[Rule, frozenset[str] | None]:
    """Ids of the parties on the agent's side, and by which rule; None if no rule tells."""
    if recording is None:
        return Rule.ORDER, None
    for rule, agents in (
        (Rule.PATTERNS, {p.id for p in everybody if _matches(p, patterns)}),
        (Rule.SUBSCRIBER, _subscriber(recording, everybody)),
        (Rule.CALLING_PARTY, {p.id for p in everybody if p.calling is False}),
    ):
        # A rule that takes everybody for agents, or nobody, tells nothing.
        if 0 < len(agents) < len(everybody):
            return rule, frozenset(agents)
    return Rule.ORDER, None


def _matches(participant: Participant, patterns: Sequence[str]) -> bool:
    for aor in participant.aors:
        whole = address(aor)
        names = (whole, whole.partition("@")[0])
        if any(fnmatch.fnmatchcase(name, p.lower()) for p in patterns for name in names):
            return True
    return False


def _subscriber(recording: Recording, everybody: Sequence[Participant]) -> set[str]:
    """BroadWorks: the recorded subscriber; else all but the other party of the call."""
    users = {address(aor).partition("@")[0]: p.id for p in everybody for aor in p.aors}
    own = address(recording.user).partition("@")[0]
    if own and own in users:
        return {users[own]}
    if recording.outgoing is None:
        return set()
    other = recording.called if recording.outgoing else recording.calling
    caller = users.get(address(other).partition("@")[0])
    return {p.id for p in everybody if p.id != caller} if caller is not None else set()
