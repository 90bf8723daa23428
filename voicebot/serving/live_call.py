"""One live call: from the line's pieces of audio to the stages, in time and in order.

What the line says arrives on the event loop; the stages work on the threads of
the pool, block after block.  Between them is one bounded queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import structlog

from voicebot.audio.source import BLOCK_SECONDS
from voicebot.call import Call
from voicebot.events import (
    CallEnded,
    Digit,
    EscalationState,
    Event,
    Evidence,
    Frame,
    Leg,
    LegState,
    LineState,
    Pcm,
    State,
)
from voicebot.params import Params, key
from voicebot.serving.blocks import BlockAssembler
from voicebot.serving.lag import RecentLag
from voicebot.serving.workers import Strand
from voicebot.telephony.line import Line, Offer

log = structlog.get_logger()

_MOST_NOTES = 100
"""digits and changes of the line that may wait where audio must not: a hold is told late, not lost
"""


class LiveCallParams(Params):
    """When a line counts as dead, and how much of a call may wait."""

    silent_seconds: float = key(
        5.0, "Without audio for this long a leg is shown as silent (on hold it is not).",
        unit="s", ge=1.0, le=3600.0,
    )  # fmt: skip
    dead_line_seconds: float = key(
        60.0, "A call is ended if no leg had audio for this long: its peer is gone without a "
        "goodbye. Time on hold does not count.", unit="s", ge=2.0, le=86400.0,
    )  # fmt: skip
    max_call_seconds: float = key(
        14400.0, "A call is ended after this long whatever it does, so that one that hangs (on "
        "hold, for instance) cannot hold its place for ever.", unit="s", ge=10.0, le=604800.0,
    )  # fmt: skip
    queue_seconds: float = key(
        10.0, "Audio of a call that may wait while the machine is busy; what comes beyond is "
        "dropped and counted.", unit="s", ge=1.0, le=120.0,
    )  # fmt: skip


@dataclass(slots=True)
class LegView:
    """What is to be shown of a leg."""

    state: LegState = LegState.LIVE
    last_audio: float = 0.0
    """s, the loop's clock"""


@dataclass(slots=True)
class CallView:
    """What is to be shown of a call, as its events told it."""

    evidence: float = 0.0
    """nats"""
    threshold: float = 0.0
    """nats"""
    state: EscalationState = EscalationState.CALM
    alerts: int = 0
    dropped: int = 0
    """blocks of audio, because too much waited"""
    unrecorded: int = 0
    """digits and changes of the line, because too much waited"""
    legs: dict[Leg, LegView] = field(default_factory=dict)


class LiveCall:
    """A call on the line; the :class:`~voicebot.telephony.line.Ear` that its gateway talks to.

    Args:
        make: Makes the call around the function that takes its events, which comes
            from a thread of the pool.
        offer: What the gateway said of it.
        line: To hang up.
        strand: This call's queue.
        params: As configured.
        lag: Told how long each block took.
        record: Takes each event, on a thread of the pool: it may wait for a disk.
        heard: Takes each event, on the loop.
        gone: Told once, on the loop, when the last event has been heard.
    """

    def __init__(
        self,
        make: Callable[[Callable[[Event], None]], Call],
        offer: Offer,
        line: Line,
        strand: Strand,
        params: LiveCallParams,
        lag: RecentLag,
        record: Callable[[Event], None],
        heard: Callable[[LiveCall, Event], None],
        gone: Callable[[LiveCall], None],
    ) -> None:
        self.offer, self.line, self.params = offer, line, params
        self._loop = asyncio.get_running_loop()
        self.began = now = self._loop.time()
        self._strand, self._lag = strand, lag
        self._most_waiting = round(params.queue_seconds / BLOCK_SECONDS)
        self._record, self._heard, self._gone = record, heard, gone
        self._assembler = BlockAssembler(offer.legs, offer.rate, now)
        self.view = CallView(legs={leg: LegView(last_audio=now) for leg in offer.legs})
        self.on_ending: Callable[[str], None] = lambda reason: None
        """told the reason of the end while the record is still open"""
        self.away = False
        """the caller is being handed over, or was: silence on this line is as it should be"""
        self._ended: str | None = None
        self._broken = False
        self._closing: asyncio.Task[None] | None = None
        self._call = make(self._emit)
        self._submit(self._call.start)

    @property
    def id(self) -> str:
        """Of the call, as in its events."""
        return self._call.id

    # ------------------------------------------------------------ the ear

    def audio(self, leg: Leg, pcm: Pcm, *, concealed: bool = False) -> None:
        """Take audio; see :meth:`voicebot.telephony.line.Ear.audio`."""
        if self._ended is not None:
            return
        now = self._loop.time()
        if not concealed:
            view = self.view.legs[leg]
            view.last_audio = now
            if view.state is LegState.SILENT:
                self._leg_is(leg, LegState.LIVE)
        if self._assembler.push(leg, pcm, concealed=concealed):
            self._pump(now)

    def digit(self, leg: Leg, digit: str, seconds: float) -> None:
        """Take a DTMF digit; see :meth:`voicebot.telephony.line.Ear.digit`."""
        self._note(lambda t: Digit(call_id=self.id, leg=leg, t=t, digit=digit, seconds=seconds))

    def held(self, leg: Leg, held: bool) -> None:
        """Take a hold or its end; see :meth:`voicebot.telephony.line.Ear.held`."""
        view = self.view.legs[leg]
        view.last_audio = self._loop.time()
        if held != (view.state is LegState.HELD):
            self._leg_is(leg, LegState.HELD if held else LegState.LIVE)

    def ended(self, reason: str) -> None:
        """Take the end; see :meth:`voicebot.telephony.line.Ear.ended`."""
        if self._ended is not None:
            return
        self.on_ending(reason)
        self._ended = reason
        for block in self._assembler.rest():
            self._submit(partial(self._work, block, self._loop.time()))
        self._submit(self._finish)

    # ------------------------------------------------------------ from the daemon

    def tell(self, make: Callable[[float], Event]) -> None:
        """Put an event in the record, made for the audio clock as the work stands then.

        Args:
            make: Given the audio clock in seconds; called on a thread of the pool.
        """
        self._submit(lambda: self._call.tell(make(self._call.t)))

    def tick(self, now: float) -> str | None:
        """Let time pass: fill legs that are late, and see whether the line is alive.

        Args:
            now: s, the loop's clock.

        Returns:
            Why the call should be ended; None if it goes on.
        """
        if self._ended is not None:
            return None
        self._pump(now)
        for leg, view in self.view.legs.items():
            if view.state is LegState.HELD or self.away:
                view.last_audio = now
            elif now - view.last_audio > self.params.silent_seconds and (
                view.state is LegState.LIVE
            ):
                self._leg_is(leg, LegState.SILENT)
        quiet = now - max(view.last_audio for view in self.view.legs.values())
        if now - self.began > self.params.max_call_seconds:
            return "too_long"
        return "dead_line" if quiet > self.params.dead_line_seconds else None

    # ------------------------------------------------------------ inside

    def _pump(self, now: float) -> None:
        """Hand what is due to the stages."""
        for block in self._assembler.due(now):
            # A job for a digit or a state counts like a block of audio.
            if self._strand.pending >= self._most_waiting:
                self.view.dropped += 1
            else:
                self._submit(partial(self._work, block, now))

    def _note(self, make: Callable[[float], Event]) -> None:
        """Tell of what the peer does, who may do it as often as it likes."""
        if self._strand.pending >= self._most_waiting + _MOST_NOTES:
            self.view.unrecorded += 1
        else:
            self.tell(make)

    def _submit(self, job: Callable[[], None]) -> None:
        self._strand.submit(partial(self._guarded, job))

    def _leg_is(self, leg: Leg, state: LegState) -> None:
        self.view.legs[leg].state = state
        self._note(lambda t: LineState(call_id=self.id, leg=leg, t=t, state=state))

    def _work(self, block: dict[Leg, Frame], arrived: float) -> None:
        """Take a block through the stages; on a thread of the pool."""
        self._call.push(block)
        now = self._loop.time()
        self._lag.add(now - arrived, now)

    def _guarded(self, job: Callable[[], None]) -> None:
        """Run a job; a bug in a stage ends this call, visibly, and no other."""
        if self._broken:
            return
        try:
            job()
        except Exception as err:
            self._broken = True
            log.exception("call_failed", call_id=self.id, error=type(err).__name__)
            self._call.abandon()
            self._soon(self._failed)

    def _failed(self) -> None:
        """The stages failed: the caller must not be left with a deaf line."""
        self._ended = self._ended or "internal_error"
        self._closing = self._loop.create_task(self._close_line())

    async def _close_line(self) -> None:
        try:
            await self.line.hang_up("internal_error")
        except Exception as err:  # of a gateway: the call is to be forgotten all the same
            log.exception("hang_up_failed", call_id=self.id, error=type(err).__name__)
        self._gone(self)

    def _finish(self) -> None:
        self._call.end(self._ended or "hangup")
        self._soon(self._gone, self)

    def _emit(self, event: Event) -> None:
        """An event of the stages; on a thread of the pool."""
        match event:
            case Evidence():
                self.view.evidence, self.view.threshold = event.evidence, event.threshold
            case State():
                self.view.state = event.state
            case CallEnded():
                self.view.alerts = event.alerts
        self._record(event)
        self._soon(self._heard, self, event)

    def _soon(self, what: Callable[..., None], *arguments: object) -> None:
        # The loop may be closed where the process ends faster than its calls.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what, *arguments)
