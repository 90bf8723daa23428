"""Bad networks: a relay for SIP and RTP over UDP that loses, delays, doubles and reorders.

A phone calls the relay as if it were the endpoint.  Media addresses in descriptions are
replaced by the relay's own, so that all audio passes here.  What is done to a packet is
drawn from a seeded generator, and written down.
"""

import asyncio
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field

Address = tuple[str, int]


@dataclass(frozen=True)
class Network:
    """How bad it is."""

    loss: float = 0.0
    """0-1"""
    duplicates: float = 0.0
    """0-1"""
    jitter: float = 0.0
    """s; each packet is late by 0 to this much"""
    seed: int = 1


@dataclass
class Done:
    """What was done to the packets of one direction."""

    passed: int = 0
    """packets that came"""
    lost: list[int] = field(default_factory=list)
    """sequence numbers"""
    duplicated: int = 0
    reordered: int = 0
    """packets that left after a later one"""
    departures: list[tuple[float, int]] = field(default_factory=list)
    """s and RTP timestamp of each that left"""
    sequences: list[int] = field(default_factory=list)
    """of each that left"""

    def jitter(self, rate: int = 8000) -> float:
        """Interarrival jitter of the departures, RFC 3550 section 6.4.1, in s."""
        jitter, before = 0.0, None
        for when, timestamp in self.departures:
            transit = when - timestamp / rate
            if before is not None:
                jitter += (abs(transit - before) - jitter) / 16
            before = transit
        return jitter


class _Pipe(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes, Address], None]) -> None:
        self._received = received

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._received(data, addr)


class Relay:
    """Between one phone and one endpoint.  Everything runs on the loop that opens it.

    Args:
        target: Port of the endpoint's SIP.
        network: For audio from the phone; the other way is left alone.
    """

    def __init__(self, target: int, network: Network) -> None:
        self._target: Address = ("127.0.0.1", target)
        self._network = network
        self._random = random.Random(network.seed)
        self._phone: Address | None = None
        self._transports: list[asyncio.DatagramTransport] = []
        self._timers: set[asyncio.TimerHandle] = set()
        self._media: dict[str, tuple[asyncio.DatagramTransport, Address]] = {}
        self.done = Done()
        self.port = 0

    async def open(self) -> None:
        """Listen."""
        self._to_phone = await self._bind(self._from_phone)
        self._to_target = await self._bind(self._from_target)
        self.port = _port(self._to_phone)
        # One leg: the phone sends to the one, the endpoint to the other.
        self._phone_side = await self._bind(self._audio_of_phone)
        self._target_side = await self._bind(self._audio_of_target)

    def close(self) -> None:
        """Stop."""
        for timer in self._timers:
            timer.cancel()
        for transport in self._transports:
            transport.close()

    async def _bind(self, received: Callable[[bytes, Address], None]) -> asyncio.DatagramTransport:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Pipe(received), local_addr=("127.0.0.1", 0)
        )
        self._transports.append(transport)
        return transport

    def _from_phone(self, data: bytes, source: Address) -> None:
        self._phone = source
        self._to_target.sendto(self._rewrite(data, "phone", self._target_side), self._target)

    def _from_target(self, data: bytes, source: Address) -> None:
        if self._phone is not None:
            self._to_phone.sendto(self._rewrite(data, "target", self._phone_side), self._phone)

    def _rewrite(self, data: bytes, side: str, mine: asyncio.DatagramTransport) -> bytes:
        """Put our media port in the place of the sender's, which is remembered."""
        head, end, body = data.partition(b"\r\n\r\n")
        found = re.search(rb"m=audio (\d+)", body)
        if found is None:
            return data
        self._media[side] = (mine, ("127.0.0.1", int(found[1])))
        body = body[: found.start(1)] + str(_port(mine)).encode() + body[found.end(1) :]
        head = re.sub(rb"(?i)(content-length:\s*)\d+", rb"\g<1>%d" % len(body), head)
        return head + end + body

    def _audio_of_target(self, data: bytes, source: Address) -> None:
        if "phone" in self._media:
            self._phone_side.sendto(data, self._media["phone"][1])

    def _audio_of_phone(self, data: bytes, source: Address) -> None:
        if "target" not in self._media or len(data) < 12:
            return
        network, done = self._network, self.done
        done.passed += 1
        sequence = int.from_bytes(data[2:4], "big")
        if self._random.random() < network.loss:
            done.lost.append(sequence)
            return
        copies = 1 + (self._random.random() < network.duplicates)
        done.duplicated += copies - 1
        for _ in range(copies):
            self._later(self._random.uniform(0.0, network.jitter), data)

    def _later(self, delay: float, data: bytes) -> None:
        loop = asyncio.get_running_loop()

        def send() -> None:
            self._timers.discard(timer)
            sequence = int.from_bytes(data[2:4], "big")
            if self.done.sequences and sequence < self.done.sequences[-1]:
                self.done.reordered += 1
            self.done.sequences.append(sequence)
            self.done.departures.append((loop.time(), int.from_bytes(data[4:8], "big")))
            self._target_side.sendto(data, self._media["target"][1])

        timer = loop.call_later(delay, send)
        self._timers.add(timer)


def _port(transport: asyncio.DatagramTransport) -> int:
    return int(transport.get_extra_info("sockname")[1])
