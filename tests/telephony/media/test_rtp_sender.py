from __future__ import annotations

import asyncio

import numpy as np
import pytest

from tests.signals import speech
from voicebot.audio.g711 import encode_mulaw
from voicebot.telephony.media.codecs import available, make_coder
from voicebot.telephony.media.rtp import RtpPacket, parse_rtp
from voicebot.telephony.media.rtp_sender import RtpSender

SAID = speech()[4000:]


class Wire:
    """What was sent, and when."""

    def __init__(self, ptime_ms: int = 20, name: str = "PCMU", event_type: int = 101) -> None:
        self.packets: list[RtpPacket] = []
        self.times: list[float] = []
        self.sender = RtpSender(self.transmit)
        self.sender.configure(make_coder(name), 0, ptime_ms, event_type)

    def transmit(self, data: bytes) -> None:
        packet = parse_rtp(data)
        assert packet is not None
        self.packets.append(packet)
        self.times.append(asyncio.get_running_loop().time())

    @property
    def sequence_is_whole(self) -> bool:
        first = self.packets[0].sequence
        return [p.sequence for p in self.packets] == list(range(first, first + len(self.packets)))

    def stamps(self) -> list[int]:
        first = self.packets[0].timestamp
        return [(packet.timestamp - first) & 0xFFFFFFFF for packet in self.packets]


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 60])
def test_pace(ptime_ms: int) -> None:
    async def run() -> None:
        wire = Wire(ptime_ms)
        size = 8 * ptime_ms
        await wire.sender.play(SAID[:2000])
        count = -(-2000 // size)
        assert b"".join(p.payload for p in wire.packets)[:2000] == encode_mulaw(SAID[:2000])
        assert all(len(p.payload) == size for p in wire.packets)  # the last filled up
        assert wire.sequence_is_whole
        assert wire.stamps() == [size * number for number in range(count)]
        assert [p.marker for p in wire.packets] == [True] + [False] * (count - 1)
        due = [wire.times[0] + number * ptime_ms / 1000 for number in range(count)]
        assert all(-0.002 < at - when < 0.1 for at, when in zip(wire.times, due, strict=True))

    asyncio.run(run())


def test_a_late_packet_delays_none_after_it() -> None:
    async def run() -> None:
        wire = Wire()
        loop = asyncio.get_running_loop()
        loop.call_later(0.05, lambda: __import__("time").sleep(0.07))  # somebody blocks the loop
        began = loop.time()
        await wire.sender.play(SAID[:2400])
        assert loop.time() - began < 0.37
        assert wire.stamps() == [160 * number for number in range(15)]

    asyncio.run(run())


def test_timestamps_go_on_over_a_pause() -> None:
    async def run() -> None:
        wire = Wire()
        await wire.sender.play(SAID[:320])
        await asyncio.sleep(0.1)
        await wire.sender.play(SAID[:320])
        stamps = wire.stamps()
        passed = (wire.times[2] - wire.times[0]) * 8000
        assert abs(stamps[2] - passed) < 400 and stamps[2] >= 320 + 800
        assert [p.marker for p in wire.packets] == [True, False, True, False]
        assert wire.sequence_is_whole

    asyncio.run(run())


def test_two_at_a_time_are_said_one_after_the_other() -> None:
    async def run() -> None:
        wire = Wire()
        await asyncio.gather(wire.sender.play(SAID[:480]), wire.sender.play(SAID[480:960]))
        assert b"".join(p.payload for p in wire.packets) == encode_mulaw(SAID[:960])
        assert wire.stamps() == [160 * number for number in range(6)]

    asyncio.run(run())


def test_a_bridge() -> None:
    async def run() -> None:
        wire = Wire()
        for start in range(0, 2400, 240):
            wire.sender.send(SAID[start : start + 240])
        assert b"".join(p.payload for p in wire.packets) == encode_mulaw(SAID[:2400])
        assert wire.stamps() == [160 * number for number in range(15)]
        # What comes in one piece is a silence that was made up: no burst of seconds, nor ever more.
        for _ in range(10):
            wire.sender.send(np.zeros(80000, np.int16))
        assert len(wire.packets) <= 30, "not 500"
        speaking = asyncio.create_task(wire.sender.play(SAID[:320]))
        await asyncio.sleep(0.01)
        before = len(wire.packets)
        wire.sender.send(SAID[:1600])  # dropped meanwhile
        assert len(wire.packets) == before
        await speaking

    asyncio.run(run())


def test_digits() -> None:
    async def run() -> None:
        wire = Wire()
        await wire.sender.play(SAID[:160])
        assert await wire.sender.send_digit("#", 0.08)
        events = wire.packets[1:]
        assert {p.payload_type for p in events} == {101}
        assert len({p.timestamp for p in events}) == 1
        assert [int.from_bytes(p.payload[2:], "big") for p in events] == [160, 320, 480] + [640] * 4
        assert [p.payload[0] for p in events] == [11] * 7
        assert [p.payload[1] >> 7 for p in events] == [0, 0, 0, 0, 1, 1, 1]
        assert [p.marker for p in events] == [True] + [False] * 6
        await wire.sender.play(SAID[:160])
        assert wire.packets[-1].timestamp - events[0].timestamp >= 640
        assert wire.sequence_is_whole
        assert not await Wire(event_type=-1).sender.send_digit("1", 0.1)

    asyncio.run(run())


def test_stop_and_changes_in_the_middle_of_a_word() -> None:
    async def run() -> None:
        wire = Wire()
        speaking = asyncio.create_task(wire.sender.play(SAID[:16000]))
        await asyncio.sleep(0.03)
        wire.sender.configure(make_coder("PCMA"), 8, 30, 101)
        async with asyncio.timeout(0.2):
            await speaking
        speaking = asyncio.create_task(wire.sender.play(SAID[:16000]))
        pressing = asyncio.create_task(wire.sender.send_digit("1", 5.0))
        await asyncio.sleep(0.03)
        wire.sender.stop()
        async with asyncio.timeout(0.2):
            await speaking
            assert not await pressing
        await wire.sender.play(SAID)
        wire.sender.send(SAID)
        wire.sender.silence()
        assert len(wire.packets) < 8

    asyncio.run(run())


def test_wideband_timestamps_count_at_8_khz() -> None:
    if not available(["G722"]):
        pytest.skip("needs the library G722")

    async def run() -> None:
        wire = Wire(name="G722")
        await wire.sender.play(np.zeros(960, np.int16))
        assert [len(p.payload) for p in wire.packets] == [160] * 3
        assert wire.stamps() == [0, 160, 320]

    asyncio.run(run())


def test_nothing_to_say() -> None:
    async def run() -> None:
        wire = Wire()
        await wire.sender.play(np.zeros(0, np.int16))
        assert wire.packets == []
        await RtpSender(wire.transmit).play(SAID[:160])  # before anything was negotiated

    asyncio.run(run())
