from __future__ import annotations

import asyncio
import socket
from collections import Counter
from typing import cast

from tests.waiting import until
from voicebot.telephony.sip.sip_params import Hop
from voicebot.telephony.sip.sip_udp import Endpoint, UdpFlow


def test_there_and_back_and_to_another_port() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.bind(("127.0.0.1", 0))
        got: list[tuple[bytes, UdpFlow]] = []
        counters: Counter[str] = Counter()
        transport, endpoint = await loop.create_datagram_endpoint(
            lambda: Endpoint(sock, lambda data, flow: got.append((data, flow)), counters),
            sock=sock,
        )
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two,
        ):
            for peer in (one, two):
                peer.bind(("127.0.0.1", 0))
                peer.settimeout(1.0)
            one.sendto(b"hello", ("127.0.0.1", endpoint.local.port))
            await until(lambda: got)
            data, flow = got[0]
            assert (data, flow.hop.port) == (b"hello", one.getsockname()[1])
            assert flow.send(b"back")
            assert one.recv(10) == b"back"
            assert flow.send(b"there", two.getsockname()[1])
            assert two.recv(10) == b"there"
        assert not endpoint.send(Hop("udp", "127.0.0.1", 99999), b"x")
        assert not endpoint.send(Hop("udp", "127.0.0.1", 1), b"x" * 70_000)
        assert counters["sip_udp_errors"] == 2
        transport.close()

    asyncio.run(scene())


def test_a_datagram_that_finds_no_room_counts_as_one_that_the_network_lost() -> None:
    class Full:
        def getsockname(self) -> tuple[str, int]:
            return "127.0.0.1", 5060

        def sendto(self, data: bytes, address: tuple[str, int]) -> int:
            raise BlockingIOError

    counters: Counter[str] = Counter()
    endpoint = Endpoint(cast(socket.socket, Full()), lambda data, flow: None, counters)
    assert endpoint.send(Hop("udp", "127.0.0.1", 9), b"x")
    assert counters == {"sip_udp_unsent": 1}


def test_what_the_system_says_of_a_datagram_is_counted() -> None:
    """A peer that is gone makes it say so (ICMP); that ends nothing."""

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.bind(("127.0.0.1", 0))
        counters: Counter[str] = Counter()
        transport, endpoint = await loop.create_datagram_endpoint(
            lambda: Endpoint(sock, lambda data, flow: None, counters), sock=sock
        )
        endpoint.error_received(ConnectionRefusedError())
        assert counters == {"sip_udp_errors": 1}
        transport.close()

    asyncio.run(scene())
