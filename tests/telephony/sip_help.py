"""Help for the SIP tests: requests, and a pipe that loses, doubles and reorders datagrams."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from aiosipua.message import SipRequest, SipResponse

from voicebot.telephony.sip.sip_messages import new_call_id, new_tag, response_to
from voicebot.telephony.sip.sip_params import Hop, SipParams
from voicebot.telephony.sip.sip_transactions import ClientTransaction, ServerTransaction, SipLayer
from voicebot.telephony.sip.sip_transport import Flow

T1 = 0.01
FAST = SipParams(
    listen=["udp:127.0.0.1:0", "tcp:127.0.0.1:0"],
    t1_seconds=T1,
    t2_seconds=4 * T1,
    t4_seconds=5 * T1,
    max_requests_per_second=1e6,
    max_requests_per_second_in_all=1e6,
)
A = Hop("udp", "127.0.0.1", 5001)
B = Hop("udp", "127.0.0.1", 5002)

Plan = Callable[[int, bytes], list[float]]
"""number of a datagram and its bytes → the delays of its copies in s; none: it is lost"""


def perfect(number: int, data: bytes) -> list[float]:
    return [0.0]


def make(method: str, *, call_id: str = "", seq: int = 1, to: str = "", **more: str) -> SipRequest:
    """A request as a user of the layer makes it; ``more`` are headers, ``_`` for ``-``."""
    request = SipRequest(method=method, uri="sip:bob@127.0.0.1")
    request.set_header("From", f"<sip:alice@127.0.0.1>;tag={new_tag()}")
    request.set_header("To", "<sip:bob@127.0.0.1>" + (f";tag={to}" if to else ""))
    request.set_header("Call-ID", call_id or new_call_id())
    request.set_header("CSeq", f"{seq} {method}")
    for name, value in more.items():
        request.set_header(name.replace("_", "-"), value)
    return request


def ack_for(invite: SipRequest, response: SipResponse) -> SipRequest:
    """The ACK that a user makes for a 2xx."""
    ack = SipRequest(method="ACK", uri=invite.uri)
    for name in ("From", "Call-ID"):
        ack.set_header(name, invite.headers.get(name)[0])
    ack.set_header("To", response.headers.get("To")[0])
    ack.set_header("CSeq", invite.headers.get("CSeq")[0].split()[0] + " ACK")
    return ack


class _JumpingSelector(selectors.DefaultSelector):
    """Does not wait: lets the loop's clock jump to its next timer instead."""

    jumped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout:
            self.jumped += timeout
        return super().select(None if timeout is None else 0)


class _JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.jumped


def run_at_once(work: Coroutine[Any, Any, None]) -> None:
    """Run something that waits only for timers, in no time and the same way each time."""
    with asyncio.Runner(loop_factory=_JumpingLoop) as runner:
        runner.run(work)


class Pipe:
    """Carries datagrams between two ends on one loop, as a plan says."""

    def __init__(self, plan: Plan = perfect) -> None:
        self.plan = plan
        self.carried: list[bytes] = []
        self.ends: dict[Hop, End] = {}

    def end(self, here: Hop) -> Callable[[Callable[[bytes, Flow], None]], End]:
        def build(receive: Callable[[bytes, Flow], None]) -> End:
            self.ends[here] = End(self, here, receive)
            return self.ends[here]

        return build

    def carry(self, source: Hop, target: Hop, data: bytes) -> bool:
        end = self.ends.get(target)
        if end is None:
            return False
        delays = self.plan(len(self.carried), data)
        self.carried.append(data)
        loop = asyncio.get_running_loop()
        for delay in delays:
            loop.call_later(delay, end.receive, data, PipeFlow(source, end))
        return True


@dataclass
class PipeFlow:
    hop: Hop
    end: End

    def send(self, data: bytes, port: int = 0) -> bool:
        to = Hop(self.hop.transport, self.hop.host, port or self.hop.port)
        return self.end.pipe.carry(self.end.here, to, data)


@dataclass
class End:
    pipe: Pipe
    here: Hop
    receive: Callable[[bytes, Flow], None]

    @property
    def listeners(self) -> tuple[Hop, ...]:
        return (self.here,)

    async def start(self) -> None:
        return None

    async def close(self) -> None:
        self.pipe.ends.pop(self.here, None)

    def sent_by(self, hop: Hop) -> tuple[str, int]:
        return self.here.host, self.here.port

    def send(
        self, hop: Hop, data: bytes, failed: Callable[[], None], within: float | None = None
    ) -> None:
        if not self.pipe.carry(self.here, hop, data):
            asyncio.get_running_loop().call_soon(failed)


@dataclass
class Side:
    """A layer and what its user saw."""

    params: SipParams = FAST
    answers: list[int] = field(default_factory=lambda: [200])
    """what each request is answered with"""
    requests: list[ServerTransaction] = field(default_factory=list)
    acks: list[SipRequest] = field(default_factory=list)
    responses: list[SipResponse] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    pipe: Pipe | None = None
    here: Hop = A

    def __post_init__(self) -> None:
        carrier = None if self.pipe is None else self.pipe.end(self.here)
        self.layer = SipLayer(
            self.params, self.heard, lambda ack, _: self.acks.append(ack), carrier
        )

    def heard(self, transaction: ServerTransaction) -> None:
        self.requests.append(transaction)
        for status in self.answers:
            transaction.respond(response_to(transaction.request, status))

    @property
    def statuses(self) -> list[int]:
        return [response.status_code for response in self.responses]

    def ask(self, request: SipRequest, hop: Hop) -> ClientTransaction:
        return self.layer.request(request, hop, self.responses.append, self.failures.append)

    async def __aenter__(self) -> Side:
        await self.layer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.layer.close()

    def hop(self, transport: str) -> Hop:
        return next(here for here in self.layer.listeners if here.transport == transport)
