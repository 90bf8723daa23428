"""Calls that come: answered, refused, cancelled, unacknowledged, reliably announced."""

from __future__ import annotations

import asyncio

import pytest
from aiosipua.message import SipRequest, SipResponse

from tests.telephony.receiving import Desk, tone
from tests.telephony.sip_help import T1
from tests.telephony.sip_phone import CALL, IMPATIENT, Phone, endpoint, phone, session_of
from tests.waiting import until
from voicebot.events import Leg
from voicebot.telephony.media.rtp import build_rtp
from voicebot.telephony.sip.call_media import CallMedia
from voicebot.telephony.sip.sip_dialog import Dialog
from voicebot.telephony.sip.sip_messages import response_to
from voicebot.telephony.sip.sip_transactions import ClientTransaction


def test_a_call_is_offered_heard_spoken_to_and_ended() -> None:
    async def scene() -> None:
        desk = Desk()
        async with phone() as caller, endpoint(desk) as sip:
            answer = await caller.invite(sip.listeners[0], X_Tenant="7", Subject="x")
            assert [each.status_code for each in caller.provisional] == [180]
            assert answer.status_code == 200
            assert "INVITE" in answer.headers.get("allow")
            ear = desk.calls[0]
            assert ear.offer.gateway == "sip"
            assert ear.offer.called == "queue"
            assert ear.offer.caller == "alice"
            assert ear.offer.legs == (Leg.CALLER,)
            assert ear.offer.rate == 8000
            assert dict(ear.offer.parameters) == {"x-tenant": "7"}

            port = int(answer.text.partition("m=audio ")[2].split()[0])
            for number in range(10):
                packet = build_rtp(0, number, number * 160, 9, b"\x10" * 160, marker=False)
                caller.rtp.sendto(packet, ("127.0.0.1", port))
            await until(lambda: len(ear.pcm()) >= 1600 - 480)
            assert ear.line.figures()[Leg.CALLER].packets == 10

            assert ear.line.can_speak
            await ear.line.play(tone(0.06))
            assert len(caller.rtp.recv(2048)) == 12 + 160

            assert (await caller.ask("BYE")).status_code == 200
            await until(lambda: ear.reasons)
            assert ear.reasons == ["hangup"]
            assert not ear.line.can_speak
            assert len(ear.pcm()) == 1600, "what was in the jitter buffer is heard too"

    asyncio.run(scene())


def test_a_call_can_be_answered_without_ringing() -> None:
    async def scene() -> None:
        desk = Desk()
        silent = CALL.model_copy(update={"ring_first": False})
        async with phone() as caller, endpoint(desk, silent) as sip:
            assert (await caller.invite(sip.listeners[0])).status_code == 200
            assert caller.provisional == []
            request = caller.make_invite(sip.listeners[0], Require="100rel")
            calling = asyncio.ensure_future(caller.send(request, sip.listeners[0]))
            await until(lambda: caller.provisional)
            assert caller.provisional[0].status_code == 183, (
                "what PRACK is for is said all the same"
            )
            caller.dialog = Dialog.of_response(request, caller.provisional[0])
            rack = f"{caller.provisional[0].get_header('rseq')} 1 INVITE"
            assert (await caller.ask("PRACK", RAck=rack)).status_code == 200
            assert (await calling).status_code == 200
            caller.ack(1)

    asyncio.run(scene())


def test_an_asserted_identity_is_the_caller() -> None:
    async def scene() -> None:
        desk = Desk()
        async with phone() as caller, endpoint(desk) as sip:
            await caller.invite(sip.listeners[0], P_Asserted_Identity="<sip:+4930123@carrier>")
            assert desk.calls[0].offer.caller == "+4930123"
            await caller.invite(sip.listeners[0], P_Asserted_Identity="<rubbish")
            assert desk.calls[1].offer.caller == "alice"

    asyncio.run(scene())


def test_an_invite_without_description_gets_our_offer() -> None:
    async def scene() -> None:
        desk = Desk()
        async with phone() as caller, endpoint(desk) as sip:
            answer = await caller.invite(sip.listeners[0], b"")
            assert "m=audio" in answer.text
            ear = desk.calls[0]
            await until(lambda: ear.line.figures()[Leg.CALLER].codec == "PCMU")
            await ear.line.hang_up("enough")
            assert len(caller.heard("BYE")) == 1

    asyncio.run(scene())


def test_an_ack_without_the_answer_ends_the_call() -> None:
    async def scene() -> None:
        desk = Desk()
        async with phone() as caller, endpoint(desk) as sip:
            await caller.invite(sip.listeners[0], b"", ack=False)
            caller.ack(1)
            await until(lambda: desk.calls[0].reasons == ["line_error"])
            await until(lambda: caller.heard("BYE"))

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("formats", "headers", "status"),
    [
        ("96", {}, 488),
        ("0", {"Content_Type": "text/plain"}, 415),
        ("0", {"Content_Encoding": "gzip"}, 415),
        ("0", {"Accept": "text/plain"}, 406),
        ("0", {"Require": "replaces"}, 420),
        ("0", {"Supported": "timer", "Session_Expires": "30"}, 422),
    ],
)
def test_what_cannot_be_taken_is_refused(
    formats: str, headers: dict[str, str], status: int
) -> None:
    async def scene() -> None:
        desk = Desk()
        async with phone() as caller, endpoint(desk) as sip:
            answer = await caller.invite(sip.listeners[0], caller.sdp(formats), True, **headers)
            assert answer.status_code == status
            assert desk.calls == []

    asyncio.run(scene())


def test_a_malformed_description_is_refused() -> None:
    async def scene() -> None:
        desk = Desk()
        async with phone() as caller, endpoint(desk) as sip:
            assert (await caller.invite(sip.listeners[0], b"v=1\r\nnonsense")).status_code == 400
            assert desk.calls == []

    asyncio.run(scene())


def test_a_full_house_says_when_to_come_again() -> None:
    async def scene() -> None:
        async with phone() as caller, endpoint(Desk(refuse=True)) as sip:
            answer = await caller.invite(sip.listeners[0])
            assert answer.status_code == 503
            assert answer.get_header("retry-after") == "10"
            assert sip.counters["sip_refused"] == 1

    asyncio.run(scene())


def test_a_call_whose_media_cannot_be_had_in_time_is_refused() -> None:
    class Slow:
        async def open(self, invite: SipRequest) -> CallMedia:
            await asyncio.sleep(60)
            raise AssertionError

    async def scene() -> None:
        short = CALL.model_copy(update={"answer_seconds": 0.05})
        async with phone() as caller, endpoint(Desk(), short, Slow()) as sip:
            answer = await caller.invite(sip.listeners[0], Require="siprec")
            assert answer.status_code == 504
            assert sip.counters["sip_answer_timeout"] == 1

    asyncio.run(scene())


def test_a_lost_ack_ends_the_call() -> None:
    async def scene() -> None:
        desk = Desk()
        async with phone() as caller, endpoint(desk, signalling=IMPATIENT) as sip:
            await caller.invite(sip.listeners[0], ack=False)
            await until(lambda: desk.calls[0].reasons)
            assert desk.calls[0].reasons == ["no_ack"]
            await until(lambda: caller.heard("BYE"))
            assert sip.counters["sip_retransmitted"] >= 1, "the 200 was repeated"

    asyncio.run(scene())


def test_two_calls_with_one_call_id_are_two_calls() -> None:
    async def scene() -> None:
        desk = Desk()
        async with phone() as one, phone() as other, endpoint(desk) as sip:
            await one.invite(sip.listeners[0], call_id="same")
            await other.invite(sip.listeners[0], call_id="same")
            assert len(desk.calls) == 2
            assert (await one.ask("BYE")).status_code == 200
            await until(lambda: desk.calls[0].reasons)
            assert desk.calls[1].reasons == []
            assert (await other.ask("OPTIONS")).status_code == 200

    asyncio.run(scene())


def test_a_repeated_invite_is_the_same_call() -> None:
    async def scene() -> None:
        desk = Desk()
        async with phone() as caller, endpoint(desk) as sip:
            request = caller.make_invite(sip.listeners[0])
            first: list[SipResponse] = []

            def on_response(response: SipResponse) -> None:
                first.append(response)

            sent = caller.layer.request(request, sip.listeners[0], on_response, lambda why: None)
            for _ in range(3):  # the very same bytes once more
                caller.layer._carrier.send(sip.listeners[0], bytes(sent.request), lambda: None)
            await until(lambda: first and first[-1].status_code == 200)
            caller.dialog = Dialog.of_response(request, first[-1])
            caller.ack(1)
            await asyncio.sleep(0.02)
            assert len(desk.calls) == 1

    asyncio.run(scene())


# ------------------------------------------------------------- before the answer


async def early(caller: Phone, seconds: float = 2.0) -> SipResponse:
    await until(lambda: any(each.get_header("rseq") for each in caller.provisional), seconds)
    return next(each for each in caller.provisional if each.get_header("rseq"))


def test_a_required_provisional_response_waits_for_prack() -> None:
    async def scene() -> None:
        desk = Desk()
        async with phone() as caller, endpoint(desk) as sip:
            request = caller.make_invite(sip.listeners[0], Require="100rel")
            calling = asyncio.ensure_future(caller.send(request, sip.listeners[0]))
            ringing = await early(caller)
            assert ringing.status_code == 180
            assert "m=audio" in ringing.text, "the answer goes with the first reliable response"
            await asyncio.sleep(4 * T1)
            assert len(caller.provisional) >= 2, "it is repeated"
            assert not calling.done(), "no 2xx before the PRACK"
            caller.dialog = Dialog.of_response(request, ringing)
            wrong = await caller.ask("PRACK", RAck="1 7 INVITE")
            assert wrong.status_code == 481
            prack = await caller.ask("PRACK", RAck=f"{ringing.get_header('rseq')} 1 INVITE")
            assert prack.status_code == 200
            assert (await calling).status_code == 200
            caller.ack(1)
            await until(lambda: len(desk.calls) == 1)
            assert (await caller.ask("BYE")).status_code == 200

    asyncio.run(scene())


def test_our_early_offer_is_answered_in_prack() -> None:
    async def scene() -> None:
        desk = Desk()
        async with phone() as caller, endpoint(desk) as sip:
            request = caller.make_invite(sip.listeners[0], b"", Require="100rel")
            calling = asyncio.ensure_future(caller.send(request, sip.listeners[0]))
            ringing = await early(caller)
            caller.dialog = Dialog.of_response(request, ringing)
            rack = f"{ringing.get_header('rseq')} 1 INVITE"
            prack = await caller.ask("PRACK", caller.sdp(), RAck=rack)
            assert prack.status_code == 200
            assert (await calling).status_code == 200
            caller.ack(1)
            assert desk.calls[0].line.figures()[Leg.CALLER].codec == "PCMU"

    asyncio.run(scene())


def test_a_bad_answer_in_prack_refuses_the_call() -> None:
    """Not a 200 that nobody stands behind."""

    async def scene() -> None:
        desk = Desk()
        async with phone() as caller, endpoint(desk) as sip:
            request = caller.make_invite(sip.listeners[0], b"", Require="100rel")
            calling = asyncio.ensure_future(caller.send(request, sip.listeners[0]))
            ringing = await early(caller)
            caller.dialog = Dialog.of_response(request, ringing)
            rack = f"{ringing.get_header('rseq')} 1 INVITE"
            prack = await caller.ask("PRACK", b"v=0\r\nnonsense\r\n", RAck=rack)
            assert prack.status_code == 400
            assert (await calling).status_code == 400
            await until(lambda: desk.calls[0].reasons == ["line_error"])

    asyncio.run(scene())


def test_without_prack_the_call_is_given_up() -> None:
    async def scene() -> None:
        desk = Desk()
        async with phone() as caller, endpoint(desk, signalling=IMPATIENT) as sip:
            request = caller.make_invite(sip.listeners[0], Require="100rel")
            assert (await caller.send(request, sip.listeners[0])).status_code == 504
            await until(lambda: desk.calls[0].reasons == ["line_error"])

    asyncio.run(scene())


def test_a_cancelled_call_gets_487() -> None:
    async def scene() -> None:
        desk = Desk()
        async with phone() as caller, endpoint(desk) as sip:
            request = caller.make_invite(sip.listeners[0], Require="100rel")
            sent: list[ClientTransaction] = []
            calling = asyncio.ensure_future(
                caller.send(request, sip.listeners[0], on_client=sent.append)
            )
            await early(caller)
            caller.layer.cancel(sent[0])
            assert (await calling).status_code == 487
            await until(lambda: desk.calls[0].reasons == ["cancelled"])

    asyncio.run(scene())


def test_a_bye_before_the_answer_ends_the_call() -> None:
    async def scene() -> None:
        desk = Desk()
        async with phone() as caller, endpoint(desk) as sip:
            request = caller.make_invite(sip.listeners[0], Require="100rel")
            calling = asyncio.ensure_future(caller.send(request, sip.listeners[0]))
            caller.dialog = Dialog.of_response(request, await early(caller))
            assert (await caller.ask("BYE")).status_code == 200
            assert (await calling).status_code == 487

    asyncio.run(scene())


def test_a_call_can_be_turned_away_before_the_answer() -> None:
    async def scene() -> None:
        desk = Desk()
        async with phone() as caller, endpoint(desk) as sip:
            request = caller.make_invite(sip.listeners[0], Require="100rel")
            calling = asyncio.ensure_future(caller.send(request, sip.listeners[0]))
            await early(caller)
            await desk.calls[0].line.hang_up("dead")
            assert (await calling).status_code == 480
            assert desk.calls[0].reasons == ["dead"]

    asyncio.run(scene())


# ------------------------------------------------------------- the end


def test_hanging_up_frees_everything_even_if_nobody_answers() -> None:
    async def scene() -> None:
        desk = Desk()
        async with phone() as caller, endpoint(desk, signalling=IMPATIENT) as sip:
            caller.answers["BYE"] = lambda transaction: None
            await caller.invite(sip.listeners[0])
            await until(lambda: session_of(desk.calls[0]).state == "confirmed")
            await desk.calls[0].line.hang_up("line_lost")
            assert desk.calls[0].reasons == ["line_lost"]
            await until(lambda: sip.calls == 0 and sip.dialogs == 0)
            assert sip.counters["sip_bye_unanswered"] == 1

    asyncio.run(scene())


def test_closing_ends_every_call() -> None:
    async def scene() -> None:
        desk = Desk()
        async with phone() as caller:
            async with endpoint(desk, CALL) as sip:
                await caller.invite(sip.listeners[0])
            assert len(caller.heard("BYE")) == 1
            assert desk.calls[0].reasons == ["shutdown"]

    asyncio.run(scene())


def test_a_bye_is_challenged_without_harm() -> None:
    """No credentials: the call is over all the same."""

    async def scene() -> None:
        desk = Desk()
        async with phone() as caller, endpoint(desk) as sip:
            caller.answers["BYE"] = lambda transaction: transaction.respond(
                response_to(transaction.request, 401)
            )
            await caller.invite(sip.listeners[0])
            await desk.calls[0].line.hang_up("enough")
            await until(lambda: sip.dialogs == 0)

    asyncio.run(scene())


def test_a_caller_by_tcp_need_not_listen_at_its_contact() -> None:
    """Our BYE goes back on the connection that the INVITE came by."""

    async def scene() -> None:
        desk = Desk()
        async with phone() as caller, endpoint(desk) as sip:
            to = sip.listeners[1]
            assert to.transport == "tcp"
            request = caller.make_invite(to)
            request.set_header("Contact", "<sip:phone@127.0.0.1:9;transport=tcp>")
            response = await caller.send(request, to)
            caller.dialog = Dialog.of_response(request, response)
            caller.layer.send_ack(caller.dialog.ack(1), to)
            await until(lambda: session_of(desk.calls[0]).state == "confirmed")
            await desk.calls[0].line.hang_up("enough")
            assert len(caller.heard("BYE")) == 1
            assert sip.counters.get("sip_bye_unanswered") is None

    asyncio.run(scene())


def test_if_that_connection_is_gone_the_contact_is_tried() -> None:
    async def scene() -> None:
        desk = Desk()
        async with phone() as listening, endpoint(desk) as sip:
            async with phone() as caller:
                to = sip.listeners[1]
                request = caller.make_invite(to)
                at = listening.layer.listeners[1]
                request.set_header("Contact", f"<sip:phone@{at.host}:{at.port};transport=tcp>")
                response = await caller.send(request, to)
                caller.dialog = Dialog.of_response(request, response)
                caller.layer.send_ack(caller.dialog.ack(1), to)
                await until(lambda: session_of(desk.calls[0]).state == "confirmed")
            await asyncio.sleep(0.05)  # the end of the connection is seen
            await desk.calls[0].line.hang_up("enough")
            assert len(listening.heard("BYE")) == 1

    asyncio.run(scene())
