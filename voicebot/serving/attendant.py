"""Who looks after a caller: soothes one who loses patience, hands over one who has lost it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from voicebot.events import (
    Action,
    Alert,
    EscalationState,
    Event,
    Leg,
    State,
    Transfer,
    UtteranceStarted,
)
from voicebot.serving.handover import STARTED, HandoverParams, hand_over
from voicebot.serving.live_call import LiveCall
from voicebot.serving.prompts import Prompt, Prompts
from voicebot.tasks import Tasks
from voicebot.telephony.line import TRANSFERRED, Briefing, TransferResult

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One target that is being asked."""

    alert_id: str
    target: str
    number: int
    """from 1"""
    began: float
    """s, the loop's clock"""


class CallAttendant:
    """Acts upon the events of one live call.  Lives on the event loop.

    Args:
        live: The call.
        params: To whom it is handed over.
        prompts: What is said.
        barge_in: Whether a caller who speaks stops the soothing.
    """

    def __init__(
        self, live: LiveCall, params: HandoverParams, prompts: Prompts, *, barge_in: bool
    ) -> None:
        self._live, self._params, self._prompts = live, params, prompts
        self._barge_in = barge_in
        self._loop = asyncio.get_running_loop()
        self._tasks = Tasks("attendant")
        self._soothing: asyncio.Task[None] | None = None
        self._handing_over = False
        self._attempt: _Attempt | None = None
        """that is under way"""
        self._not_before = 0.0

    def event(self, event: Event) -> None:
        """Take an event of the call."""
        match event:
            case State(state=EscalationState.RISING, previous=EscalationState.CALM) if (
                not self._handing_over  # nor after: a bridged caller talks to a human
            ):
                self._soothing = self._tasks.spawn(self._say(Prompt.SOOTHE))
            case UtteranceStarted(leg=Leg.CALLER) if self._barge_in and self._soothing:
                self._soothing.cancel()
                self._soothing = None
            case Alert() if self._wanted(event):
                self._handing_over = self._live.away = True
                self._tasks.spawn(self._hand_over(event))

    def ending(self, reason: str) -> None:
        """The call is about to end: so is an attempt that is under way, which is told now."""
        if attempt := self._attempt:
            self._attempt = None
            result = TransferResult.DONE if reason == TRANSFERRED else TransferResult.GONE
            self._tell(attempt, result.value, "", self._loop.time() - attempt.began)

    def close(self) -> None:
        """The call is over: stop whatever is being done."""
        self._tasks.cancel()

    def _wanted(self, alert: Alert) -> bool:
        reasons = self._params.reasons
        return (
            not self._handing_over
            and (not reasons or alert.reason in reasons)
            and self._loop.time() >= self._not_before
            and bool(self._params.targets_for(self._live.offer.called))
        )

    async def _hand_over(self, alert: Alert) -> None:
        live, params = self._live, self._params
        if self._soothing:
            self._soothing.cancel()
        briefing = Briefing(
            alert.alert_id,
            params.briefing_url.format(alert_id=alert.alert_id, call_id=live.id),
            alert.reason,
        )

        def told(target: str, attempt: int, result: str, detail: str, seconds: float) -> None:
            if result == STARTED:
                self._attempt = _Attempt(alert.alert_id, target, attempt, self._loop.time())
            if self._attempt:  # else its end was told when the call ended
                self._tell(self._attempt, result, detail, seconds)
            if result != STARTED:
                self._attempt = None

        saying = self._tasks.spawn(self._say(Prompt.CONNECT))
        await asyncio.wait([saying], timeout=params.announce_seconds)
        queue = params.queue_for(live.offer.called)
        targets = params.targets_for(live.offer.called)
        outcome = await hand_over(live.line, targets, briefing, params, told)
        if outcome.result is TransferResult.DONE:
            saying.cancel()  # it would drown the human's first words
            log.info("caller_handed_over", call_id=live.id, alert_id=alert.alert_id, queue=queue)
            return  # and stays so: whoever has taken the caller is not replaced by another
        log.warning(
            "nobody_took_the_caller", call_id=live.id, alert_id=alert.alert_id, queue=queue,
            result=outcome.result.value, detail=outcome.detail,
        )  # fmt: skip
        self._not_before = self._loop.time() + params.again_seconds
        self._handing_over = live.away = False
        if outcome.result is not TransferResult.GONE:
            await asyncio.wait([saying])
            await self._say(Prompt.UNAVAILABLE)

    def _tell(self, attempt: _Attempt, result: str, detail: str, seconds: float) -> None:
        live = self._live
        live.tell(
            lambda t: Transfer(
                call_id=live.id, leg=None, t=t, alert_id=attempt.alert_id, target=attempt.target,
                attempt=attempt.number, result=result, detail=detail, seconds=seconds,
            )
        )  # fmt: skip

    async def _say(self, prompt: Prompt) -> None:
        live = self._live
        pcm = self._prompts.at(prompt, live.offer.rate)
        if pcm is None or not live.line.can_speak:
            return
        seconds = len(pcm) / live.offer.rate
        live.tell(
            lambda t: Action(
                call_id=live.id, leg=Leg.CALLER, t=t, action="prompt",
                detail=f"{prompt.value}, {seconds:.1f} s",
            )
        )  # fmt: skip
        await live.line.play(pcm)
