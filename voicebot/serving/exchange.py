"""The exchange: takes calls in while there is room, watches their lines, lets them out.

It answers every gateway's question whether a call may come, keeps the calls that
did, ends those whose line is dead, and drains when the daemon is to stop.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from voicebot.call import Call
from voicebot.closing import Closing
from voicebot.events import Event, Leg
from voicebot.params import key
from voicebot.serving.lag import RecentLag
from voicebot.serving.live_call import LiveCall, LiveCallParams
from voicebot.serving.workers import WorkerPool
from voicebot.tasks import Tasks
from voicebot.telephony.line import Line, Offer, RefusedError

log = structlog.get_logger()

TICK_SECONDS = 0.1
"""s; how often the lines are looked at"""
_GOODBYE_SECONDS = 5.0
"""s that calls which are hung up at the end of a drain have to go"""


class EngineParams(LiveCallParams):
    """How many calls, and what happens to those that are too many or dead."""

    max_calls: int = key(
        100, "Most calls at once; further ones are refused (SIP 503 with Retry-After, WebSocket "
        "close 1013, AudioSocket hang-up).", ge=1, le=100000,
    )  # fmt: skip
    max_lag_seconds: float = key(
        2.0, "New calls are refused while the hearing of those that run lags behind by more than "
        "this (95th percentile of the last ten seconds).", unit="s", gt=0.0, le=60.0,
    )  # fmt: skip
    retry_after_seconds: float = key(
        10.0, "When a peer that was refused may try again.", unit="s", ge=1.0, le=3600.0
    )
    workers: int = key(
        0, "Threads for speech recognition and models; 0 for one a core.", ge=0, le=1024
    )
    drain_seconds: float = key(
        60.0, "After SIGTERM no new call is taken; those that run may go on for so long, then "
        "they are hung up.", unit="s", ge=0.0, le=86400.0,
    )  # fmt: skip
    control: str = key(
        "~/.local/state/voicebot/control.sock",
        "Socket through which `voicebot calls` and `voicebot hangup` talk to the daemon; for its "
        "owner only.",
    )


class CallMaker(Protocol):
    """Makes calls; :class:`voicebot.engine.Engine` does."""

    def call(
        self, source: str, legs: Sequence[Leg], rate: int, emit: Callable[[Event], None]
    ) -> Call:
        """A new call; see :meth:`voicebot.engine.Engine.call`."""
        ...


class Attendant(Protocol):
    """Looks after one call: speaks to the caller, hands over."""

    def event(self, event: Event) -> None:
        """Take an event of the call."""
        ...

    def ending(self, reason: str) -> None:
        """The call is about to end; what is told now still comes into its record."""
        ...

    def close(self) -> None:
        """The call is over."""
        ...


class Exchange(Closing):
    """All calls of the daemon; the :class:`~voicebot.telephony.line.Reception` of its gateways.

    To be made and used on the event loop.

    Args:
        maker: Makes calls.
        pool: Whose threads hear them.
        params: As configured.
        attend: Makes who looks after a call.
        record: Takes each event of each call, on the threads of the pool.
    """

    def __init__(
        self,
        maker: CallMaker,
        pool: WorkerPool,
        params: EngineParams,
        attend: Callable[[LiveCall], Attendant],
        record: Callable[[Event], None],
    ) -> None:
        self._maker, self._pool, self._attend, self._record = maker, pool, attend, record
        self.params = params
        self.lag = RecentLag()
        self.calls: dict[str, LiveCall] = {}
        self.draining = False
        self.counters: Counter[str] = Counter()
        self._attendants: dict[str, Attendant] = {}
        self._tasks = Tasks("exchange")
        self._loop = asyncio.get_running_loop()
        self._empty = asyncio.Event()
        self._empty.set()
        self._tasks.spawn(self._tick())

    # ------------------------------------------------------------ the reception

    def receive(self, offer: Offer, line: Line) -> LiveCall:
        """Take a call; see :meth:`voicebot.telephony.line.Reception.receive`.

        Raises:
            RefusedError: draining, at capacity, or lagging.
        """
        if why := self._refusal():
            self.counters[f"refused_{why}"] += 1
            log.warning("call_refused", reason=why, gateway=offer.gateway, peer=offer.peer)
            raise RefusedError(why, self.params.retry_after_seconds)

        def make(emit: Callable[[Event], None]) -> Call:
            return self._maker.call(f"{offer.gateway} {offer.peer}", offer.legs, offer.rate, emit)

        live = LiveCall(
            make, offer, line, self._pool.strand(), self.params, self.lag,
            self._record, self._heard, self._gone,
        )  # fmt: skip
        self.calls[live.id] = live
        self._attendants[live.id] = attendant = self._attend(live)
        live.on_ending = attendant.ending
        self._empty.clear()
        self.counters["calls"] += 1
        log.info("call_taken", call_id=live.id, gateway=offer.gateway, reference=offer.reference)
        return live

    def _refusal(self) -> str:
        """Why a call cannot be taken now; empty if it can."""
        if self.draining:
            return "draining"
        if len(self.calls) >= self.params.max_calls:
            return "at_capacity"
        lag = self.lag.percentile(0.95, self._loop.time())
        return "lagging" if lag > self.params.max_lag_seconds else ""

    # ------------------------------------------------------------ the calls

    async def hang_up(self, call_id: str, reason: str) -> bool:
        """End a call.

        Args:
            call_id: Whole, or as many characters from its beginning as make it clear.
            reason: As in :class:`~voicebot.events.CallEnded`.

        Returns:
            Whether exactly one running call has that name.
        """
        named = [live for known, live in self.calls.items() if known.startswith(call_id)]
        if len(named) != 1 or not call_id:
            return False
        await named[0].line.hang_up(reason)
        return True

    async def drain(self, seconds: float) -> None:
        """Take no more calls, wait for those that run, then hang up on the rest."""
        self.draining = True
        log.info("draining", calls=len(self.calls), seconds=seconds)
        if await self._emptied(seconds):
            return
        log.warning("hanging_up", calls=len(self.calls))
        for live in list(self.calls.values()):
            self._tasks.spawn(live.line.hang_up("shutdown"))
        if not await self._emptied(_GOODBYE_SECONDS):
            for live in list(self.calls.values()):  # their gateways never told of the end
                live.ended("shutdown")
            await self._emptied(_GOODBYE_SECONDS)

    async def _emptied(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), seconds)
        return not self.calls

    def close(self) -> None:
        """Stop watching; calls that are left are forgotten."""
        self._tasks.cancel()
        for attendant in self._attendants.values():
            attendant.close()
        self._attendants.clear()
        self.calls.clear()

    # ------------------------------------------------------------ inside

    def _heard(self, live: LiveCall, event: Event) -> None:
        if attendant := self._attendants.get(live.id):
            attendant.event(event)

    def _gone(self, live: LiveCall) -> None:
        """The last event of a call has been heard."""
        self.calls.pop(live.id, None)
        if attendant := self._attendants.pop(live.id, None):
            attendant.close()
        if not self.calls:
            self._empty.set()
        log.info("call_gone", call_id=live.id)

    async def _tick(self) -> None:
        due = self._loop.time()
        while True:
            now = self._loop.time()
            for live in list(self.calls.values()):
                try:
                    if reason := live.tick(now):
                        self._reap(live, reason)
                except Exception as err:  # one call's bug must not stop the others' clock
                    log.exception("tick_failed", call_id=live.id, error=type(err).__name__)
            # A loop that was held up does not make up for the ticks it missed.
            due = max(due + TICK_SECONDS, now)
            await asyncio.sleep(due - self._loop.time())

    def _reap(self, live: LiveCall, reason: str) -> None:
        self.counters[f"reaped_{reason}"] += 1
        log.warning("call_reaped", call_id=live.id, reason=reason, peer=live.offer.peer)
        live.ended(reason)
        self._tasks.spawn(live.line.hang_up(reason))
