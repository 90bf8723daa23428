"""Two sessions on loopback; and strangers, forgers and careless peers."""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import replace

import numpy as np
import pytest

from tests.signals import speech
from tests.telephony.rtp_peer import FAST, bare, connect, negotiated, opened, pair
from tests.waiting import until
from voicebot.audio.g711 import decode_alaw, decode_mulaw, encode_alaw, encode_mulaw
from voicebot.events import Pcm
from voicebot.telephony.line import LineError
from voicebot.telephony.media.codecs import available
from voicebot.telephony.media.dtmf import event_payload
from voicebot.telephony.media.media_session import MediaParams
from voicebot.telephony.media.ports import NoPortError, PortPool
from voicebot.telephony.media.rtcp import parse_rtcp
from voicebot.telephony.media.rtp import build_rtp, parse_rtp
from voicebot.telephony.media.sdp import Codec, Crypto, Direction, SrtpMode
from voicebot.telephony.media.srtp import SrtpTransform


def talk(seconds: float = 0.6) -> Pcm:
    pcm = speech()
    return pcm[4000 : 4000 + round(seconds * 8000)]


def in_order(heard: Pcm, said: Pcm) -> bool:
    """Whether what was said is in what was heard, bit by bit."""
    return said.astype("<i2").tobytes() in heard.astype("<i2").tobytes()


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
@pytest.mark.parametrize("srtp", [SrtpMode.OFF, SrtpMode.REQUIRED])
def test_what_one_says_the_other_hears_bit_by_bit(codec: str, srtp: SrtpMode) -> None:
    # aiortp's A-law was inverted, and aiosipua answered SAVP without a key.
    params = FAST.model_copy(update={"codecs": [codec], "srtp": srtp})
    said = talk()
    coded = decode_mulaw(encode_mulaw(said)) if codec == "PCMU" else decode_alaw(encode_alaw(said))

    async def run() -> None:
        async with pair(params) as (caller, at_caller, called, at_called):
            await asyncio.gather(caller.play(said), called.play(said[::-1]))
            await asyncio.sleep(0.1)
            assert in_order(at_called.pcm, coded)
            backward = said[::-1]
            back = (
                decode_mulaw(encode_mulaw(backward))
                if codec == "PCMU"
                else decode_alaw(encode_alaw(backward))
            )
            assert in_order(at_caller.pcm, back)
            assert not any(concealed for _, concealed in at_called.pieces)
            figures = called.figures()
            assert figures.codec == codec
            assert (figures.lost, figures.late, figures.duplicates, figures.strangers) == (0,) * 4
            assert figures.packets >= 30
            assert called.counters.total() == 0
            if srtp is SrtpMode.REQUIRED:
                assert called.negotiated is not None and called.negotiated.remote_crypto

    asyncio.run(run())


def test_wideband_over_g722() -> None:
    if not available(["G722"]):
        pytest.skip("needs the library G722")
    params = MediaParams(port_low=0, port_high=0, codecs=["G722", "PCMU"])
    t = np.arange(8000) / 16000
    said = np.rint(8000 * np.sin(2 * np.pi * 5000 * t)).astype(np.int16)

    async def run() -> None:
        async with pair(params) as (caller, _, called, at_called):
            assert called.rate == 16000
            await caller.play(said)
            await asyncio.sleep(0.1)
            heard = at_called.pcm.astype(float)
            spectrum = np.abs(np.fft.rfft(heard[-4000:]))
            assert abs(np.argmax(spectrum) * 4 - 5000) <= 8  # above what 8 kHz could carry
            with pytest.raises(ValueError, match="from G722 to PCMU"):
                called.apply(negotiated(9))

    asyncio.run(run())


def test_speech_takes_as_long_as_it_is_and_a_pause_stays_a_pause() -> None:
    said = talk(0.3)

    async def run() -> None:
        async with pair() as (caller, _, called, at_called):
            loop = asyncio.get_running_loop()
            began = loop.time()
            await caller.play(said)
            assert 0.29 <= loop.time() - began < 0.45
            await asyncio.sleep(0.15)
            await caller.play(said)
            await asyncio.sleep(0.05)
            coded = decode_mulaw(encode_mulaw(said)).astype("<i2").tobytes()
            heard = at_called.pcm.astype("<i2").tobytes()
            first = heard.index(coded)
            pause = (heard.index(coded, first + 1) - first - len(coded)) / 16000
            assert 0.12 <= pause < 0.3
            assert called.figures().lost == 0

    asyncio.run(run())


def test_speech_can_be_stopped() -> None:
    async def run() -> None:
        async with pair() as (caller, _, _, at_called):
            speaking = asyncio.create_task(caller.play(talk(2.0)))
            await asyncio.sleep(0.1)
            speaking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await speaking
            await asyncio.sleep(0.1)
            assert len(at_called.pcm) < 8000 * 0.4
            await caller.play(talk(0.04))  # and goes on

    asyncio.run(run())


def test_digits_both_ways() -> None:
    async def run() -> None:
        async with pair() as (caller, at_caller, called, at_called):
            assert await caller.send_digit("5", 0.1)
            assert await caller.send_digit("5", 0.06)
            assert await called.send_digit("#", 0.08)
            await asyncio.sleep(0.05)
            assert [digit for digit, _ in at_called.digits] == ["5", "5"]
            assert [seconds for _, seconds in at_called.digits] == pytest.approx([0.1, 0.06])
            assert [digit for digit, _ in at_caller.digits] == ["#"]
            with pytest.raises(ValueError):
                await caller.send_digit("x")

    asyncio.run(run())


def test_digits_at_another_clock_than_the_audio() -> None:
    async def run() -> None:
        async with opened() as (session, heard), bare() as peer:
            agreed = replace(negotiated(peer.port), dtmf=Codec("TELEPHONE-EVENT", 101, 48000))
            session.apply(agreed)
            peer.send(session, event_payload("4", 12000, end=True), payload_type=101)
            await until(lambda: bool(heard.digits))
            assert heard.digits == [("4", 0.25)]
            assert not await session.send_digit("4")

    asyncio.run(run())


def test_ipv6() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    params = FAST.model_copy(update={"host": "::1", "rtcp_seconds": 0.05})

    async def run() -> None:
        try:
            pool = params.pool()
            pool.release(pool.take())
        except LineError:
            pytest.skip("no IPv6 on loopback")
        async with pair(params) as (caller, _, called, at_called):
            await caller.play(talk(0.1))
            await until(lambda: called.round_trip is not None)
            assert in_order(at_called.pcm, decode_mulaw(encode_mulaw(talk(0.1))))
            assert called.source == ("::1", caller.port)
            assert called.counters.total() == 0

    asyncio.run(run())


def test_hold_and_resume() -> None:
    async def run() -> None:
        async with pair() as (caller, _, called, at_called):
            connect(caller, called, direction=Direction.INACTIVE)
            assert called.on_hold and called.direction is Direction.INACTIVE
            assert caller.direction is Direction.INACTIVE and not caller.on_hold
            await asyncio.sleep(0.05)
            before = len(at_called.pieces)
            async with asyncio.timeout(0.05):
                await caller.play(talk(1.0))  # at once, for nobody may hear it
            assert not await caller.send_digit("1")
            assert len(at_called.pieces) == before
            connect(caller, called)
            assert not called.on_hold
            await caller.play(talk(0.1))
            await asyncio.sleep(0.1)
            assert in_order(at_called.pcm, decode_mulaw(encode_mulaw(talk(0.1))))

    asyncio.run(run())


def test_a_bridge_passes_on_what_comes() -> None:
    said = talk(0.24)

    async def run() -> None:
        async with pair() as (agent, _, _, at_customer):
            # 30 ms at a time in, 20 ms packets out
            for start in range(0, len(said), 240):
                agent.send(said[start : start + 240])
            await until(lambda: len(at_customer.pcm) >= len(said))
            assert in_order(at_customer.pcm, decode_mulaw(encode_mulaw(said)))

    asyncio.run(run())


def test_strangers_before_and_after_the_address_is_locked() -> None:
    loud, soft = encode_mulaw(np.full(160, 20000, np.int16)), b"\xff" * 160

    async def run() -> None:
        async with opened() as (session, heard), bare() as peer, bare("127.0.0.2") as stranger:
            session.apply(negotiated(peer.port))
            stranger.send(session, loud, ssrc=666)
            await until(lambda: session.source is not None)
            for _ in range(6):
                peer.send(session, soft)
                stranger.send(session, loud, ssrc=666)
            await until(lambda: session.counters["rtp_strangers"] == 6)
            await until(lambda: int(np.count_nonzero(heard.pcm == 0)) >= 6 * 160)
            assert session.source == ("127.0.0.1", peer.port)
            assert np.count_nonzero(heard.pcm > 10000) <= 160  # only what came before the peer
            assert session.figures().strangers == 6

    asyncio.run(run())


def test_a_peer_behind_a_nat_is_answered_where_it_sends_from() -> None:
    async def run() -> None:
        async with opened() as (session, _), bare() as nat, bare() as private:
            session.apply(negotiated(private.port))
            for _ in range(3):
                nat.send(session)
            await until(lambda: session.source == ("127.0.0.1", nat.port))
            nat.received()
            await session.play(talk(0.06))
            assert len(nat.received()) == 3
            async with bare() as other:  # a re-INVITE with another address opens the lock again
                session.apply(negotiated(other.port))
                other.send(session, ssrc=99)
                await until(lambda: session.source == ("127.0.0.1", other.port))

    asyncio.run(run())


def test_rubbish_is_counted_and_dropped() -> None:
    async def run() -> None:
        async with opened() as (session, heard), bare() as peer:
            peer.send(session)
            await until(lambda: session.counters["rtp_early"] == 1)
            session.apply(negotiated(peer.port))
            for data in (b"x", b"\x80\x00", b"\x10" * 12, b"\xbf" * 12, os.urandom(11), b""):
                peer.raw(session, data)
            peer.send(session, payload_type=96)
            peer.send(session, b"\x05", payload_type=101)
            peer.raw(session, b"\x00" * 1500, session.port + 1)
            peer.send(session)
            await until(lambda: len(heard.pcm) == 160)
            assert session.counters["rtp_malformed"] == 5
            assert session.counters["rtp_unknown_payload"] == 1
            assert session.counters["dtmf_malformed"] == 1
            assert session.counters["rtcp_malformed"] == 1
            assert session.figures().strangers == 1

    asyncio.run(run())


def test_forged_and_replayed_packets_are_rejected() -> None:
    local = Crypto(1, "AES_CM_128_HMAC_SHA1_80", os.urandom(30))
    remote = Crypto(1, "AES_CM_128_HMAC_SHA1_80", os.urandom(30))

    async def run() -> None:
        async with opened() as (session, heard), bare() as peer, bare() as forger:
            session.apply(negotiated(peer.port, keys=(local, remote)))
            theirs = SrtpTransform(remote, local)
            sealed = theirs.seal(build_rtp(0, 1, 160, 5, b"\xff" * 160, marker=False))
            forger.raw(session, build_rtp(0, 1, 160, 5, b"\x00" * 160, marker=False))
            forger.raw(session, sealed[:-1] + bytes([sealed[-1] ^ 1]))
            peer.raw(session, sealed)
            forger.raw(session, sealed)
            await until(lambda: session.counters["srtp_rejected"] == 3)
            assert session.source == ("127.0.0.1", peer.port)
            await until(lambda: len(heard.pcm) == 160)
            mine = [theirs.open(data) for data in peer.received()]
            assert mine and all(mine)
            # The same keys again, as in a refresh: the packet counter goes on.
            session.apply(negotiated(peer.port, keys=(local, remote)))
            peer.raw(session, sealed)
            await until(lambda: session.counters["srtp_rejected"] == 4)

    asyncio.run(run())


def test_something_is_sent_at_once_and_again_while_nothing_is_said() -> None:
    params = FAST.model_copy(update={"keepalive_seconds": 0.08})

    async def run() -> None:
        async with opened(params) as (session, _), bare() as peer:
            session.apply(negotiated(peer.port))
            await asyncio.sleep(0.27)
            packets = [parse_rtp(data) for data in peer.received()]
            assert 3 <= len(packets) <= 4
            stamps = [packet.timestamp for packet in packets if packet]
            numbers = [packet.sequence for packet in packets if packet]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            assert 500 < (stamps[1] - stamps[0]) & 0xFFFFFFFF < 1200
            session.apply(negotiated(peer.port, direction=Direction.RECVONLY))
            await asyncio.sleep(0.2)
            assert set(peer.received()) == {b""}
            session.apply(negotiated(peer.port, direction=Direction.INACTIVE))
            await asyncio.sleep(0.02)
            peer.received()
            await asyncio.sleep(0.2)
            assert peer.received() == []

    asyncio.run(run())


def test_reports_tell_each_other_how_well_they_hear() -> None:
    params = FAST.model_copy(update={"rtcp_seconds": 0.08, "srtp": SrtpMode.REQUIRED})

    async def run() -> None:
        async with pair(params) as (caller, _, called, _):
            await asyncio.gather(caller.play(talk(0.5)), called.play(talk(0.5)))
            await until(lambda: caller.round_trip is not None and called.round_trip is not None)
            assert caller.peer_report is not None and caller.peer_report.lost == 0
            assert caller.round_trip is not None and caller.round_trip < 0.2
            await caller.close()
            await until(lambda: called.counters["rtcp_bye"] == 1)

    asyncio.run(run())


def test_rtcp_on_the_port_of_rtp() -> None:
    params = FAST.model_copy(update={"rtcp_seconds": 0.05})

    async def run() -> None:
        async with opened(params) as (session, _), bare() as peer:
            session.apply(negotiated(peer.port, mux=True))
            await asyncio.sleep(0.1)
            reports = [parse_rtcp(data) for data in peer.received() if data[1] in (200, 201)]
            assert reports and reports[0] is not None and reports[0].sending is not None
            peer.raw(session, bytes.fromhex("81cb0001 0000004d"))
            await until(lambda: session.counters["rtcp_bye"] == 1)
            assert session.counters["rtp_unknown_payload"] == 0

    asyncio.run(run())


def test_a_lost_packet_is_waited_for_by_the_clock_then_concealed() -> None:
    async def run() -> None:
        async with opened() as (session, heard), bare() as peer:
            session.apply(negotiated(peer.port))
            for _ in range(5):
                peer.send(session)
            peer.sequence, peer.timestamp = peer.sequence + 1, peer.timestamp + 160
            peer.send(session)
            await until(lambda: len(heard.pcm) == 7 * 160)  # nothing came to hurry it
            assert [concealed for _, concealed in heard.pieces] == [False] * 5 + [True, False]
            figures = session.figures()
            assert figures.lost == 1
            assert figures.concealed == pytest.approx(0.02)

    asyncio.run(run())


def test_a_name_instead_of_an_address_is_looked_up() -> None:
    async def run() -> None:
        async with opened() as (session, _), bare() as peer:
            session.apply(negotiated(peer.port, host="localhost"))
            received: list[bytes] = []

            def came() -> bool:
                received.extend(peer.received())
                return bool(received)

            await until(came)
            session.apply(negotiated(peer.port, host="no.such.host.invalid"))
            await until(lambda: session.counters["rtp_unresolved"] == 1)
            await session.play(talk(0.02))  # to nobody

    asyncio.run(run())


def test_everything_is_given_back() -> None:
    async def run() -> None:
        pool = PortPool(0, 0)
        async with opened() as (session, heard), bare() as peer:
            session.apply(negotiated(peer.port))
            peer.send(session)
            speaking = asyncio.create_task(session.play(talk(2.0)))
            await asyncio.sleep(0.03)
            await session.close()
            await session.close()
            async with asyncio.timeout(0.5):
                await speaking  # ends, rather than speak to nobody
            assert len(heard.pcm) == 160  # what waited was handed on
            session.apply(negotiated(peer.port))
            session.send(talk(0.1))
            again = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            again.bind(("127.0.0.1", session.port))
            again.close()
        assert pool.in_use == 0
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())


def test_no_port_left() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        low = probe.getsockname()[1] // 2 * 2
    params = MediaParams(port_low=low, port_high=low + 1)

    async def run() -> None:
        pool = params.pool()
        async with opened(params):
            pass
        pair_ = pool.take()
        with pytest.raises(NoPortError, match="widen the range"):
            pool.take()
        pool.release(pair_)

    asyncio.run(run())


@pytest.mark.parametrize(("after", "strangers"), [(3, 1), (8, 0)])
def test_after_so_many_packets_no_other_address_is_listened_to(after: int, strangers: int) -> None:
    async def run() -> None:
        params = FAST.model_copy(update={"lock_after": after})
        async with opened(params) as (session, heard), bare("127.0.0.2") as far, bare() as near:
            session.apply(negotiated(9))
            for _ in range(5):
                far.send(session)
            await until(lambda: len(heard.pcm) == 5 * 160)
            near.send(session)
            speaks = ("127.0.0.2", far.port) if strangers else ("127.0.0.1", near.port)
            await until(
                lambda: (session.source, session.counters["rtp_strangers"]) == (speaks, strangers)
            )

    asyncio.run(run())


def test_a_silence_is_filled_only_so_far_in_one_piece() -> None:
    async def run() -> None:
        for most, filled in ((0.25, 2000), (60.0, 2400)):
            params = FAST.model_copy(update={"most_gap_seconds": most})
            async with opened(params) as (session, heard), bare() as peer:
                session.apply(negotiated(peer.port))
                peer.send(session)
                await until(lambda heard=heard: len(heard.pcm) == 160)  # type: ignore[misc]
                await asyncio.sleep(0.35)
                peer.timestamp += 2400
                peer.send(session)
                whole = 2 * 160 + filled
                await until(lambda heard=heard, whole=whole: len(heard.pcm) == whole)  # type: ignore[misc]

    asyncio.run(run())


def test_reports_of_strangers_are_counted_and_dropped() -> None:
    async def run() -> None:
        async with opened() as (session, _), bare() as peer, bare("127.0.0.2") as stranger:
            session.apply(negotiated(peer.port, mux=True))
            bye = bytes.fromhex("81cb0001 0000004d")
            stranger.raw(session, bye)
            stranger.raw(session, bye, session.port + 1)
            await until(lambda: session.counters["rtcp_strangers"] == 2)
            assert session.counters["rtcp_bye"] == 0
            peer.raw(session, bye)
            await until(lambda: session.counters["rtcp_bye"] == 1)

    asyncio.run(run())
