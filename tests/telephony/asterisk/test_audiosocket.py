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

from tests.telephony.feed import SocketPeer, feed
from tests.telephony.receiving import Desk, Heard, tone
from tests.waiting import until
from voicebot.events import Leg
from voicebot.telephony.asterisk.audiosocket import AudioSocketGateway
from voicebot.telephony.asterisk.audiosocket_frames import Kind, write_frame
from voicebot.telephony.asterisk.audiosocket_params import AudioSocketParams
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
        assert not opened.shared.references

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
            async with asyncio.timeout(3):
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
            async with asyncio.timeout(3):
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
            await until(lambda: opened.shared.references)
            twin = await SocketPeer.connect(opened.ports[0], peer.reference)
            twin.name()
            await twin.listen()
            assert opened.counters == {"audiosocket_same_uuid": 1}
            await peer.close()
            await twin.close()
            await until(lambda: not opened.shared.references)

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
            assert set(opened.counters) == {"audiosocket_too_fast"}
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


@asynccontextmanager
async def during_transfer(
    results: list[TransferResult], *, returns: bool, return_seconds: float = 0.05
) -> AsyncIterator[tuple[Heard, AudioSocketGateway, SocketPeer]]:
    """A call whose connection Asterisk closes as soon as it is asked for a transfer."""
    desk = Desk()
    peers: list[SocketPeer] = []
    wanted = iter(results)

    async def transfer(reference: str, target: str, briefing: Briefing) -> Transferred:
        assert (reference, target) == (peers[0].reference, "agents,1,1")
        await peers[-1].close()
        await until(lambda: not opened.shared.references)
        assert not desk.calls[0].reasons, "told before the transfer had ended"
        assert not desk.calls[0].line.can_speak
        if returns:
            peers.append(await SocketPeer.connect(opened.ports[0], reference))
            peers[-1].name()
            await peers[-1].speak(tone(0.02))
        return Transferred(next(wanted))

    async with gateway(desk, transfer, return_seconds=return_seconds) as opened:
        peers.append(await SocketPeer.connect(opened.ports[0]))
        peers[0].name()
        await peers[0].speak(tone(0.02))
        await until(lambda: desk.calls)
        try:
            yield desk.calls[0], opened, peers[0]
        finally:
            for peer in peers:
                await peer.close()
            await until(lambda: not opened._calls)
            assert len(desk.calls) == 1


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (TransferResult.DONE, "transferred"),
        (TransferResult.BUSY, "hangup"),
        (TransferResult.GONE, "hangup"),
    ],
)
def test_asterisk_closes_during_a_transfer(result: TransferResult, reason: str) -> None:
    """Redirecting the channel ends AudioSocket() before anybody knows how the transfer ends."""

    async def call() -> None:
        async with during_transfer([result], returns=False) as (heard, opened, _):
            outcome = await heard.line.transfer("agents,1,1", BRIEFING)
            assert outcome.result == result
            await until(lambda: heard.reasons)
            assert heard.reasons == [reason]
            assert not opened.shared.waiting

    asyncio.run(call())


def test_a_caller_whom_nobody_takes_comes_back() -> None:
    async def call() -> None:
        results = [TransferResult.BUSY, TransferResult.DECLINED]
        async with during_transfer(results, returns=True) as (heard, opened, _):
            for result in results:
                outcome = await heard.line.transfer("agents,1,1", BRIEFING)
                assert outcome.result == result
                await until(lambda: heard.line.can_speak)
            await until(lambda: len(heard.pcm()) == 3 * 160)
            assert not heard.reasons
            await heard.line.hang_up("operator")
            assert heard.reasons == ["operator"]
            assert not opened.shared.waiting

    asyncio.run(call())


def test_the_next_target_is_tried_while_the_caller_is_in_the_dialplan() -> None:
    async def call() -> None:
        desk = Desk()
        wanted = iter([TransferResult.NO_ANSWER, TransferResult.DONE])

        async def transfer(reference: str, target: str, briefing: Briefing) -> Transferred:
            await peer.close()
            await asyncio.sleep(0.05)
            return Transferred(next(wanted))

        async with gateway(desk, transfer, return_seconds=5.0) as opened:
            peer = await SocketPeer.connect(opened.ports[0])
            peer.name()
            await peer.speak(tone(0.02))
            await until(lambda: desk.calls)
            first = await desk.calls[0].line.transfer("agents,1,1", BRIEFING)
            assert first.result == TransferResult.NO_ANSWER and not desk.calls[0].reasons
            second = await desk.calls[0].line.transfer("agents,2,1", BRIEFING)
            assert second.result == TransferResult.DONE
            assert desk.calls[0].reasons == ["transferred"]
            assert not opened.shared.waiting

    asyncio.run(call())


def test_closing_ends_a_call_that_is_away() -> None:
    async def call() -> None:
        results = [TransferResult.BUSY]
        made = during_transfer(results, returns=False, return_seconds=60.0)
        async with made as (heard, opened, _):
            await heard.line.transfer("agents,1,1", BRIEFING)
            assert opened.shared.waiting and not heard.reasons
            await opened.close()
            assert heard.reasons == ["shutdown"]
            assert not opened.shared.waiting

    asyncio.run(call())
