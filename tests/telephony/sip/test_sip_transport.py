from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.telephony.sip_certificates import certificate
from tests.telephony.sip_help import FAST, Side, ack_for, make
from tests.waiting import until
from voicebot.telephony.line import LineError
from voicebot.telephony.sip.sip_messages import response_to, to_tag, top_via
from voicebot.telephony.sip.sip_params import Hop, SipParams
from voicebot.telephony.sip.sip_transport import SipTransport

BOTH = FAST.model_copy(update={"t1_seconds": 0.1})


def play(
    scene: Callable[[Side, Side], Coroutine[Any, Any, None]],
    a: SipParams = BOTH,
    b: SipParams = BOTH,
) -> None:
    async def run() -> None:
        async with Side(a) as one, Side(b) as two:
            await scene(one, two)

    asyncio.run(run())


def transport(side: Side) -> SipTransport:
    carrier = side.layer._carrier
    assert isinstance(carrier, SipTransport)
    return carrier


def tls_params(folder: Path, **changes: Any) -> SipParams:
    one = certificate(folder, "one")
    tls = {"listen": ["tls:127.0.0.1:0"], "tls_certificate": one.certificate, "tls_key": one.key}
    return BOTH.model_copy(update={**tls, "tls_ca": one.ca, **changes})


@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_via_and_contact_say_the_real_transport(kind: str) -> None:
    """aiosipua writes Via: SIP/2.0/UDP whatever it uses."""

    async def scene(a: Side, b: Side) -> None:
        a.ask(make("OPTIONS"), b.hop(kind))
        await until(lambda: a.responses)
        own = a.hop(kind)
        via = top_via(b.requests[0].request)
        assert (via.transport, via.host, via.port) == (kind.upper(), "127.0.0.1", own.port)
        assert via.received == "127.0.0.1"
        tail = "" if kind == "udp" else ";transport=tcp"
        assert a.layer.contact(b.hop(kind), "bot") == f"<sip:bot@127.0.0.1:{own.port}{tail}>"

    play(scene)


def test_tls_both_ways(tmp_path: Path) -> None:
    params = tls_params(tmp_path, tls_verify_clients=True)

    async def scene(a: Side, b: Side) -> None:
        hop = Hop("tls", "127.0.0.1", b.hop("tls").port, "localhost")
        a.ask(make("OPTIONS"), hop)
        await until(lambda: a.responses)
        assert a.statuses == [200]
        assert top_via(b.requests[0].request).transport == "TLS"
        assert a.layer.contact(hop).endswith(";transport=tls>")

    play(scene, params, params)


def test_tls_with_strangers(tmp_path: Path) -> None:
    """No certificate, one of another authority, one for another name, no TLS at all."""
    params = tls_params(tmp_path, tls_verify_clients=True)
    other = certificate(tmp_path, "other")
    bare = params.model_copy(update={"listen": [], "tls_certificate": "", "tls_key": ""})
    doubtful = params.model_copy(update={"tls_ca": other.ca})

    async def scene(a: Side, b: Side) -> None:
        hop = Hop("tls", "127.0.0.1", b.hop("tls").port, "localhost")
        a.ask(make("OPTIONS"), Hop("tls", hop.host, hop.port, "elsewhere.example"))
        await until(lambda: a.failures)
        for stranger in (bare, doubtful):
            async with Side(stranger.model_copy(update={"t1_seconds": 0.003})) as c:
                c.ask(make("OPTIONS"), hop)
                await until(lambda c=c: c.failures)  # type: ignore[misc]
        reader, writer = await asyncio.open_connection(hop.host, hop.port)
        writer.write(b"OPTIONS sip:a@h SIP/2.0\r\n\r\n")
        assert await reader.read() is not None
        writer.close()
        await until(lambda: b.layer.counters["sip_bad_handshakes"] >= 2)
        assert b.requests == []
        a.ask(make("OPTIONS"), hop)
        await until(lambda: a.responses)

    play(scene, params, params)


def test_one_connection_carries_both_directions() -> None:
    """RFC 5923: requests of ours go back over the connection that the peer opened."""

    async def scene(a: Side, b: Side) -> None:
        a.ask(make("OPTIONS"), b.hop("tcp"))
        await until(lambda: len(a.responses) == 1)
        a.ask(make("OPTIONS"), b.hop("tcp"))
        await until(lambda: len(a.responses) == 2)
        assert len(transport(a).connections) == len(transport(b).connections) == 1
        source = b.requests[0].source
        b.ask(make("BYE", to="1"), source)
        await until(lambda: b.responses)
        assert a.requests[0].request.method == "BYE"
        assert len(transport(a).connections) == len(transport(b).connections) == 1

    play(scene)


def test_requests_that_wait_for_a_connection_share_it() -> None:
    async def scene(a: Side, b: Side) -> None:
        for _ in range(20):
            a.ask(make("OPTIONS"), b.hop("tcp"))
        await until(lambda: len(a.responses) == 20)
        assert len(transport(b).connections) == 1

    play(scene)


def test_a_whole_call_over_tcp() -> None:
    async def scene(a: Side, b: Side) -> None:
        invite = make("INVITE")
        a.ask(invite, b.hop("tcp"))
        await until(lambda: len(a.responses) >= 2)
        assert a.statuses[:2] == [200, 200], "a 2xx is repeated over TCP as well (13.3.1.4)"
        a.layer.send_ack(ack_for(invite, a.responses[0]), b.hop("tcp"))
        await until(lambda: b.acks)
        assert to_tag(b.acks[0]) == b.requests[0].to_tag

    play(scene, b=BOTH.model_copy(update={"t1_seconds": 0.02}))


def test_a_response_over_a_connection_that_is_gone_opens_another() -> None:
    async def scene(a: Side, b: Side) -> None:
        b.answers = []
        a.ask(make("INFO", to="1"), b.hop("tcp"))
        await until(lambda: b.requests)
        for connection in tuple(transport(a)._connections.values()):
            connection.abort()
        await until(lambda: not transport(b).connections)
        b.requests[0].respond(response_to(b.requests[0].request, 200))
        await until(lambda: a.responses)

    play(scene)


def test_a_large_request_goes_by_tcp_or_else_by_udp() -> None:
    async def scene(a: Side, b: Side) -> None:
        port = b.hop("udp").port
        request = make("INFO")
        request.body = b"x" * 1500
        a.ask(request, b.hop("udp"))
        await until(lambda: a.responses)
        heard = b.requests[0]
        assert (heard.source.transport, top_via(heard.request).transport) == ("udp", "UDP")
        assert a.layer.counters["sip_large_over_udp"] == 1
        both = BOTH.model_copy(update={"listen": [f"tcp:127.0.0.1:{port}"]})
        async with Side(both) as c:
            a.ask(request, b.hop("udp"))
            await until(lambda: len(a.responses) == 2)
            assert top_via(c.requests[0].request).transport == "TCP"

    play(scene)


def test_a_large_request_goes_by_udp_at_once_where_that_is_set() -> None:
    async def scene(a: Side, b: Side) -> None:
        request = make("INFO")
        request.body = b"x" * 1500
        beside = BOTH.model_copy(update={"listen": [f"tcp:127.0.0.1:{b.hop('udp').port}"]})
        async with Side(beside) as c:
            a.ask(request, b.hop("udp"))
            await until(lambda: a.responses)
            assert c.requests == []
            assert b.requests[0].source.transport == "udp"

    play(scene, a=BOTH.model_copy(update={"large_requests_over_tcp": False}))


def test_a_closed_port_is_unreachable() -> None:
    async def scene(a: Side, b: Side) -> None:
        hop = b.hop("tcp")
        await b.layer.close()
        a.ask(make("OPTIONS"), hop)
        a.ask(make("OPTIONS"), Hop("udp", "not-an-address", 5060))
        a.ask(make("OPTIONS"), Hop("tcp", "not-an-address", 5060))
        await until(lambda: len(a.failures) == 3)
        assert set(a.failures) == {"unreachable"}
        await until(lambda: not a.layer.transactions)

    play(scene)


def test_a_peer_that_does_not_answer_a_connection_is_unreachable_soon() -> None:
    async def scene(a: Side, b: Side) -> None:
        with socket.socket() as full, contextlib.ExitStack() as stack:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            for _ in range(3):  # nobody accepts them, so that there is no room for ours
                one = stack.enter_context(socket.socket())
                one.setblocking(False)
                one.connect_ex(full.getsockname())
            a.ask(make("OPTIONS"), Hop("tcp", "127.0.0.1", full.getsockname()[1]))
            await until(lambda: a.failures, 2.0)
            assert a.failures == ["unreachable"]

    play(scene, a=BOTH.model_copy(update={"connect_seconds": 0.05}))


def test_no_more_connections_than_allowed() -> None:
    async def scene(a: Side, b: Side) -> None:
        hop = b.hop("tcp")
        opened = [await asyncio.open_connection(hop.host, hop.port) for _ in range(6)]
        await until(lambda: b.layer.counters["sip_too_many_connections"] == 3)
        assert len(transport(b).connections) == 3
        for _, writer in opened:
            writer.close()
        await until(lambda: not transport(b).connections)
        a.ask(make("OPTIONS"), hop)
        await until(lambda: a.responses)

    play(scene, b=BOTH.model_copy(update={"max_connections": 3}))


def test_strangers_are_not_even_accepted() -> None:
    async def scene(a: Side, b: Side) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", b.hop("tcp").port)
        assert await reader.read() == b""
        writer.close()
        assert b.layer.counters["sip_not_allowed"] == 1
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"OPTIONS sip:a@h SIP/2.0\r\n\r\n", ("127.0.0.1", b.hop("udp").port))
        await until(lambda: b.layer.counters["sip_not_allowed"] == 2)
        assert b.layer.counters["sip_malformed"] == 0

    play(scene, b=BOTH.model_copy(update={"allow": ["192.0.2.0/24"]}))


def test_a_taken_port_is_named() -> None:
    async def run() -> None:
        async with Side(BOTH) as a:
            taken = str(a.hop("udp"))
            params = BOTH.model_copy(update={"listen": ["tcp:127.0.0.1:0", taken]})
            other = Side(params)
            with pytest.raises(LineError, match=f"{taken}.*in use"):
                await other.layer.start()
            assert other.layer.listeners == ()

    asyncio.run(run())


def test_advertised_host() -> None:
    async def scene(a: Side, b: Side) -> None:
        a.ask(make("OPTIONS"), b.hop("udp"))
        await until(lambda: a.responses)
        assert top_via(b.requests[0].request).host == "sip.example.net"
        assert a.layer.contact(b.hop("tcp")).startswith("<sip:sip.example.net:")

    play(scene, a=BOTH.model_copy(update={"advertise": "sip.example.net"}))


def test_bound_to_all_the_routed_address_is_named() -> None:
    async def scene(a: Side, b: Side) -> None:
        contact = a.layer.contact(b.hop("udp"))
        assert contact == f"<sip:127.0.0.1:{a.hop('udp').port}>"
        a.ask(make("OPTIONS"), b.hop("udp"))
        await until(lambda: a.responses)

    play(scene, a=BOTH.model_copy(update={"listen": ["udp:0.0.0.0:0"]}))


def test_several_listeners_of_one_kind() -> None:
    async def scene(a: Side, b: Side) -> None:
        for hop in b.layer.listeners:
            a.ask(make("OPTIONS"), hop)
        await until(lambda: len(a.responses) == 3)
        assert a.statuses == [200] * 3

    listen = ["udp:127.0.0.1:0", "udp:127.0.0.2:0", "tcp:127.0.0.1:0"]
    play(scene, b=BOTH.model_copy(update={"listen": listen}))


def test_ipv6() -> None:
    if not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists():
        pytest.skip("no IPv6 on this machine")

    async def scene(a: Side, b: Side) -> None:
        for kind in ("udp", "tcp"):
            a.ask(make("OPTIONS"), b.hop(kind))
        await until(lambda: len(a.responses) == 2)
        assert all(top_via(tx.request).host == "[::1]" for tx in b.requests)

    six = BOTH.model_copy(update={"listen": ["udp:[::1]:0", "tcp:[::1]:0"]})
    play(scene, six, six)


def test_nothing_is_left_open() -> None:
    async def run() -> None:
        before = len(list(Path("/proc/self/fd").iterdir()))
        async with Side(BOTH) as a, Side(BOTH) as b:
            for kind in ("udp", "tcp"):
                a.ask(make("OPTIONS"), b.hop(kind))
            a.ask(make("OPTIONS"), Hop("tcp", "192.0.2.1", 5060))
            await until(lambda: len(a.responses) == 2)
        await asyncio.sleep(0.01)
        assert len(list(Path("/proc/self/fd").iterdir())) == before
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())
