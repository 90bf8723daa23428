from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from pydantic import ValidationError

from tests.telephony.feed import SocketPeer, feed
from tests.telephony.receiving import Desk, tone, until
from voicebot.events import Leg
from voicebot.telephony.audiosocket import (
    AudioSocketGateway,
    AudioSocketParams,
    read_door,
)
from voicebot.telephony.audiosocket_frames import Kind, write_frame
from voicebot.telephony.line import Briefing, LineError, Transferred, TransferResult
from voicebot.telephony.pbx_transfer import PbxTransfer

BRIEFING = Briefing("alert-1", "", "persistent_anger")


@asynccontextmanager
async def gateway(
    desk: Desk, transfer: PbxTransfer | None = None, **keys: Any
) -> AsyncIterator[AudioSocketGateway]:
    params = AudioSocketParams(**{"listen": ["127.0.0.1:0"], **keys})
    opened = AudioSocketGateway(params, desk, transfer)
    await opened.start()
    try:
        yield opened
    finally:
        await opened.close()


def test_a_door_may_name_a_queue() -> None:
    assert read_door("sales=10.0.0.1:9093").queue == "sales"
    assert read_door("[::1]:9092").host == "::1"
    for wrong in ("9092", "host:", "host:70000", "a b=host:1", "queue=:1"):
        with pytest.raises(ValueError):
            read_door(wrong)


def test_wrong_parameters_are_refused() -> None:
    with pytest.raises(ValidationError, match="HOST:PORT"):
        AudioSocketParams(listen=["nowhere"])
    with pytest.raises(ValidationError, match="10.0.0.0/99"):
        AudioSocketParams(allow=["10.0.0.0/99"])


# ---------------------------------------------------------------- calls


@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_recording_arrives_bit_for_bit(tmp_path: Path, rate: int) -> None:
    pcm = tone(0.5, rate)
    soundfile.write(tmp_path / "a.wav", pcm, rate)

    async def call() -> None:
        desk = Desk()
        async with gateway(desk, listen=["sales=127.0.0.1:0"]) as opened:
            peer = await feed(tmp_path / "a.wav", opened.ports[0], pace=20)
        (heard,) = desk.calls
        assert np.array_equal(heard.pcm(), pcm)
        assert heard.reasons == ["hangup"]
        offer = heard.offer
        assert (offer.gateway, offer.reference) == ("audiosocket", peer.reference)
        assert (offer.rate, offer.called, offer.legs) == (rate, "sales", (Leg.CALLER,))
        assert not opened.counters
        assert not opened.references

    asyncio.run(call())


def test_digits_are_heard() -> None:
    async def call() -> None:
        desk = Desk()
        async with gateway(desk) as opened:
            peer = await SocketPeer.connect(opened.ports[0])
            peer.name()
            await peer.speak(tone(0.02))
            for digit in b"1#x":
                peer.send(Kind.DTMF, bytes((digit,)))
            await peer.close()
            await until(lambda: desk.calls and desk.calls[0].reasons)
            assert [digit for _, digit, _ in desk.calls[0].digits] == ["1", "#"]
            assert opened.counters == {"audiosocket_bad_digit": 1}

    asyncio.run(call())


def test_what_we_say_is_paced() -> None:
    async def call() -> None:
        desk = Desk()
        async with gateway(desk) as opened:
            peer = await SocketPeer.connect(opened.ports[0])
            listening = asyncio.create_task(peer.listen())
            peer.name()
            await peer.speak(tone(0.02))
            await until(lambda: desk.calls)
            line, pcm = desk.calls[0].line, tone(0.19)
            assert line.can_speak
            loop = asyncio.get_running_loop()
            start = loop.time()
            await line.play(pcm)
            assert 0.17 <= loop.time() - start < 0.5
            await line.hang_up("done")
            assert await listening
            assert np.array_equal(peer.heard()[: len(pcm)], pcm)
            sizes = {len(f.payload) for f in peer.frames if f.kind == Kind.SLIN}
            assert sizes == {320}
            assert desk.calls[0].reasons == ["done"]
            assert not line.can_speak
            await line.play(pcm)  # returns at once
            await peer.close()

    asyncio.run(call())


def test_a_prompt_can_be_cut_off() -> None:
    async def call() -> None:
        desk = Desk()
        async with gateway(desk) as opened:
            peer = await SocketPeer.connect(opened.ports[0])
            listening = asyncio.create_task(peer.listen())
            peer.name()
            await peer.speak(tone(0.02))
            await until(lambda: desk.calls)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.06):
                    await desk.calls[0].line.play(tone(10))
            await desk.calls[0].line.hang_up("done")
            await listening
            assert len(peer.heard()) <= 8000 * 0.12
            await peer.close()

    asyncio.run(call())


def test_a_refused_call_is_hung_up() -> None:
    async def call() -> None:
        async with gateway(Desk(refuse=True)) as opened:
            peer = await SocketPeer.connect(opened.ports[0])
            peer.name()
            await peer.speak(tone(0.02))
            assert await peer.listen()
            assert opened.counters == {"audiosocket_refused": 1}
            await peer.close()

    asyncio.run(call())


@pytest.mark.parametrize(
    ("data", "counter", "reason"),
    [
        (b"\x10\x01\x40abc", "audiosocket_truncated", "line_lost"),
        (b"\x10", "audiosocket_truncated", "line_lost"),
        (b"\x77\x00\x00", "audiosocket_unknown_kind", "line_error"),
        (b"\x10\x00\x01a", "audiosocket_odd_length", "line_error"),
        (b"\x10\xff\xfeab", "audiosocket_huge_frame", "line_error"),
        (b"\x12\x00\x02ab", "audiosocket_rate_changed", "line_error"),
        (b"\x13\x00\x02ab", "audiosocket_rate_refused", "line_error"),
        (b"\x01\x00\x10" + bytes(16), "audiosocket_second_uuid", "line_error"),
        (b"\xff\x00\x01\x02", "audiosocket_peer_error", "line_error"),
    ],
)
def test_a_bad_frame_ends_its_call_and_no_other(data: bytes, counter: str, reason: str) -> None:
    async def call() -> None:
        desk = Desk()
        async with gateway(desk) as opened:
            good = await SocketPeer.connect(opened.ports[0])
            good.name()
            await good.speak(tone(0.02))
            await until(lambda: desk.calls)
            bad = await SocketPeer.connect(opened.ports[0])
            bad.name()
            await bad.speak(tone(0.02))
            bad.writer.write(data)
            bad.writer.write_eof()
            assert not await bad.listen()
            assert desk.calls[1].reasons == [reason]
            assert opened.counters == {counter: 1}
            await good.speak(tone(0.02))
            await until(lambda: len(desk.calls[0].pcm()) == 320)
            assert not desk.calls[0].reasons
            await bad.close()
            await good.close()

    asyncio.run(call())


def test_a_reset_connection_is_a_lost_line() -> None:
    async def call() -> None:
        desk = Desk()
        async with gateway(desk) as opened:
            peer = await SocketPeer.connect(opened.ports[0])
            peer.name()
            await peer.speak(tone(0.02))
            await until(lambda: desk.calls)
            sock = peer.writer.get_extra_info("socket")
            linger = struct.pack("ii", 1, 0)
            sock.setsockopt(1, 13, linger)  # SOL_SOCKET, SO_LINGER: close sends RST
            peer.writer.transport.abort()
            await until(lambda: desk.calls[0].reasons)
            assert desk.calls[0].reasons == ["line_lost"]

    asyncio.run(call())


@pytest.mark.parametrize(
    ("first", "counter"),
    [
        (write_frame(Kind.SLIN, bytes(320)), "audiosocket_no_uuid"),
        (write_frame(Kind.DTMF, b"1"), "audiosocket_no_uuid"),
        (b"", "audiosocket_no_call"),
        (write_frame(Kind.UUID, bytes(16)), "audiosocket_no_call"),
        (write_frame(Kind.UUID, bytes(16)) + write_frame(Kind.SLIN), "audiosocket_no_call"),
        (b"GET / HTTP/1.1\r\n\r\n", "audiosocket_unknown_kind"),
    ],
)
def test_what_never_becomes_a_call_is_closed(first: bytes, counter: str) -> None:
    async def call() -> None:
        desk = Desk()
        async with gateway(desk, first_seconds=0.1) as opened:
            peer = await SocketPeer.connect(opened.ports[0])
            peer.writer.write(first)
            await peer.listen()
            assert opened.counters == {counter: 1}
            assert not desk.calls
            await peer.close()

    asyncio.run(call())


def test_a_line_that_falls_silent_is_closed() -> None:
    async def call() -> None:
        desk = Desk()
        async with gateway(desk, idle_seconds=0.1) as opened:
            peer = await SocketPeer.connect(opened.ports[0])
            peer.name()
            await peer.speak(tone(0.02))
            await peer.listen()
            assert opened.counters == {"audiosocket_idle": 1}
            assert desk.calls[0].reasons == ["line_lost"]
            await peer.close()

    asyncio.run(call())


def test_one_uuid_is_one_call() -> None:
    async def call() -> None:
        desk = Desk()
        async with gateway(desk) as opened:
            peer = await SocketPeer.connect(opened.ports[0])
            peer.name()
            await until(lambda: opened.references)
            twin = await SocketPeer.connect(opened.ports[0], peer.reference)
            twin.name()
            await twin.listen()
            assert opened.counters == {"audiosocket_same_uuid": 1}
            await peer.close()
            await twin.close()
            await until(lambda: not opened.references)  # the twin's end does not free it: it is

    asyncio.run(call())


def test_strangers_and_crowds_are_cut_off() -> None:
    async def call() -> None:
        async with gateway(Desk(), allow=["10.0.0.0/8"]) as opened:
            peer = await SocketPeer.connect(opened.ports[0])
            await peer.listen()
            assert opened.counters == {"audiosocket_forbidden": 1}
            await peer.close()
        async with gateway(Desk(), max_connections=1) as opened:
            first = await SocketPeer.connect(opened.ports[0])
            second = await SocketPeer.connect(opened.ports[0])
            await second.listen()
            assert opened.counters == {"audiosocket_too_many": 1}
            await first.close()
            await second.close()

    asyncio.run(call())


def test_a_flood_of_audio_is_read_at_the_pace_of_speech() -> None:
    async def call() -> None:
        desk = Desk()
        async with gateway(desk, ahead_seconds=0.5) as opened:
            peer = await SocketPeer.connect(opened.ports[0])
            peer.name()
            flood = asyncio.create_task(peer.speak(tone(300), pace=0))
            await until(lambda: opened.counters)
            await asyncio.sleep(0.2)
            assert len(desk.calls[0].pcm()) < 8000 * 3
            flood.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await flood
            peer.writer.transport.abort()

    asyncio.run(call())


def test_a_peer_that_does_not_read_is_cut_off() -> None:
    async def call() -> None:
        desk = Desk()
        async with gateway(desk, write_seconds=0.05) as opened:
            peer = await SocketPeer.connect(opened.ports[0])
            peer.name()
            await peer.speak(tone(0.02))
            await until(lambda: desk.calls)
            peer.reader._transport.pause_reading()  # type: ignore[attr-defined]
            line: Any = desk.calls[0].line
            async with asyncio.timeout(3):
                while line.can_speak:
                    await line._send(write_frame(Kind.SLIN, bytes(32_000)))
            await until(lambda: desk.calls[0].reasons)
            assert desk.calls[0].reasons == ["line_lost"]
            assert opened.counters == {"audiosocket_stuck": 1}
            await peer.close()

    asyncio.run(call())


def test_a_taken_port_is_an_error_that_names_it() -> None:
    async def call() -> None:
        async with gateway(Desk()) as opened:
            twin = AudioSocketGateway(
                AudioSocketParams(listen=[f"127.0.0.1:{opened.ports[0]}"]), Desk()
            )
            with pytest.raises(LineError, match=str(opened.ports[0])):
                await twin.start()
            await twin.close()

    asyncio.run(call())


def test_closing_hangs_up_and_leaves_nothing() -> None:
    async def call() -> None:
        desk = Desk()
        async with gateway(desk) as opened:
            peer = await SocketPeer.connect(opened.ports[0])
            peer.name()
            await peer.speak(tone(0.02))
            await until(lambda: desk.calls)
            await opened.close()
            assert await peer.listen()
            assert desk.calls[0].reasons == ["shutdown"]
            await opened.close()
            await peer.close()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(call())


# ---------------------------------------------------------------- transfer


def test_without_an_exchange_interface_it_says_how_to_get_one() -> None:
    async def call() -> None:
        desk = Desk()
        async with gateway(desk) as opened:
            peer = await SocketPeer.connect(opened.ports[0])
            peer.name()
            await peer.speak(tone(0.02))
            await until(lambda: desk.calls)
            outcome = await desk.calls[0].line.transfer("agents,1,1", BRIEFING)
            assert outcome.result == TransferResult.UNSUPPORTED
            assert "`ari`" in outcome.detail
            await peer.close()
            await until(lambda: desk.calls[0].reasons)
            outcome = await desk.calls[0].line.transfer("agents,1,1", BRIEFING)
            assert outcome.result == TransferResult.GONE

    asyncio.run(call())


@pytest.mark.parametrize(
    ("result", "reason"),
    [(TransferResult.DONE, "transferred"), (TransferResult.BUSY, "hangup")],
)
def test_asterisk_closes_during_a_transfer(result: TransferResult, reason: str) -> None:
    """Redirecting the channel ends AudioSocket() before anybody knows how the transfer ends."""

    async def call() -> None:
        desk, closed = Desk(), asyncio.Event()
        asked: list[tuple[str, str]] = []

        async def transfer(reference: str, target: str, briefing: Briefing) -> Transferred:
            asked.append((reference, target))
            await peer.close()
            await until(lambda: not opened.references)
            assert not desk.calls[0].reasons, "told before the transfer had ended"
            closed.set()
            return Transferred(result)

        async with gateway(desk, transfer) as opened:
            peer = await SocketPeer.connect(opened.ports[0])
            peer.name()
            await peer.speak(tone(0.02))
            await until(lambda: desk.calls)
            outcome = await desk.calls[0].line.transfer("agents,1,1", BRIEFING)
            assert outcome.result == result
            assert asked == [(peer.reference, "agents,1,1")]
            assert closed.is_set()
            assert desk.calls[0].reasons == [reason]

    asyncio.run(call())
