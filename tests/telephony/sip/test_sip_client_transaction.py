from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.telephony.sip_help import make, run_at_once
from voicebot.telephony.sip.sip_client_transaction import ClientTransaction, follow_up
from voicebot.telephony.sip.sip_messages import response_to
from voicebot.telephony.sip.sip_params import Hop
from voicebot.telephony.sip.sip_timers import Times, TransactionState

FIRST = Hop("udp", "127.0.0.1", 5060)
SECOND = Hop("tcp", "127.0.0.1", 5060)


class Bench:
    """A transaction, when it sent what, and what its user was told."""

    def __init__(self, method: str, hop: Hop = FIRST) -> None:
        self.loop = asyncio.get_running_loop()
        self.sent: list[tuple[float, str]] = []
        self.ended: list[float] = []
        self.told: list[int | str] = []
        self.request = make(method, Via="SIP/2.0/UDP h;branch=z9hG4bK1")
        self.tx = ClientTransaction(
            self.request,
            hop,
            Times(),
            Counter(),
            lambda to, data: self.sent.append((self.now, data.split()[0].decode())),
            lambda response: self.told.append(response.status_code),
            self.told.append,
            lambda tx: self.ended.append(self.now),
        )
        self.tx.start()

    @property
    def now(self) -> float:
        return round(self.loop.time(), 2)

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.sent]

    def take(self, status: int) -> None:
        self.tx.receive(response_to(self.request, status, to_tag="1"))


def scene(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    run_at_once(work())


def test_timers_a_and_b() -> None:
    async def work() -> None:
        bench = Bench("INVITE")
        await asyncio.sleep(40)
        assert bench.times == [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
        assert bench.told == ["timeout"]
        assert bench.ended == [32.0]

    scene(work)


def test_timers_e_and_f() -> None:
    async def work() -> None:
        bench = Bench("BYE")
        await asyncio.sleep(40)
        assert bench.times == [0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
        assert bench.told == ["timeout"]

    scene(work)


def test_over_tcp_nothing_is_repeated() -> None:
    async def work() -> None:
        for method in ("INVITE", "BYE"):
            bench = Bench(method, SECOND)
            begun = bench.now
            await asyncio.sleep(40)
            assert bench.times == [begun]
            assert bench.told == ["timeout"]

    scene(work)


def test_after_a_provisional_response() -> None:
    async def work() -> None:
        invite, bye = Bench("INVITE"), Bench("BYE")
        invite.take(180)
        bye.take(100)
        await asyncio.sleep(100)
        assert invite.times == [0.0]
        assert bye.times == [0.0, 4.0, 8.0, 12.0, 16.0, 20.0, 24.0, 28.0]
        assert (invite.told, bye.told) == ([180], [100, "timeout"])
        await asyncio.sleep(600)
        assert invite.told == [180, "timeout"], "nothing rings for ever"

    scene(work)


@pytest.mark.parametrize(("hop", "end"), [(FIRST, 32.0), (SECOND, 0.0)])
def test_a_refused_invite(hop: Hop, end: float) -> None:
    async def work() -> None:
        bench = Bench("INVITE", hop)
        bench.take(486)
        bench.take(486)
        bench.take(200)
        acks = [what for _, what in bench.sent].count("ACK")
        assert acks == (2 if hop is FIRST else 1)
        await asyncio.sleep(40)
        assert bench.told == [486]
        assert bench.ended == [end]

    scene(work)


def test_an_accepted_invite_shows_each_2xx() -> None:
    async def work() -> None:
        bench = Bench("INVITE")
        for status in (180, 200, 200, 486, 180):
            bench.take(status)
        assert bench.tx.state is TransactionState.ACCEPTED
        await asyncio.sleep(40)
        assert bench.told == [180, 200, 200]
        assert bench.ended == [32.0]

    scene(work)


@pytest.mark.parametrize(("hop", "end"), [(FIRST, 5.0), (SECOND, 0.0)])
def test_a_final_response_is_told_once(hop: Hop, end: float) -> None:
    async def work() -> None:
        bench = Bench("BYE", hop)
        bench.take(200)
        bench.take(200)
        bench.tx.unsent()
        await asyncio.sleep(40)
        assert bench.told == [200]
        assert bench.ended == [end]

    scene(work)


def test_over_to_another_transport() -> None:
    async def work() -> None:
        bench = Bench("INVITE", SECOND)
        await asyncio.sleep(10)
        bench.tx.restart(bench.request, FIRST)
        await asyncio.sleep(1)
        assert bench.times == [0.0, 10.0, 10.5]
        bench.tx.unsent()
        bench.tx.restart(bench.request, FIRST)
        assert bench.told == ["unreachable"]
        assert len(bench.sent) == 3

    scene(work)


def test_after_cancel_64_t1_are_left() -> None:
    async def work() -> None:
        bench = Bench("INVITE")
        bench.take(180)
        bench.tx.limit()
        await asyncio.sleep(10)
        bench.take(183)
        await asyncio.sleep(30)
        assert bench.told == [180, 183, "timeout"]
        assert bench.ended == [32.0]

    scene(work)


def test_what_follows_up_has_the_same_via_and_number() -> None:
    request = make("INVITE", seq=9, Via="SIP/2.0/UDP h;branch=z9hG4bK1", Route="<sip:p;lr>")
    cancel = follow_up(request, "CANCEL", "<sip:bob@h>")
    assert cancel.uri == request.uri
    for name in ("Via", "Route", "From", "Call-ID"):
        assert cancel.headers.get(name) == request.headers.get(name)
    assert cancel.headers.get("CSeq") == ["9 CANCEL"]
