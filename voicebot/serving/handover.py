"""Handing the caller to a human: which targets, in which order, and until when.

One target after the other is asked; one who is busy, declines or does not answer
is followed by the next, a few times round.  When nobody can be reached the
caller is told, and the call goes on as it was.
"""

from __future__ import annotations

import asyncio
import fnmatch
from collections.abc import Callable
from typing import Self

import structlog
from pydantic import model_validator

from voicebot.params import Params, key
from voicebot.telephony.line import Briefing, Line, Transferred, TransferResult

log = structlog.get_logger()

STARTED = "started"
"""what is told when a target is asked"""
_FINAL = frozenset({TransferResult.DONE, TransferResult.GONE, TransferResult.UNSUPPORTED})
"""Results after which no other target is asked."""


class QueueParams(Params):
    """Who takes the callers of one queue."""

    name: str = key("", "How it is called in the log.")
    called: list[str] = key(
        [], "Numbers or users whose calls belong to this queue; * stands for anything, as in "
        "+49800* or support*."
    )  # fmt: skip
    targets: list[str] = key(
        [], "Who is asked to take the caller, in this order: SIP URIs, extensions or numbers, as "
        "the line understands them."
    )  # fmt: skip


class HandoverParams(Params):
    """When and to whom callers are handed over."""

    targets: list[str] = key(
        [], "Who is asked to take callers that belong to no queue; empty: they are not handed over."
    )
    queues: list[QueueParams] = key([], "Queues with targets of their own; the first that fits.")
    reasons: list[str] = key(
        [], "Only alerts for these reasons hand the caller over (persistent_anger, or the name of "
        "a rule); empty: every alert does."
    )  # fmt: skip
    announce_seconds: float = key(
        1.5, "How much of the prompt that says so the caller hears before the transfer begins. Set "
        "it to the length of the prompt, and it is heard to its end.",
        unit="s", ge=0.0, le=30.0,
    )  # fmt: skip
    attempt_seconds: float = key(
        60.0, "Longest wait for one target to answer, ringing included.",
        unit="s", ge=0.1, le=600.0,
    )  # fmt: skip
    rounds: int = key(2, "How often all targets are asked.", ge=1, le=20)
    pause_seconds: float = key(
        2.0, "Pause before the targets are asked again.", unit="s", ge=0.0, le=300.0
    )
    again_seconds: float = key(
        120.0, "After nobody could be reached, an alert that is repeated asks them again no sooner "
        "than this.", unit="s", ge=0.0, le=86400.0,
    )  # fmt: skip
    briefing_url: str = key(
        "", "Page on which the human agent reads why, given along with the call; {alert_id} and "
        "{call_id} are filled in."
    )  # fmt: skip

    @model_validator(mode="after")
    def _known(self) -> Self:
        try:
            self.briefing_url.format(alert_id="", call_id="")
        except (LookupError, ValueError, AttributeError, TypeError):
            raise ValueError(
                "briefing_url may contain {alert_id} and {call_id}, and no other braces"
            ) from None
        return self

    def targets_for(self, called: str) -> tuple[str, ...]:
        """Who is asked for a caller who dialled this.

        Example:
            >>> params = HandoverParams(
            ...     targets=["sip:desk@pbx"],
            ...     queues=[QueueParams(called=["+49800*"], targets=["2001", "2002"])],
            ... )
            >>> params.targets_for("+498001234"), params.targets_for("77")
            (('2001', '2002'), ('sip:desk@pbx',))
        """
        queue = self._queue(called)
        return tuple(queue.targets if queue else self.targets)

    def queue_for(self, called: str) -> str:
        """The name of the queue that this belongs to, for the log; empty for none."""
        queue = self._queue(called)
        return queue.name if queue else ""

    def _queue(self, called: str) -> QueueParams | None:
        for queue in self.queues:
            if any(fnmatch.fnmatchcase(called, pattern) for pattern in queue.called):
                return queue
        return None


Told = Callable[[str, int, str, str, float], None]
"""Takes target, number of the attempt from 1, :data:`STARTED` or the result, detail, and the
seconds that it took."""


async def hand_over(
    line: Line, targets: tuple[str, ...], briefing: Briefing, params: HandoverParams, told: Told
) -> Transferred:
    """Ask one target after the other to take the caller.

    Args:
        line: The caller's.
        targets: In the order in which they are asked; at least one.
        briefing: What they are told.
        params: How often and how long.
        told: Told of each step.

    Returns:
        How the last attempt ended.
    """
    clock = asyncio.get_running_loop().time
    outcome = Transferred(TransferResult.UNREACHABLE)
    attempt = 0
    for number in range(params.rounds):
        if number:
            await asyncio.sleep(params.pause_seconds)
        for target in targets:
            attempt += 1
            began = clock()
            told(target, attempt, STARTED, "", 0.0)
            outcome = await _attempt(line, target, briefing, params.attempt_seconds)
            told(target, attempt, outcome.result.value, outcome.detail, clock() - began)
            if outcome.result in _FINAL:
                return outcome
    return outcome


async def _attempt(line: Line, target: str, briefing: Briefing, seconds: float) -> Transferred:
    try:
        async with asyncio.timeout(seconds):
            return await line.transfer(target, briefing)
    except TimeoutError:
        return Transferred(TransferResult.TIMEOUT, f"no outcome within {seconds:g} s")
    except Exception as err:  # a gateway's bug costs an attempt, not the caller
        log.exception("transfer_failed", error=type(err).__name__)
        return Transferred(TransferResult.UNREACHABLE, "internal error")
