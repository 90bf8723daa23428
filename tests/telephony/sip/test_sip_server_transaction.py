from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.telephony.sip_help import make, run_at_once
from voicebot.telephony.sip.sip_messages import response_to
from voicebot.telephony.sip.sip_params import Hop
from voicebot.telephony.sip.sip_server_transaction import ServerTransaction
from voicebot.telephony.sip.sip_timers import Times, TransactionState


class Bench:
    """A transaction and when it sent what, in s with the timers of RFC 3261."""

    def __init__(self, method: str, transport: str = "udp") -> None:
        self.loop = asyncio.get_running_loop()
        self.sent: list[tuple[float, int]] = []
        self.ended: list[float] = []
        self.counters: Counter[str] = Counter()
        self.request = make(method, Via="SIP/2.0/UDP h;branch=z9hG4bK1")
        self.tx = ServerTransaction(
            self.request,
            Hop(transport, "127.0.0.1", 5060),
            Times(),
            self.counters,
            lambda data: self.sent.append((self.now, int(data.split()[1]))),
            lambda tx: None,
            lambda tx: self.ended.append(self.now),
        )

    @property
    def now(self) -> float:
        return round(self.loop.time(), 2)

    def respond(self, status: int) -> None:
        self.tx.respond(response_to(self.request, status))


def scene(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    run_at_once(work())


def test_timers_of_a_refused_invite() -> None:
    """G doubles up to T2, H ends it after 64*T1."""

    async def work() -> None:
        bench = Bench("INVITE")
        bench.respond(486)
        await asyncio.sleep(40)
        times = [at for at, _ in bench.sent]
        assert times[:5] == [0.0, 0.5, 1.5, 3.5, 7.5]
        assert max(times) < 32
        assert bench.ended == [32.0]
        assert bench.counters["sip_ack_timeouts"] == 1

    scene(work)


def test_over_tcp_a_refusal_is_sent_once_and_a_2xx_is_repeated() -> None:
    async def work() -> None:
        refused, taken = Bench("INVITE", "tcp"), Bench("INVITE", "tcp")
        refused.respond(486)
        taken.respond(200)
        await asyncio.sleep(10)
        assert len(refused.sent) == 1
        assert [at for at, _ in taken.sent] == [0.0, 0.5, 1.5, 3.5, 7.5]
        assert refused.tx.ack()
        assert refused.ended == [10.0]
        taken.tx.acked()
        taken.tx.acked()
        await asyncio.sleep(40)
        assert len(taken.sent) == 5
        assert taken.ended == [32.0]
        assert taken.counters["sip_ack_timeouts"] == 0

    scene(work)


def test_trying_after_200_ms() -> None:
    async def work() -> None:
        silent, quick = Bench("INVITE"), Bench("INVITE")
        await asyncio.sleep(0.1)
        quick.respond(180)
        await asyncio.sleep(1)
        assert silent.sent == [(0.2, 100)]
        assert quick.sent == [(0.1, 180)]
        silent.tx.again()
        assert [status for _, status in silent.sent] == [100, 100]

    scene(work)


@pytest.mark.parametrize(("transport", "end"), [("udp", 32.0), ("tcp", 0.0)])
def test_a_completed_request_stays_for_retransmissions(transport: str, end: float) -> None:
    async def work() -> None:
        bench = Bench("BYE", transport)
        bench.tx.again()
        assert bench.sent == []
        bench.respond(200)
        bench.tx.again()
        await asyncio.sleep(40)
        assert len(bench.sent) == (2 if transport == "udp" else 1)
        assert bench.ended == [end]

    scene(work)


def test_after_its_ack_a_refusal_stays_for_t4() -> None:
    async def work() -> None:
        bench = Bench("INVITE")
        bench.respond(404)
        bench.tx.ack()
        assert bench.tx.ack()
        bench.tx.again()
        await asyncio.sleep(40)
        assert len(bench.sent) == 1
        assert bench.ended == [5.0]

    scene(work)


def test_cancel_without_a_user() -> None:
    async def work() -> None:
        bench = Bench("INVITE")
        bench.tx.cancel()
        bench.tx.cancel()
        assert [status for _, status in bench.sent] == [487]
        other = Bench("BYE")
        other.tx.cancel()
        assert other.sent == []

    scene(work)


def test_a_user_that_raises_when_cancelled() -> None:
    async def work() -> None:
        bench = Bench("INVITE")

        def broken() -> None:
            raise RuntimeError

        bench.tx.on_cancel = broken
        bench.tx.cancel()
        assert bench.counters["sip_user_errors"] == 1

    scene(work)


def test_who_never_answers_is_given_up() -> None:
    async def work() -> None:
        bench = Bench("INVITE")
        other = Bench("INFO")
        bench.tx.on_cancel = lambda: None
        await asyncio.sleep(700)
        assert bench.tx.state is other.tx.state is TransactionState.TERMINATED
        assert (600.0, 408) in bench.sent
        assert other.sent == [(32.0, 500)]

    scene(work)
