from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.telephony.sip.test_sip_parse import REFUSED, SILENT, mutated
from tests.telephony.sip_help import (
    FAST,
    T1,
    A,
    B,
    Pipe,
    PipeFlow,
    Plan,
    Side,
    ack_for,
    make,
    perfect,
    run_at_once,
)
from tests.telephony.torture import MESSAGES
from tests.waiting import until
from voicebot.telephony.sip.sip_messages import (
    response_to,
    serialise,
    to_tag,
    top_via,
)
from voicebot.telephony.sip.sip_params import Hop
from voicebot.telephony.sip.sip_parse import parse
from voicebot.telephony.sip.sip_transactions import TransactionState

Scene = Callable[[Side, Side, Pipe], Coroutine[Any, Any, None]]


def play(scene: Scene, plan: Plan = perfect, **changes: Any) -> None:
    """Run a scene between two sides on a pipe; afterwards nothing may be left."""

    async def run() -> None:
        pipe = Pipe(plan)
        params = FAST.model_copy(update=changes)
        async with Side(params, pipe=pipe, here=A) as a, Side(params, pipe=pipe, here=B) as b:
            await scene(a, b, pipe)

    run_at_once(run())


async def emptied(*sides: Side) -> None:
    """Every table of the layers is empty, once the timers have run."""
    await until(lambda: not any(side.layer.transactions for side in sides))
    for side in sides:
        layer = side.layer
        tables = (layer._servers, layer._server_keys, layer._begun, layer._accepted, layer._clients)
        assert not any(tables)


def lose(*numbers: int) -> Plan:
    """Lose the datagrams of these numbers, counted from 0."""
    return lambda number, data: [] if number in numbers else [0.0]


def double(number: int, data: bytes) -> list[float]:
    return [0.0, 0.001]


def methods(pipe: Pipe) -> list[str]:
    """The first words of what was carried."""
    return [data.split()[1 if data.startswith(b"SIP/") else 0].decode() for data in pipe.carried]


@pytest.mark.parametrize("method", ["REFER", "BYE", "REGISTER", "OPTIONS", "INFO"])
def test_a_lost_request_is_sent_again(method: str) -> None:
    """aiosipua sends each of them once."""

    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        a.ask(make(method), B)
        await until(lambda: a.responses)
        assert a.statuses == [200]
        assert methods(pipe) == [method, method, method, "200"]
        assert len(b.requests) == 1
        await emptied(a, b)

    play(scene, lose(0, 1))


@pytest.mark.parametrize("method", ["REFER", "BYE", "REGISTER"])
def test_a_lost_response_is_sent_again(method: str) -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        a.ask(make(method), B)
        await until(lambda: a.responses)
        assert methods(pipe) == [method, "200", method, "200"]
        assert len(b.requests) == 1
        await emptied(a, b)

    play(scene, lose(1))


def test_a_repeated_invite_is_one_call() -> None:
    """aiosipua makes two calls of it."""

    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        b.answers = []
        a.ask(make("INVITE"), B)
        await until(lambda: len(pipe.carried) >= 3)
        assert methods(pipe)[:3] == ["INVITE"] * 3
        await until(lambda: b.requests)
        b.requests[0].respond(response_to(b.requests[0].request, 486))
        await until(lambda: a.responses)
        await emptied(a, b)
        assert len(b.requests) == 1
        assert a.statuses == [486]

    # The INVITE arrives each time, the answers of its transaction (100) get lost.
    play(scene, lambda number, data: [] if data.startswith(b"SIP/2.0 100") else [0.0])


def test_trying_is_sent_for_a_silent_user() -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        b.answers = []
        a.layer._times = b.layer._times = replace(b.layer._times, trying=0.03)
        a.ask(make("INVITE"), B)
        await until(lambda: a.responses)
        assert set(a.statuses) == {100}
        assert not to_tag(a.responses[0])
        sent = methods(pipe).count("INVITE")
        await asyncio.sleep(8 * T1)
        assert methods(pipe).count("INVITE") == sent, "100 stops the retransmissions"
        b.requests[0].respond(response_to(b.requests[0].request, 603))
        await emptied(a, b)

    play(scene)


def test_trying_is_not_sent_after_an_answer() -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        b.answers = [180, 486]
        b.layer._times = replace(b.layer._times, trying=0.01)
        a.ask(make("INVITE"), B)
        await until(lambda: 486 in a.statuses)
        await emptied(a, b)
        assert a.statuses == [180, 486]

    play(scene)


def test_a_refused_invite_is_acknowledged_by_the_layer() -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        b.answers = [486]
        invite = make("INVITE", Route="<sip:127.0.0.1;lr>")
        transaction = a.ask(invite, B)
        await until(lambda: "ACK" in methods(pipe))
        ack = parse(pipe.carried[-1])
        assert ack.headers.get("via") == transaction.request.headers.get("via")
        assert ack.headers.get("route") == ["<sip:127.0.0.1;lr>"]
        assert to_tag(ack) == b.requests[0].to_tag
        await emptied(a, b)
        assert b.acks == []
        assert a.statuses == [486]

    play(scene)


def test_a_lost_ack_of_a_refusal_is_sent_again() -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        b.answers = [486]
        gone = []
        a.ask(make("INVITE"), B)
        await until(lambda: a.responses)
        b.requests[0].on_ack_timeout = lambda: gone.append(1)
        await emptied(a, b)
        assert methods(pipe) == ["INVITE", "486", "ACK", "486", "ACK"]
        assert a.statuses == [486]
        assert not gone

    play(scene, lose(2))


def test_a_2xx_is_repeated_until_its_ack() -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        invite = make("INVITE")
        a.ask(invite, B)
        await until(lambda: len(a.responses) >= 3)
        assert a.statuses[:3] == [200] * 3, "each 2xx comes to the user"
        ack = ack_for(invite, a.responses[0])
        a.layer.send_ack(ack, B)
        a.layer.send_ack(ack, B)
        await until(lambda: len(b.acks) == 2)
        first, second = b.acks
        assert top_via(first).branch == top_via(second).branch
        assert top_via(first).branch != top_via(b.requests[0].request).branch
        sent = methods(pipe).count("200")
        await asyncio.sleep(10 * T1)
        assert methods(pipe).count("200") == sent
        assert b.layer.counters["sip_ack_timeouts"] == 0
        await emptied(a, b)

    play(scene)


@pytest.mark.parametrize("status", [200, 486])
def test_a_missing_ack_is_told(status: int) -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        b.answers = [status]
        a.ask(make("INVITE"), B)
        await until(lambda: b.requests)
        told: list[int] = []
        b.requests[0].on_ack_timeout = lambda: told.append(1)
        await emptied(a, b)
        assert told == [1]
        assert b.layer.counters["sip_ack_timeouts"] == 1
        assert methods(pipe).count(str(status)) > 4

    play(scene, lambda number, data: [] if data.startswith(b"ACK") else [0.0], t1_seconds=0.003)


def test_no_answer_is_a_timeout() -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        a.ask(make("INVITE"), B)
        a.ask(make("BYE"), B)
        await until(lambda: len(a.failures) == 2)
        assert a.failures == ["timeout", "timeout"]
        # A doubles to the end: T1 * (1, 2, ... 32); E doubles up to T2.
        assert methods(pipe).count("INVITE") == 7
        assert 15 <= methods(pipe).count("BYE") <= 19
        await emptied(a)

    play(scene, lambda number, data: [], t1_seconds=0.005, t2_seconds=0.02)


def test_nowhere_to_send_is_unreachable() -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        a.ask(make("BYE"), Hop("udp", "127.0.0.1", 9))
        assert a.failures == [], "never from inside"
        await until(lambda: a.failures)
        assert a.failures == ["unreachable"]
        await emptied(a)

    play(scene)


def test_cancel_waits_for_a_provisional_response() -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        b.answers = []
        transaction = a.ask(make("INVITE"), B)
        a.layer.cancel(transaction)
        a.layer.cancel(transaction)
        await until(lambda: b.requests)
        told: list[int] = []
        server = b.requests[0]

        def cancelled() -> None:
            told.append(1)
            server.respond(response_to(server.request, 487))

        server.on_cancel = cancelled
        assert "CANCEL" not in methods(pipe)
        server.respond(response_to(server.request, 180))
        await until(lambda: 487 in a.statuses)
        assert told == [1]
        cancel = next(parse(data) for data in pipe.carried if data.startswith(b"CANCEL"))
        assert cancel.headers.get("via") == transaction.request.headers.get("via")
        assert cancel.headers.get("cseq") == ["1 CANCEL"]
        ok = next(parse(d) for d in pipe.carried if d.startswith(b"SIP/2.0 200"))
        assert to_tag(ok) == server.to_tag
        await emptied(a, b)
        assert len(b.requests) == 1

    play(scene)


def test_a_lost_cancel_is_sent_again_and_heard_once() -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        b.answers = [180]
        transaction = a.ask(make("INVITE"), B)
        await until(lambda: a.responses)
        a.layer.cancel(transaction)
        await until(lambda: 487 in a.statuses)
        assert methods(pipe).count("CANCEL") >= 2
        await emptied(a, b)
        assert b.layer.counters["sip_user_errors"] == 0

    # 0 INVITE, 1 180, 2 CANCEL: lost; then its 200 is lost too.
    play(scene, lose(2, 4))


def test_a_cancel_that_comes_too_late_changes_nothing() -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        b.answers = [180]
        invite = make("INVITE")
        transaction = a.ask(invite, B)
        await until(lambda: a.responses)
        server = b.requests[0]
        told: list[int] = []
        server.on_cancel = lambda: told.append(1)
        a.layer.cancel(transaction)
        server.respond(response_to(server.request, 200))
        await until(lambda: 200 in a.statuses)
        a.layer.send_ack(ack_for(invite, a.responses[-1]), B)
        await emptied(a, b)
        assert not told
        assert 487 not in a.statuses

    play(scene)


def test_a_peer_that_ignores_cancel_is_given_up() -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        b.answers = [180]
        transaction = a.ask(make("INVITE"), B)
        await until(lambda: a.responses)
        b.requests[0].on_cancel = lambda: None
        a.layer.cancel(transaction)
        await until(lambda: a.failures)
        assert a.failures == ["timeout"]

    play(scene, t1_seconds=0.003)


def test_a_cancel_of_nothing() -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        b.layer.receive(raw("CANCEL"), PipeFlow(A, pipe.ends[B]))
        assert methods(pipe) == ["481"]
        await emptied(b)
        assert b.requests == []

    play(scene)


def raw(method: str, branch: str = "z9hG4bKabc", to: str = "<sip:bob@h>", extra: str = "") -> bytes:
    """A request as a strange peer writes it."""
    via = f"SIP/2.0/UDP 192.0.2.9:5001;rport{f';branch={branch}' if branch else ''}"
    return (
        f"{method} sip:bob@127.0.0.1 SIP/2.0\r\nVia: {via}\r\nFrom: <sip:alice@h>;tag=1\r\n"
        f"To: {to}\r\nCall-ID: one\r\nCSeq: 1 {method}\r\n{extra}\r\n"
    ).encode()


def test_a_merged_request_is_refused() -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        b.answers = []
        flow = PipeFlow(A, pipe.ends[B])
        b.layer.receive(raw("INVITE", "z9hG4bKone"), flow)
        b.layer.receive(raw("INVITE", "z9hG4bKtwo"), flow)
        assert methods(pipe) == ["482"]
        assert len(b.requests) == 1
        assert b.layer.counters == {"sip_merged_requests": 1}
        b.layer.receive(raw("INFO", "z9hG4bKthree", "<sip:bob@h>;tag=2"), flow)
        assert len(b.requests) == 2

    play(scene)


@pytest.mark.parametrize("branch", ["", "z9hG4bK", "old-style"])
def test_requests_by_rfc_2543(branch: str) -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        b.answers = [486]
        flow = PipeFlow(A, pipe.ends[B])
        b.layer.receive(raw("INVITE", branch), flow)
        b.layer.receive(raw("INVITE", branch), flow)
        assert len(b.requests) == 1
        assert methods(pipe) == ["486", "486"]
        b.layer.receive(raw("ACK", branch, f"<sip:bob@h>;tag={b.requests[0].to_tag}"), flow)
        assert b.requests[0].state is TransactionState.CONFIRMED
        assert b.acks == []
        b.layer.receive(raw("INVITE", branch).replace(b"Call-ID: one", b"Call-ID: two"), flow)
        assert len(b.requests) == 2

    play(scene)


def test_an_ack_with_the_branch_of_its_invite_is_still_heard() -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        flow = PipeFlow(A, pipe.ends[B])
        b.layer.receive(raw("INVITE"), flow)
        b.layer.receive(raw("ACK", to=f"<sip:bob@h>;tag={b.requests[0].to_tag}"), flow)
        assert len(b.acks) == 1
        await asyncio.sleep(5 * T1)
        assert methods(pipe) == ["200"]

    play(scene)


def test_where_responses_go() -> None:
    """RFC 3261 section 18.2.2 and RFC 3581."""

    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        source = Hop("udp", "127.0.0.1", 7777)
        went: list[Hop] = []
        original = pipe.carry

        def carry(here: Hop, target: Hop, data: bytes) -> bool:
            went.append(target)
            return original(here, target, data)

        pipe.carry = carry  # type: ignore
        flow = PipeFlow(source, pipe.ends[B])
        b.layer.receive(raw("OPTIONS", "z9hG4bK1"), flow)
        b.layer.receive(raw("INFO", "z9hG4bK2").replace(b";rport", b""), flow)
        b.layer.receive(raw("MESSAGE", "z9hG4bK3").replace(b":5001;rport", b""), flow)
        assert [hop.port for hop in went] == [7777, 5001, 5060]
        via = top_via(b.requests[0].request)
        assert (via.received, via.rport) == ("127.0.0.1", "7777")
        assert top_via(b.requests[1].request).received == "127.0.0.1"

    play(scene)


def test_stray_acks_and_cancels_are_counted() -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        flow = PipeFlow(A, pipe.ends[B])
        b.layer.receive(raw("ACK"), flow)
        b.layer.receive(raw("CANCEL"), flow)
        assert methods(pipe) == ["481"]
        assert b.layer.counters == {"sip_stray_acks": 1, "sip_stray_cancels": 1}

    play(scene)


def test_stray_responses_are_counted() -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        b.answers = []
        transaction = a.ask(make("OPTIONS"), B)
        flow = PipeFlow(B, pipe.ends[A])
        good = response_to(transaction.request, 200, to_tag="1")
        changes: list[tuple[str, str]] = [
            ("CSeq", "1 INVITE"),
            ("CSeq", "2 OPTIONS"),
            ("Via", "SIP/2.0/UDP 127.0.0.1:5001;branch=z9hG4bKother"),
            ("Via", top_via(transaction.request).branch or ""),
        ]
        own = transaction.request.headers.get("via")[0]
        changes[3] = ("Via", own.replace("127.0.0.1:5001", "192.0.2.1:5001"))
        for name, value in changes:
            wrong = parse(serialise(good))
            wrong.set_header(name, value)
            a.layer.receive(serialise(wrong), flow)
        twice = parse(serialise(good))
        twice.add_header("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx")
        a.layer.receive(serialise(twice), flow)
        assert a.layer.counters["sip_stray_responses"] == 5
        assert a.responses == []
        a.layer.receive(serialise(good), flow)
        assert a.statuses == [200]

    play(scene)


@pytest.mark.parametrize("method", ["OPTIONS", "INVITE"])
def test_everything_doubled_and_reordered(method: str) -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        b.answers = [180, 486]
        a.ask(make(method), B)
        await until(lambda: 486 in a.statuses)
        await emptied(a, b)
        assert len(b.requests) == 1
        assert a.statuses.count(486) == 1

    play(scene, double)
    play(scene, lambda number, data: [0.004 if number % 2 else 0.0, 0.001])


def test_many_calls_through_a_bad_network() -> None:
    """A third lost, a quarter doubled, all reordered: each call is set up and ended once."""
    chance = random.Random(7)

    def plan(number: int, data: bytes) -> list[float]:
        copies = 0 if chance.random() < 0.33 else (2 if chance.random() < 0.25 else 1)
        return [chance.uniform(0.0, 0.004) for _ in range(copies)]

    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        ended: list[int] = []

        def call() -> None:
            invite = make("INVITE")

            def answered(response: Any) -> None:
                if response.status_code != 200:
                    return
                first = "ack" not in state
                ack = state.setdefault("ack", ack_for(invite, response))
                a.layer.send_ack(ack, B)
                if first:
                    bye = make("BYE", call_id=invite.call_id or "", seq=2, to=to_tag(response))
                    a.layer.request(
                        bye, B, lambda r: ended.append(r.status_code), a.failures.append
                    )

            state: dict[str, Any] = {}
            a.layer.request(invite, B, answered, a.failures.append)

        for _ in range(30):
            call()
        await until(lambda: len(ended) + len(a.failures) == 30, 5.0)
        heard = [server.request.method for server in b.requests]
        assert a.failures == []
        assert ended == [200] * 30
        assert (heard.count("INVITE"), heard.count("BYE")) == (30, 30)
        assert b.layer.counters["sip_ack_timeouts"] == 0
        await emptied(a, b)

    play(scene, plan)


def test_a_user_that_raises_answers_500() -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        def broken(transaction: object) -> None:
            raise RuntimeError

        b.layer._on_request = broken
        a.ask(make("OPTIONS"), B)
        await until(lambda: a.responses)
        assert a.statuses == [500]
        assert b.layer.counters["sip_user_errors"] == 1

    play(scene)


def test_a_user_that_never_answers_leaks_nothing() -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        b.answers = []
        b.layer._times = replace(b.layer._times, longest=0.1)
        a.ask(make("OPTIONS"), B)
        a.ask(make("INVITE"), B)
        await emptied(a, b)
        assert b.layer.counters["sip_unanswered"] == 2
        assert 487 in a.statuses

    play(scene, t1_seconds=0.003)


def test_a_second_final_response_is_dropped() -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        b.answers = [200, 486, 180]
        a.ask(make("OPTIONS"), B)
        await until(lambda: a.responses)
        assert b.layer.counters["sip_late_responses"] == 2
        await emptied(a, b)
        assert a.statuses == [200]

    play(scene)


def test_the_table_is_bounded() -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        b.answers = []
        flow = PipeFlow(A, pipe.ends[B])
        for i in range(30):
            request = raw("INVITE", f"z9hG4bK{i}").replace(b"Call-ID: one", b"Call-ID: %d" % i)
            b.layer.receive(request, flow)
        assert b.layer.transactions == 10
        assert methods(pipe) == ["503"] * 20
        assert b"Retry-After: 10" in pipe.carried[0]
        b.layer.receive(raw("BYE", "z9hG4bKbye", "<sip:bob@h>;tag=2"), flow)
        assert len(b.requests) == 11, "the end of a running call still gets in"

    play(scene, max_transactions=10)


def test_a_flood_is_dropped_before_it_costs() -> None:
    """1,000 OPTIONS within a moment: the rest is dropped, and a BYE gets through."""

    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        flow = PipeFlow(A, pipe.ends[B])
        begun = time.process_time()
        for i in range(1000):
            b.layer.receive(raw("OPTIONS", f"z9hG4bK{i}", extra=f"X: {i}\r\n"), flow)
        spent = time.process_time() - begun
        assert b.layer.counters["sip_limited"] >= 900
        assert len(b.requests) <= 100
        assert spent < 0.2
        b.layer.receive(raw("BYE", "z9hG4bKbye", "<sip:bob@h>;tag=2"), flow)
        assert b.requests[-1].request.method == "BYE"

    play(scene, max_requests_per_second=20)


def test_a_flood_from_many_sources_is_dropped_too() -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        for i in range(200):
            flow = PipeFlow(Hop("udp", f"127.0.1.{i}", 5060), pipe.ends[B])
            b.layer.receive(raw("OPTIONS", f"z9hG4bK{i}", extra=f"X: {i}\r\n"), flow)
        assert b.layer.counters["sip_limited"] >= 100

    play(scene, max_requests_per_second_in_all=20)


def test_strangers_are_dropped_unseen() -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        stranger = PipeFlow(Hop("udp", "192.0.2.66", 5060), pipe.ends[B])
        b.layer.receive(raw("OPTIONS"), stranger)
        b.layer.receive(b"\x00nonsense", stranger)
        assert b.layer.counters["sip_not_allowed"] == 2
        assert b.layer.counters["sip_malformed"] == 0
        assert (b.requests, pipe.carried) == ([], [])

    play(scene)


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_torture_over_the_wire(name: str) -> None:
    """RFC 4475: valid requests reach the user, invalid ones are answered or dropped."""

    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        b.answers = []
        sent: list[bytes] = []
        end = pipe.ends[B]
        pipe.carry = lambda source, target, data: not sent.append(data)  # type: ignore
        b.layer.receive(MESSAGES[name], PipeFlow(A, end))
        counters = b.layer.counters
        assert counters["sip_error"] == 0
        if name in REFUSED:
            assert b.requests == []
            assert counters["sip_malformed"] == 1
            statuses = [int(data.split()[1]) for data in sent]
            assert statuses == ([] if name in SILENT else [REFUSED[name]])
        elif MESSAGES[name].startswith(b"SIP/"):
            assert counters["sip_stray_responses"] == 1
        else:
            assert [server.request.method.encode() for server in b.requests] == [
                MESSAGES[name].split()[0]
            ]

    play(scene)


def test_harmed_datagrams_never_raise_and_leave_nothing() -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        loop = asyncio.get_running_loop()
        trouble: list[object] = []
        loop.set_exception_handler(lambda _, context: trouble.append(context))
        pipe.plan = lambda number, data: []
        flow = PipeFlow(A, pipe.ends[B])

        @settings(
            max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), database=None
        )
        @given(mutated())
        def harm(data: bytes) -> None:
            b.layer.receive(data, flow)

        harm()
        assert b.layer.counters["sip_error"] == 0
        for server in b.requests:
            server.respond(response_to(server.request, 500))
        await emptied(b)
        assert trouble == []
        a.ask(make("OPTIONS"), B)
        pipe.plan = perfect
        await until(lambda: a.responses)

    play(scene, t1_seconds=0.002)


def test_keepalives_are_no_messages() -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        flow = PipeFlow(A, pipe.ends[B])
        for data in (b"\r\n\r\n", b"\0\0\0\0", b""):
            b.layer.receive(data, flow)
        assert b.layer.counters == {"sip_keepalives": 3}

    play(scene)


def test_close_ends_everything_silently() -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        b.answers = [180]
        a.ask(make("INVITE"), B)
        await until(lambda: a.responses)
        await a.layer.close()
        await a.layer.close()
        await b.layer.close()
        before = len(pipe.carried)
        await asyncio.sleep(5 * T1)
        assert len(pipe.carried) == before
        assert a.failures == []
        assert a.layer.transactions == b.layer.transactions == 0

    play(scene)


def test_a_request_that_lacks_headers_is_refused() -> None:
    async def scene(a: Side, b: Side, pipe: Pipe) -> None:
        request = make("OPTIONS")
        request.remove_header("Call-ID")
        with pytest.raises(ValueError, match="Call-ID"):
            a.ask(request, B)

    play(scene)
