from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.telephony.sip_help import FAST
from tests.waiting import until
from voicebot.telephony.sip.sip_connection import Connection

MESSAGE = b"OPTIONS sip:a@h SIP/2.0\r\nl: 0\r\n\r\n"


class Bench:
    """A connection of ours on one end of a socket pair, the test on the other."""

    def __init__(self, accept: bool = True, **changes: Any) -> None:
        self.got: list[bytes] = []
        self.lost = 0
        self.counters: Counter[str] = Counter()
        self.accept = accept
        self.params = FAST.model_copy(update=changes)

    async def __aenter__(self) -> Bench:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._make, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        self.peer = socket.create_connection(("127.0.0.1", port))
        self.peer.setblocking(False)
        self.server = server
        await asyncio.sleep(0.01)
        return self

    def _make(self) -> Connection:
        def lost(_: Connection) -> None:
            self.lost += 1

        self.connection = Connection(
            "tcp",
            self.params,
            lambda data, _: self.got.append(data),
            lambda _: self.accept,
            lost,
            self.counters,
        )
        return self.connection

    async def __aexit__(self, *_: object) -> None:
        self.connection.abort()
        self.peer.close()
        self.server.close()
        await self.server.wait_closed()


def scene(work: Callable[[Bench], Coroutine[Any, Any, None]], **changes: Any) -> None:
    async def run() -> None:
        async with Bench(**changes) as bench:
            await work(bench)

    asyncio.run(run())


def test_messages_and_keepalives() -> None:
    async def work(bench: Bench) -> None:
        bench.peer.send(MESSAGE + b"\r\n\r\n" + MESSAGE[:10])
        await until(lambda: bench.counters["sip_keepalives"])
        loop = asyncio.get_running_loop()
        assert await loop.sock_recv(bench.peer, 100) == b"\r\n", "a pong (RFC 5626)"
        bench.peer.send(MESSAGE[10:])
        await until(lambda: len(bench.got) == 2)
        assert bench.got == [MESSAGE, MESSAGE]
        assert bench.connection.send(b"x")
        assert await loop.sock_recv(bench.peer, 100) == b"x"
        bench.peer.close()
        await until(lambda: bench.lost)
        assert not bench.connection.send(b"x")

    scene(work)


def test_an_idle_connection_is_closed() -> None:
    async def work(bench: Bench) -> None:
        for _ in range(6):
            bench.peer.send(MESSAGE)
            await asyncio.sleep(0.02)
        assert bench.lost == 0, "what is used is kept"
        await until(lambda: bench.lost)
        assert bench.counters["sip_idle_closed"] == 1

    scene(work, idle_seconds=0.08)


def test_a_message_that_trickles_is_cut_off() -> None:
    async def work(bench: Bench) -> None:
        for byte in MESSAGE[:30]:
            if bench.lost:
                break
            bench.peer.send(bytes([byte]))
            await asyncio.sleep(0.01)
        await until(lambda: bench.lost)
        assert bench.got == []

    scene(work, partial_seconds=0.08)


def test_what_cannot_be_framed_is_cut_off() -> None:
    async def work(bench: Bench) -> None:
        bench.peer.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: bench.lost)
        assert bench.counters["sip_bad_framing"] == 1

    scene(work)


@pytest.mark.parametrize(
    ("limit", "long"),
    [
        ({"max_header_bytes": 1024}, MESSAGE[:-2] + b"X: " + b"x" * 1500 + b"\r\n\r\n"),
        ({"max_body_bytes": 1024}, MESSAGE.replace(b"l: 0", b"l: 1500") + b"x" * 1500),
    ],
)
def test_what_is_longer_than_it_may_be_is_cut_off(limit: dict[str, int], long: bytes) -> None:
    async def borne(bench: Bench) -> None:
        bench.peer.send(long)
        await until(lambda: bench.got == [long])

    async def refused(bench: Bench) -> None:
        bench.peer.send(long)
        await until(lambda: bench.lost)
        assert bench.got == []
        assert bench.counters["sip_bad_framing"] == 1

    scene(borne)
    scene(refused, **limit)


def test_a_peer_that_does_not_read_is_cut_off() -> None:
    async def work(bench: Bench) -> None:
        sent = 0
        while bench.connection.send(b"x" * 100_000):
            sent += 1
            assert sent < 200
            await asyncio.sleep(0)
        assert bench.counters["sip_slow_peers"] == 1
        assert bench.lost == 1

    scene(work)


def test_a_refused_connection_is_closed_and_not_told_of() -> None:
    async def work(bench: Bench) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):
            assert await loop.sock_recv(bench.peer, 10) == b""
        assert not bench.connection.alive
        assert bench.lost == 0

    scene(work, accept=False)
