"""One leg of media: rates that stay, holds that are told, bodies that are refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from aiosipua.message import SipRequest

from tests.telephony.receiving import Heard, tone
from tests.telephony.sip_help import make
from tests.waiting import until
from voicebot.events import Leg, Pcm
from voicebot.telephony.line import Offer
from voicebot.telephony.media.codecs import available
from voicebot.telephony.media.media_session import MediaParams
from voicebot.telephony.media.ports import PortPool
from voicebot.telephony.media.sdp_types import NoCommonCodecError, SdpError
from voicebot.telephony.sip.call_media import Body, BodyError
from voicebot.telephony.sip.leg_media import LegMedia

BOTH = MediaParams(port_low=0, port_high=0, reorder_ms=20, codecs=["G722", "PCMU"])
NARROW = MediaParams(port_low=0, port_high=0, reorder_ms=20, codecs=["PCMU"])
WIDE = MediaParams(port_low=0, port_high=0, reorder_ms=20, codecs=["G722"])
OFFER = Offer("sip", "c", "peer", (Leg.CALLER,), 8000)
needs_g722 = pytest.mark.skipif(
    available(["G722"]) != ("G722",), reason="the library G722 is not installed"
)


def message(body: Body) -> SipRequest:
    request = make("INVITE")
    body.put(request)
    return request


@asynccontextmanager
async def legs(*params: MediaParams) -> AsyncIterator[list[LegMedia]]:
    pool = PortPool(0, 0)
    made = [LegMedia(each, pool) for each in params]
    try:
        yield made
    finally:
        for leg in made:
            await leg.close()
            await leg.close()
        assert pool.in_use == 0


async def agree(caller: LegMedia, called: LegMedia) -> None:
    await caller.take_answer(message(await called.take_offer(message(await caller.make_offer()))))


async def passes(speaker: LegMedia, ear: Heard, pcm: Pcm) -> Pcm:
    before = len(ear.pcm())
    await speaker.play(pcm)
    await until(lambda: len(ear.pcm()) - before >= 0.8 * len(pcm))
    return ear.pcm()[before:]


def test_two_legs_talk() -> None:
    async def scene() -> None:
        async with legs(NARROW, NARROW) as (caller, called):
            await agree(caller, called)
            ear = Heard(called.describe(OFFER), None)  # type: ignore[arg-type]
            called.begin(ear)
            heard = await passes(caller, ear, tone(0.2))
            assert np.abs(heard).max() > 7000
            called.digit("5", 0.1)
            assert ear.digits == [(Leg.CALLER, "5", 0.1)]
            assert called.figures()[Leg.CALLER].packets >= 8

    asyncio.run(scene())


@needs_g722
def test_the_rate_of_a_leg_stays_when_the_codec_changes() -> None:
    async def scene() -> None:
        async with legs(BOTH, NARROW, WIDE) as (called, first, second):
            await agree(first, called)
            ear = Heard(called.describe(OFFER), None)  # type: ignore[arg-type]
            assert ear.offer.rate == 8000
            called.begin(ear)
            await passes(first, ear, tone(0.2))
            await agree(second, called)  # a re-INVITE that offers only wideband
            assert called.session is not None
            assert called.session.rate == 16000
            assert called.rate == 8000
            before = len(ear.pcm())
            second.rate = 16000
            await second.play(tone(0.6, 16000))
            await until(lambda: len(ear.pcm()) - before > 0.4 * 8000)
            heard = ear.pcm()[before:].astype(float)
            spectrum = np.abs(np.fft.rfft(heard))
            loudest = np.argmax(spectrum) * 8000 / len(heard)
            assert loudest == pytest.approx(440, abs=10), "at its own rate it would be 880"
            assert called.figures()[Leg.CALLER].packets >= 30, "both sockets count"

    asyncio.run(scene())


def test_a_reoffer_that_does_not_fit_leaves_things_as_they_are() -> None:
    async def scene() -> None:
        async with legs(NARROW, NARROW, WIDE) as (called, caller, other):
            await agree(caller, called)
            before = called.session
            with pytest.raises(NoCommonCodecError):
                await called.take_offer(message(await other.make_offer()))
            assert called.session is before
            assert called.ready

    asyncio.run(scene())


def test_a_hold_before_the_ear_is_told_later() -> None:
    async def scene() -> None:
        async with legs(NARROW, NARROW) as (caller, called):
            offer = await caller.make_offer()
            held = Body(offer.data.replace(b"a=sendrecv", b"a=sendonly"))
            await called.take_offer(message(held))
            ear = Heard(called.describe(OFFER), None)  # type: ignore[arg-type]
            called.begin(ear)
            assert ear.holds == [(Leg.CALLER, True)]
            again = await called.make_offer()
            assert b"a=recvonly" in again.data, "a refresh of ours does not end the hold"

    asyncio.run(scene())


def test_what_is_no_answer() -> None:
    async def scene() -> None:
        async with legs(NARROW) as (caller,):
            with pytest.raises(SdpError):
                await caller.take_answer(message(Body(b"v=0\r\n")))
            await caller.make_offer()
            for wrong in (make("INVITE"), message(Body(b"x", "text/plain")), message(Body(b"v=1"))):
                with pytest.raises(SdpError):
                    await caller.take_answer(wrong)
            with pytest.raises(BodyError):
                await caller.take_offer(make("INVITE"))
            with pytest.raises(BodyError):
                caller.take_rest(message(Body(b"x", "text/plain")))

    asyncio.run(scene())


def test_of_two_streams_the_one_that_fits_is_taken() -> None:
    async def scene() -> None:
        async with legs(NARROW) as (called,):
            offer = (
                b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
                b"m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 iLBC/8000\r\n"
                b"m=video 4002 RTP/AVP 97\r\n"
                b"m=audio 4004 RTP/AVP 0\r\n"
            )
            reply = (await called.take_offer(message(Body(offer)))).data.decode()
            lines = [line for line in reply.splitlines() if line.startswith("m=")]
            assert [line.split()[1] == "0" for line in lines] == [True, True, False]

    asyncio.run(scene())


def test_a_closed_leg_opens_no_more_ports() -> None:
    async def scene() -> None:
        async with legs(NARROW) as (called,):
            await called.close()
            with pytest.raises(NoCommonCodecError):
                await called.make_offer()
            await called.play(tone(0.1))

    asyncio.run(scene())
