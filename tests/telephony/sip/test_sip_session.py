"""Requests within a call: hold, moves, glare, digits, session timers, what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.telephony.receiving import Desk, Heard, tone
from tests.telephony.sip_phone import QUICK, Phone, endpoint, phone, session_of
from tests.waiting import until
from voicebot.events import Leg
from voicebot.telephony.sip.session_timer import SessionTimerParams
from voicebot.telephony.sip.sip_core import CallParams
from voicebot.telephony.sip.sip_endpoint import SipEndpoint
from voicebot.telephony.sip.sip_params import Hop
from voicebot.telephony.sip.sip_session import SessionState

TIMER = CallParams(transfer=QUICK, timer=SessionTimerParams(expires_seconds=4, min_seconds=2))


@asynccontextmanager
async def calling(
    call: CallParams = TIMER, **headers: str
) -> AsyncIterator[tuple[SipEndpoint, Phone, Heard]]:
    desk = Desk()
    async with phone() as caller, endpoint(desk, call) as sip:
        await caller.invite(sip.listeners[0], None, True, **headers)
        await until(lambda: session_of(desk.calls[0]).state is SessionState.CONFIRMED)
        yield sip, caller, desk.calls[0]


@pytest.mark.parametrize(
    ("held", "ours"),
    [("a=sendonly\r\n", "a=recvonly"), ("a=inactive\r\n", "a=inactive")],
)
def test_hold_and_resume(held: str, ours: str) -> None:
    async def scene() -> None:
        async with calling() as (_, caller, ear):
            answer = await caller.ask("INVITE", caller.sdp(more=held, version=2))
            assert answer.status_code == 200
            assert ours in answer.text, "RFC 3264 section 6.1"
            assert ear.holds == [(Leg.CALLER, True)]
            answer = await caller.ask("INVITE", caller.sdp(version=3))
            assert "a=sendrecv" in answer.text
            assert ear.holds[-1] == (Leg.CALLER, False)
            assert " 3 IN IP4" in answer.text.splitlines()[1], "o= counts descriptions"

    asyncio.run(scene())


def test_media_follow_a_new_address() -> None:
    async def scene() -> None:
        async with phone() as elsewhere, calling() as (_, caller, ear):
            moved = elsewhere.sdp(version=2)
            assert (await caller.ask("INVITE", moved)).status_code == 200
            await ear.line.play(tone(0.04))
            assert len(elsewhere.rtp.recv(2048)) == 172

    asyncio.run(scene())


def test_requests_follow_a_new_contact() -> None:
    async def scene() -> None:
        async with phone() as elsewhere, calling() as (_, caller, ear):
            assert caller.dialog is not None
            update = await caller.ask("UPDATE", Contact=f"<{elsewhere.uri}>")
            assert update.status_code == 200
            await ear.line.hang_up("enough")
            assert len(elsewhere.heard("BYE")) == 1
            assert caller.heard("BYE") == []

    asyncio.run(scene())


def test_update_renegotiates_too() -> None:
    async def scene() -> None:
        async with calling() as (_, caller, ear):
            answer = await caller.ask("UPDATE", caller.sdp(more="a=sendonly\r\n", version=2))
            assert answer.status_code == 200
            assert "m=audio" in answer.text
            assert ear.holds == [(Leg.CALLER, True)]

    asyncio.run(scene())


def test_a_bad_renegotiation_leaves_the_call_as_it_was() -> None:
    async def scene() -> None:
        async with calling() as (_, caller, ear):
            assert (await caller.ask("INVITE", caller.sdp("96", version=2))).status_code == 488
            assert (await caller.ask("INVITE", b"rubbish")).status_code == 400
            assert (await caller.ask("UPDATE", b"x", "text/plain")).status_code == 415
            await ear.line.play(tone(0.04))
            assert len(caller.rtp.recv(2048)) == 172
            assert ear.reasons == []

    asyncio.run(scene())


def test_a_reinvite_without_description_gets_our_offer() -> None:
    async def scene() -> None:
        async with calling() as (_, caller, ear):
            answer = await caller.ask("INVITE")
            assert "m=audio" in answer.text
            assert (await caller.ask("INVITE", caller.sdp(version=3))).status_code == 200
            assert ear.reasons == []

    asyncio.run(scene())


def test_while_our_offer_waits_for_its_answer_others_must_wait() -> None:
    async def scene() -> None:
        async with calling() as (_, caller, _):
            assert caller.dialog is not None
            request = caller.dialog.request("INVITE")
            request.set_header("Contact", f"<{caller.uri}>")
            hop = caller.dialog.next_hop
            first = await caller.send(request, Hop("udp", hop.host, hop.port or 0))
            assert first.status_code == 200
            glare = await caller.ask("UPDATE", caller.sdp(version=2))
            assert glare.status_code == 491
            caller.ack(2, caller.sdp(version=2))
            await asyncio.sleep(0.02)
            assert (await caller.ask("UPDATE", caller.sdp(version=3))).status_code == 200

    asyncio.run(scene())


def test_an_old_request_is_out_of_order() -> None:
    async def scene() -> None:
        async with calling() as (_, caller, _):
            assert caller.dialog is not None
            caller.dialog.local_seq = 10
            assert (await caller.ask("OPTIONS")).status_code == 200
            caller.dialog.local_seq = 4
            late = await caller.ask("OPTIONS")
            assert late.status_code == 500

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("REFER", {"Refer_To": "<sip:x@127.0.0.1>"}, 603),
        ("SUBSCRIBE", {}, 405),
        ("MESSAGE", {}, 405),
        ("DANCE", {}, 501),
        ("OPTIONS", {"Require": "nonsense"}, 420),
        ("INFO", {"Info_Package": "x"}, 469),
        ("INFO", {}, 200),
        ("PRACK", {"RAck": "1 1 INVITE"}, 481),
    ],
)
def test_what_is_refused_within_a_call(method: str, headers: dict[str, str], status: int) -> None:
    async def scene() -> None:
        async with calling() as (_, caller, ear):
            answer = await caller.ask(method, b"", "", **headers)
            assert answer.status_code == status
            if status in (405, 501):
                assert "UPDATE" in answer.headers.get("allow")
            assert ear.reasons == []

    asyncio.run(scene())


def test_digits_by_info() -> None:
    async def scene() -> None:
        async with calling() as (_, caller, ear):
            relay = "application/dtmf-relay"
            assert (
                await caller.ask("INFO", b"Signal= 5\nDuration= 250\n", relay)
            ).status_code == 200
            assert (await caller.ask("INFO", b"#", "application/dtmf")).status_code == 200
            assert ear.digits == [(Leg.CALLER, "5", 0.25), (Leg.CALLER, "#", 0.16)]
            assert (await caller.ask("INFO", b"Signal=%\n", relay)).status_code == 415

    asyncio.run(scene())


def test_a_peer_that_does_not_refresh_is_gone() -> None:
    async def scene() -> None:
        headers = {"Supported": "timer", "Session_Expires": "2;refresher=uac"}
        async with calling(TIMER, **headers) as (sip, caller, ear):
            assert "timer" in caller.answer.headers.get("require")
            session_of(ear)._expired()
            await until(lambda: ear.reasons == ["line_lost"])
            await until(lambda: caller.heard("BYE"))
            assert sip.counters["sip_session_expired"] == 1

    asyncio.run(scene())
