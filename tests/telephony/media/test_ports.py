from __future__ import annotations

import resource
import socket
from collections.abc import Iterator

import pytest

from voicebot.telephony.line import LineError
from voicebot.telephony.media.ports import NoPortError, PortPool

PAIRS = 8


@pytest.fixture
def low() -> Iterator[int]:
    """First of 16 ports that are free at this moment."""
    for start in range(21000, 29000, 2 * PAIRS):
        try:
            for port in range(start, start + 2 * PAIRS):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        yield start
        return
    pytest.skip("no 16 free ports in a row")


def test_an_even_port_and_the_next(low: int) -> None:
    pool = PortPool(low + 1, low + 2 * PAIRS - 1)
    pair = pool.take()
    assert pair.port == low + 2
    assert pair.rtp.getsockname() == ("127.0.0.1", low + 2)
    assert pair.rtcp.getsockname() == ("127.0.0.1", low + 3)
    assert not pair.rtp.getblocking()
    assert pair.rtp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 128 * 1024
    pool.release(pair)


def test_the_next_call_gets_other_ports(low: int) -> None:
    pool = PortPool(low, low + 2 * PAIRS - 1)
    ports = []
    for _ in range(PAIRS + 1):
        pair = pool.take()
        ports.append(pair.port)
        pool.release(pair)
    assert ports == [*range(low, low + 2 * PAIRS, 2), low]


def test_ten_thousand_calls_leak_nothing(low: int) -> None:
    pool = PortPool(low, low + 2 * PAIRS - 1)
    running = [pool.take() for _ in range(PAIRS - 2)]
    first = max(pair.rtcp.fileno() for pair in running)
    for _ in range(10000):
        running.append(pool.take())
        old = running.pop(0)
        pool.release(old)
        pool.release(old)
    assert pool.in_use == PAIRS - 2
    assert max(pair.rtcp.fileno() for pair in running) <= first + 4
    for pair in running:
        pool.release(pair)
    assert pool.in_use == 0


def test_a_pair_that_was_released_twice_is_not_given_out_twice(low: int) -> None:
    pool = PortPool(low, low + 1)
    old = pool.take()
    pool.release(old)
    new = pool.take()
    pool.release(old)
    assert pool.in_use == 1
    pool.release(new)


def test_exhaustion_and_recovery(low: int) -> None:
    pool = PortPool(low, low + 3)
    pairs = [pool.take(), pool.take()]
    with pytest.raises(NoPortError, match="all in use") as caught:
        pool.take()
    assert "widen the range" in caught.value.mend
    pool.release(pairs[0])
    again = pool.take()
    assert again.port == pairs[0].port
    for pair in (again, pairs[1]):
        pool.release(pair)


@pytest.mark.parametrize("offset", [0, 1])
def test_ports_of_other_programs_are_passed_over(low: int, offset: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", low + offset))
        pool = PortPool(low, low + 3)
        pair = pool.take()
        assert pair.port == low + 2
        with pytest.raises(NoPortError):
            pool.take()
        pool.release(pair)


def test_no_file_descriptor_left(low: int) -> None:
    pool = PortPool(low, low + 2 * PAIRS - 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as probe:
        used = probe.fileno()
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1, hard))
        with pytest.raises(NoPortError, match="file descriptor"):
            for _ in range(PAIRS):
                pool.take()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert pool.in_use == 0
    pool.release(pool.take())


def test_ports_from_the_system() -> None:
    pool = PortPool(0, 0)
    pairs = [pool.take() for _ in range(20)]
    assert len({pair.port for pair in pairs}) == 20
    assert all(pair.port % 2 == 0 for pair in pairs)
    for pair in pairs:
        pool.release(pair)


def test_ranges_and_addresses_that_cannot_be() -> None:
    with pytest.raises(LineError, match="no even port"):
        PortPool(30001, 30002)
    with pytest.raises(LineError, match="not an IP address"):
        PortPool(30000, 30010, "example.org")
    with pytest.raises(LineError, match="cannot bind"):
        PortPool(30000, 30010, "192.0.2.55").take()
