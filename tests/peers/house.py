"""Our SIP endpoint in this process, on a loop of its own, with a reception that writes down."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np

from tests.peers.processes import wait_for
from voicebot.events import Leg, Pcm
from voicebot.telephony.line import (
    Briefing,
    Line,
    MediaFigures,
    Offer,
    RefusedError,
    Transferred,
)
from voicebot.telephony.media.media_session import MediaParams
from voicebot.telephony.sip.registration import RegistrationParams
from voicebot.telephony.sip.sip_core import CallParams, TransferParams
from voicebot.telephony.sip.sip_endpoint import SipEndpoint, SipEndpointParams
from voicebot.telephony.sip.sip_params import SipParams
from voicebot.telephony.siprec.siprec import SiprecRecorder
from voicebot.telephony.siprec.siprec_parties import SiprecParams

T = TypeVar("T")
BRIEFING = Briefing("alert-1", "http://127.0.0.1/alerts/1", "persistent_anger")


@dataclass
class Heard:
    """One call: its line, and everything that its ear was told."""

    offer: Offer
    line: Line
    began: float
    pieces: dict[Leg, list[tuple[Pcm, bool]]] = field(default_factory=dict)
    digits: list[tuple[Leg, str, float]] = field(default_factory=list)
    holds: list[tuple[Leg, bool]] = field(default_factory=list)
    end: str = ""
    over: float = 0.0
    """when it ended, by the clock of the endpoint's loop"""
    figures: dict[Leg, MediaFigures] = field(default_factory=dict)
    """as they were at the end"""

    def audio(self, leg: Leg, pcm: Pcm, *, concealed: bool = False) -> None:
        self.pieces.setdefault(leg, []).append((pcm, concealed))

    def digit(self, leg: Leg, digit: str, seconds: float) -> None:
        self.digits.append((leg, digit, seconds))

    def held(self, leg: Leg, held: bool) -> None:
        self.holds.append((leg, held))

    def ended(self, reason: str) -> None:
        self.over = self.over or time.monotonic()
        self.end = self.end or reason
        self.figures = dict(self.line.figures()) or self.figures

    def pcm(self, leg: Leg = Leg.CALLER) -> Pcm:
        """All that was heard of a leg."""
        pieces = [pcm for pcm, _ in self.pieces.get(leg, [])]
        return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)

    def concealed(self, leg: Leg = Leg.CALLER) -> float:
        """s that were made up."""
        made_up = sum(len(pcm) for pcm, concealed in self.pieces.get(leg, []) if concealed)
        return made_up / self.offer.rate

    def seconds(self, leg: Leg = Leg.CALLER) -> float:
        """s that were heard."""
        return sum(len(pcm) for pcm, _ in self.pieces.get(leg, [])) / self.offer.rate


def params(
    *listen: str,
    accounts: list[RegistrationParams] | None = None,
    transfer: TransferParams | None = None,
    **sip: Any,
) -> SipEndpointParams:
    """Parameters of an endpoint on loopback; ports from the system."""
    return SipEndpointParams(
        signalling=SipParams(listen=list(listen) or ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"], **sip),
        call=CallParams(transfer=transfer or TransferParams(bye_seconds=1.0)),
        accounts=accounts or [],
    )


class House:
    """The endpoint, and the calls that it took.  Use as a context manager.

    Args:
        made: Its parameters, by :func:`params`.
        siprec: Parameters of the recording server.
        media: Of RTP; ports from the system by default.
        most_calls: More are refused.
    """

    def __init__(
        self,
        made: SipEndpointParams | None = None,
        siprec: SiprecParams | None = None,
        media: MediaParams | None = None,
        most_calls: int = 1000,
    ) -> None:
        self._params = made or params()
        self._siprec = siprec or SiprecParams()
        self._media = media or MediaParams(port_low=0, port_high=0)
        self._most_calls = most_calls
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="house", daemon=True)
        self.calls: list[Heard] = []
        self.errors: list[dict[str, Any]] = []
        """what reached the loop's exception handler: none ever should"""
        self.worst_lag = 0.0
        """s; how late the loop was at its worst"""
        self.on_call: Callable[[Heard], None] = lambda call: None

    def receive(self, offer: Offer, line: Line) -> Heard:
        if sum(not call.end for call in self.calls) >= self._most_calls:
            raise RefusedError("at capacity", 5.0)
        call = Heard(offer, line, time.monotonic())
        self.calls.append(call)
        self.on_call(call)
        return call

    def __enter__(self) -> Self:
        self._thread.start()
        self._loop.set_exception_handler(lambda _, context: self.errors.append(context))
        self.run(self._start())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.run(self._stop())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5.0)
            self._loop.close()
        if error is None:
            assert not self.errors, self.errors
            assert self.pool.in_use == 0, "media ports leaked"
            assert self.endpoint.counters.get("sip_internal_error", 0) == 0

    async def _start(self) -> None:
        self.pool = self._media.pool()
        self.recorder = SiprecRecorder(self._siprec, self._media, self.pool)
        self.endpoint = SipEndpoint(self._params, self._media, self, self.pool, self.recorder)
        await self.endpoint.start()
        self._watching = asyncio.create_task(self._watch())

    async def _stop(self) -> None:
        self._watching.cancel()
        await self.endpoint.close()

    async def _watch(self) -> None:
        while True:
            due = self._loop.time() + 0.02
            await asyncio.sleep(0.02)
            self.worst_lag = max(self.worst_lag, self._loop.time() - due)

    def begin(self, coroutine: Awaitable[T]) -> Future[T]:
        """Run something on the endpoint's loop, beside."""

        async def whole() -> T:
            return await coroutine

        return asyncio.run_coroutine_threadsafe(whole(), self._loop)

    def run(self, coroutine: Awaitable[T], seconds: float = 15.0) -> T:
        """Run something on the endpoint's loop, and wait for it."""
        return self.begin(coroutine).result(seconds)

    def port(self, transport: str = "udp") -> int:
        """Where it listens."""
        return next(hop.port for hop in self.endpoint.listeners if hop.transport == transport)

    def call(self, number: int = 0, seconds: float = 10.0) -> Heard:
        """Wait for a call."""
        wait_for(lambda: len(self.calls) > number, f"call {number + 1}", seconds)
        return self.calls[number]

    def ended(self, number: int = 0, seconds: float = 20.0) -> Heard:
        """Wait until a call has ended."""
        call = self.call(number, seconds)
        wait_for(lambda: bool(call.end), f"the end of call {number + 1}", seconds)
        return call

    def transfer(self, call: Heard, target: str, seconds: float = 20.0) -> Transferred:
        """Hand the caller over."""

        async def whole() -> Transferred:
            return await call.line.transfer(target, BRIEFING)

        return self.run(whole(), seconds)

    @property
    def counters(self) -> dict[str, int]:
        """Of signalling."""
        return dict(self.endpoint.counters)
