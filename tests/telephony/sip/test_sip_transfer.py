"""Callers handed over: REFER in all its endings, and the bridge where REFER is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import unquote

import pytest

from tests.telephony.receiving import Desk, Heard
from tests.telephony.sip_phone import CALL, QUICK, Phone, endpoint, phone, session_of
from tests.waiting import until
from voicebot.telephony.line import Briefing, Transferred, TransferResult
from voicebot.telephony.media.rtp import build_rtp, parse_rtp
from voicebot.telephony.sip.digest import Challenger, Verdict
from voicebot.telephony.sip.sip_core import CallParams
from voicebot.telephony.sip.sip_endpoint import SipEndpoint
from voicebot.telephony.sip.sip_messages import response_to
from voicebot.telephony.sip.sip_outgoing import OutgoingCall
from voicebot.telephony.sip.sip_transactions import ServerTransaction

WHY = Briefing("alert-7", "https://desk.example/b/7?x=1", "persistent_anger")


@asynccontextmanager
async def calling(
    call: CallParams = CALL,
) -> AsyncIterator[tuple[SipEndpoint, Phone, Heard]]:
    """A call that is up."""
    desk = Desk()
    async with phone() as caller, endpoint(desk, call) as sip:
        await caller.invite(sip.listeners[0])
        await until(lambda: session_of(desk.calls[0]).state == "confirmed")
        yield sip, caller, desk.calls[0]


def answer(caller: Phone, status: int, *, then: tuple[str, ...] = (), **headers: str) -> None:
    """How the caller's side takes a REFER, and what its NOTIFYs say afterwards."""

    def on_refer(transaction: ServerTransaction) -> None:
        response = response_to(transaction.request, status)
        for name, value in headers.items():
            response.set_header(name.replace("_", "-"), value)
        transaction.respond(response)

        async def tell() -> None:
            for number, words in enumerate(then):
                last = number == len(then) - 1
                state = "terminated;reason=noresource" if last else "active;expires=60"
                await caller.notify(words, state)

        caller.telling = asyncio.ensure_future(tell())

    caller.answers["REFER"] = on_refer


def test_an_accepted_refer_hands_the_caller_over() -> None:
    async def scene() -> None:
        async with calling() as (_, caller, ear):
            answer(caller, 202, then=("100 Trying", "180 Ringing", "200 OK"))
            result = await ear.line.transfer("agents", WHY)
            assert result == Transferred(TransferResult.DONE, "200 OK")
            await until(lambda: ear.reasons)
            assert ear.reasons == ["transferred"]
            assert len(caller.heard("BYE")) == 1, "the caller's side did not, so we do"
            refer = caller.heard("REFER")[0]
            to = refer.get_header("refer-to") or ""
            assert to.startswith(f"<sip:agents@127.0.0.1:{caller.hop.port}?")
            assert "X-Voicebot-Briefing=https://desk.example/b/7?x=1" in unquote(to)
            assert "?" not in to.partition("?")[2], "escaped"
            assert refer.get_header("x-voicebot-alert-id") == "alert-7"
            assert refer.get_header("x-voicebot-briefing") == WHY.url
            assert (
                refer.get_header(
                    "referred-by",
                )
                is not None
            )

    asyncio.run(scene())


def test_headers_stay_out_of_the_address_if_told_so() -> None:
    async def scene() -> None:
        plain = CallParams(transfer=QUICK.model_copy(update={"embed_headers": False}))
        async with calling(plain) as (_, caller, ear):
            answer(caller, 202, then=("200 OK",))
            await ear.line.transfer("sip:agents@127.0.0.1:5999", WHY)
            refer = caller.heard("REFER")[0]
            assert refer.get_header("refer-to") == "<sip:agents@127.0.0.1:5999>"
            assert refer.get_header("x-voicebot-alert-id") == "alert-7"

    asyncio.run(scene())


def test_a_peer_that_cannot_read_headers_in_an_address_gets_none() -> None:
    async def scene() -> None:
        async with calling() as (_, caller, ear):

            def on_refer(transaction: ServerTransaction) -> None:
                answer(caller, 202, then=("200 OK",))
                transaction.respond(response_to(transaction.request, 400))

            caller.answers["REFER"] = on_refer
            result = await ear.line.transfer("agents", WHY)
            assert result.result is TransferResult.DONE
            first, second = (each.get_header("refer-to") or "" for each in caller.heard("REFER"))
            assert "?" in first
            assert "?" not in second

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("words", "result"),
    [
        ("486 Busy Here", TransferResult.BUSY),
        ("603 Decline", TransferResult.DECLINED),
        ("480 Temporarily Unavailable", TransferResult.NO_ANSWER),
        ("404 Not Found", TransferResult.UNREACHABLE),
    ],
)
def test_a_failed_transfer_leaves_the_caller_with_us(words: str, result: TransferResult) -> None:
    async def scene() -> None:
        async with calling() as (_, caller, ear):
            answer(caller, 202, then=("100 Trying", words))
            assert await ear.line.transfer("agents", WHY) == Transferred(result, words)
            assert ear.reasons == []
            answer(caller, 202, then=("200 OK",))  # and the next target is tried
            assert (await ear.line.transfer("others", WHY)).result is TransferResult.DONE

    asyncio.run(scene())


def test_nobody_says_how_it_ended() -> None:
    async def scene() -> None:
        short = CallParams(transfer=QUICK.model_copy(update={"ring_seconds": 0.05}))
        async with calling(short) as (_, caller, ear):
            answer(caller, 202, then=("100 Trying",))
            async with asyncio.timeout(2.5):
                result = await ear.line.transfer("agents", WHY)
            assert result.result is TransferResult.TIMEOUT
            assert ear.reasons == []
            late = await caller.notify("200 OK", "terminated")
            assert late.status_code == 200, "answered, if without effect"

    asyncio.run(scene())


def test_a_caller_who_hangs_up_meanwhile_is_gone() -> None:
    async def scene() -> None:
        async with calling() as (_, caller, ear):
            answer(caller, 202)
            attempt = asyncio.ensure_future(ear.line.transfer("agents", WHY))
            await until(lambda: caller.heard("REFER"))
            await caller.ask("BYE")
            assert (await attempt).result is TransferResult.GONE
            await until(lambda: ear.reasons == ["hangup"])

    asyncio.run(scene())


def test_a_bye_may_overtake_the_good_news() -> None:
    async def scene() -> None:
        slow = CallParams(transfer=QUICK.model_copy(update={"bye_seconds": 1.0}))
        async with calling(slow) as (_, caller, ear):
            answer(caller, 202)
            attempt = asyncio.ensure_future(ear.line.transfer("agents", WHY))
            await until(lambda: caller.heard("REFER"))
            await caller.ask("BYE")
            assert (await caller.notify("200 OK", "terminated")).status_code == 200
            assert (await attempt).result is TransferResult.DONE
            await until(lambda: ear.reasons == ["transferred"])

    asyncio.run(scene())


def test_a_peer_that_reports_nothing_reports_by_bye() -> None:
    """Refer-Sub: false (RFC 4488)."""

    async def scene() -> None:
        async with calling() as (_, caller, ear):
            answer(caller, 200, Refer_Sub="false")
            attempt = asyncio.ensure_future(ear.line.transfer("agents", WHY))
            await until(lambda: caller.heard("REFER"))
            await asyncio.sleep(0.02)
            await caller.ask("BYE")
            assert (await attempt).result is TransferResult.DONE
            await until(lambda: ear.reasons == ["transferred"])

    asyncio.run(scene())


def test_a_notify_may_overtake_the_answer_to_the_refer() -> None:
    async def scene() -> None:
        async with calling() as (_, caller, ear):
            caller.answers["REFER"] = lambda transaction: None
            attempt = asyncio.ensure_future(ear.line.transfer("agents", WHY))
            await until(lambda: caller.heard("REFER"))
            await caller.notify("486 Busy Here", "terminated")
            assert (await attempt).result is TransferResult.BUSY

    asyncio.run(scene())


def test_late_news_of_one_attempt_is_no_news_of_the_next() -> None:
    async def scene() -> None:
        async with calling() as (_, caller, ear):
            answer(caller, 202, then=("480 Temporarily Unavailable",))
            await ear.line.transfer("first", WHY)
            answer(caller, 202)
            attempt = asyncio.ensure_future(ear.line.transfer("second", WHY))
            await until(lambda: len(caller.heard("REFER")) == 2)
            first, second = (
                (each.get_header("cseq") or "").split()[0] for each in caller.heard("REFER")
            )
            for number, words in ((first, "200 OK"), (second, "486 Busy Here")):
                reply = await caller.ask(
                    "NOTIFY",
                    f"SIP/2.0 {words}\r\n".encode(),
                    "message/sipfrag",
                    Event=f"refer;id={number}",
                    Subscription_State="terminated",
                )
                assert reply.status_code == 200
            assert (await attempt).result is TransferResult.BUSY

    asyncio.run(scene())


def test_a_target_that_is_none() -> None:
    async def scene() -> None:
        async with calling() as (_, caller, ear):
            result = await ear.line.transfer("http://agents", WHY)
            assert result.result is TransferResult.UNREACHABLE
            assert caller.heard("REFER") == []

    asyncio.run(scene())


def test_a_notify_that_nobody_asked_for() -> None:
    async def scene() -> None:
        async with calling() as (_, caller, _):
            assert (await caller.notify("200 OK")).status_code == 481
            other = await caller.ask("NOTIFY", Event="presence")
            assert other.status_code == 489

    asyncio.run(scene())


# ------------------------------------------------------------- bridge


def media_port(text: str) -> int:
    return int(text.partition("m=audio ")[2].split()[0])


def say(speaker: Phone, port: int, octet: bytes) -> None:
    for number in range(8):
        packet = build_rtp(0, number, number * 160, 5, octet * 160, marker=False)
        speaker.rtp.sendto(packet, ("127.0.0.1", port))


async def hears(listener: Phone, octet: bytes) -> bool:
    async with asyncio.timeout(2.0):
        while True:
            try:
                packet = parse_rtp(listener.rtp.recv(2048))
            except BlockingIOError:
                await asyncio.sleep(0.002)
                continue
            if packet is not None and packet.payload_type == 0 and packet.payload == octet * 160:
                return True


@pytest.mark.parametrize("status", [405, 501, 401, 403, 407, 420, 603])
def test_where_refer_is_refused_the_agent_is_called_and_joined(status: int) -> None:
    async def scene() -> None:
        async with phone() as agent, calling() as (sip, caller, ear):
            answer(caller, status)
            agent.answer_calls()
            result = await ear.line.transfer(agent.uri, WHY)
            assert result.result is TransferResult.DONE
            invite = agent.heard("INVITE")[0]
            assert invite.get_header("x-voicebot-briefing") == WHY.url
            await until(lambda: agent.acks)
            ours = agent.dialog
            assert ours is not None

            to_agent = media_port(invite.text)
            to_caller = media_port(caller.answer.text)
            say(caller, to_caller, b"\x21")
            assert await hears(agent, b"\x21"), "the agent hears the caller"
            say(agent, to_agent, b"\x42")
            assert await hears(caller, b"\x42"), "the caller hears the agent"
            await until(lambda: len(ear.pcm()) > 800)
            assert ear.reasons == [], "the call stays up, and is heard"
            assert sip.counters["sip_refer_refused"] == 1

            again = await ear.line.transfer(agent.uri, WHY)
            assert again.result is TransferResult.UNSUPPORTED
            await caller.ask("BYE")
            await until(lambda: agent.heard("BYE"))
            await until(lambda: ear.reasons == ["hangup"])

    asyncio.run(scene())


def test_an_agent_who_hangs_up_ends_the_call() -> None:
    async def scene() -> None:
        async with phone() as agent, calling() as (_, caller, ear):
            answer(caller, 405)
            agent.answer_calls()
            await ear.line.transfer(agent.uri, WHY)
            await until(lambda: agent.acks)
            assert (await agent.ask("BYE")).status_code == 200
            await until(lambda: caller.heard("BYE"))
            await until(lambda: ear.reasons == ["hangup"])

    asyncio.run(scene())


def test_a_digit_reaches_the_agent() -> None:
    async def scene() -> None:
        async with phone() as agent, calling() as (_, caller, ear):
            answer(caller, 405)
            agent.answer_calls()
            await ear.line.transfer(agent.uri, WHY)
            await caller.ask("INFO", b"Signal=5\r\nDuration=100\r\n", "application/dtmf-relay")
            await until(lambda: any_event(agent))

    asyncio.run(scene())


def any_event(listener: Phone) -> bool:
    try:
        packet = parse_rtp(listener.rtp.recv(2048))
    except BlockingIOError:
        return False
    return packet is not None and packet.payload_type == 101 and packet.payload[0] == 5


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (486, TransferResult.BUSY),
        (603, TransferResult.DECLINED),
        (480, TransferResult.NO_ANSWER),
        (404, TransferResult.UNREACHABLE),
    ],
)
def test_an_agent_who_cannot_be_joined(status: int, result: TransferResult) -> None:
    async def scene() -> None:
        async with phone() as agent, calling() as (_, caller, ear):
            answer(caller, 501)
            agent.answer_calls(status)
            assert (await ear.line.transfer(agent.uri, WHY)).result is result
            assert ear.reasons == []
            agent.answer_calls()
            assert (await ear.line.transfer(agent.uri, WHY)).result is TransferResult.DONE

    asyncio.run(scene())


def test_an_agent_who_does_not_answer_is_cancelled() -> None:
    async def scene() -> None:
        short = CallParams(transfer=QUICK.model_copy(update={"ring_seconds": 0.1}))
        async with phone() as agent, calling(short) as (_, caller, ear):
            answer(caller, 501)

            def ring(transaction: ServerTransaction) -> None:
                transaction.respond(response_to(transaction.request, 180))

            agent.answers["INVITE"] = ring
            async with asyncio.timeout(2.5):
                result = await ear.line.transfer(agent.uri, WHY)
            assert result.result is TransferResult.NO_ANSWER
            await until(lambda: agent.requests[0].final is not None)
            final = agent.requests[0].final
            assert final is not None
            assert final.status_code == 487, "cancelled"
            assert ear.reasons == []

    asyncio.run(scene())


def test_a_caller_who_hangs_up_while_the_agent_rings() -> None:
    async def scene() -> None:
        async with phone() as agent, calling() as (_, caller, ear):
            answer(caller, 501)
            agent.answers["INVITE"] = lambda transaction: transaction.respond(
                response_to(transaction.request, 180)
            )
            attempt = asyncio.ensure_future(ear.line.transfer(agent.uri, WHY))
            await until(lambda: agent.heard("INVITE"))
            await caller.ask("BYE")
            assert (await attempt).result is TransferResult.GONE
            await until(lambda: agent.requests[0].final is not None)

    asyncio.run(scene())


def test_without_bridge_a_refused_refer_is_unsupported() -> None:
    async def scene() -> None:
        never = CallParams(transfer=QUICK.model_copy(update={"bridge": False}))
        async with calling(never) as (_, caller, ear):
            answer(caller, 405)
            result = await ear.line.transfer("agents", WHY)
            assert result.result is TransferResult.UNSUPPORTED

    asyncio.run(scene())


def test_late_news_is_told_apart_where_refer_is_challenged() -> None:
    """The REFER that counts is the one with credentials, whose number is another."""

    async def scene() -> None:
        challenger = Challenger("pbx", {"100": "secret"})
        account = {"registrar": "sip:127.0.0.1:9", "user": "100", "password": "secret"}
        desk = Desk()
        async with phone() as caller, endpoint(desk, accounts=[account]) as sip:
            await caller.invite(sip.listeners[0])
            await until(lambda: session_of(desk.calls[0]).state == "confirmed")
            line = desk.calls[0].line
            accepted: list[str] = []

            def on_refer(transaction: ServerTransaction) -> None:
                request = transaction.request
                verdict = challenger.verify(request)
                if verdict is not Verdict.GOOD:
                    transaction.respond(challenger.challenge(request, verdict))
                    return
                accepted.append((request.get_header("cseq") or "").split()[0])
                transaction.respond(response_to(request, 202))

            async def news(number: str, words: str) -> None:
                await caller.ask(
                    "NOTIFY",
                    f"SIP/2.0 {words}\r\n".encode(),
                    "message/sipfrag",
                    Event=f"refer;id={number}",
                    Subscription_State="terminated",
                )

            caller.answers["REFER"] = on_refer
            first = asyncio.ensure_future(line.transfer("first", WHY))
            await until(lambda: len(accepted) == 1)
            await news(accepted[0], "480 Temporarily Unavailable")
            assert (await first).result is TransferResult.NO_ANSWER
            second = asyncio.ensure_future(line.transfer("second", WHY))
            await until(lambda: len(accepted) == 2)
            await news(accepted[0], "200 OK")
            await news(accepted[1], "486 Busy Here")
            assert (await second).result is TransferResult.BUSY

    asyncio.run(scene())


def test_an_attempt_given_up_as_the_agent_answers_leaves_nobody_on_the_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The answer and the end of our patience may come at the same moment."""

    async def scene() -> None:
        async with phone() as agent, calling() as (_, caller, ear):
            answer(caller, 405)
            agent.answer_calls()
            call = OutgoingCall.call

            async def answered(self: OutgoingCall, seconds: float) -> Transferred:
                result = await call(self, seconds)
                attempt.cancel()
                return result

            monkeypatch.setattr(OutgoingCall, "call", answered)
            attempt = asyncio.ensure_future(ear.line.transfer(agent.uri, WHY))
            with pytest.raises(asyncio.CancelledError):
                await attempt
            await until(lambda: agent.heard("BYE"))
            monkeypatch.undo()
            assert ear.reasons == []
            assert (await ear.line.transfer(agent.uri, WHY)).result is TransferResult.DONE

    asyncio.run(scene())


def test_a_call_that_we_end_ourselves_was_not_handed_over() -> None:
    """An operator, or the end of a drain, while a peer that reports nothing has the REFER."""

    async def scene() -> None:
        async with calling() as (_, caller, ear):
            answer(caller, 200, Refer_Sub="false")
            attempt = asyncio.ensure_future(ear.line.transfer("agents", WHY))
            await until(lambda: caller.heard("REFER"))
            await asyncio.sleep(0.02)
            await ear.line.hang_up("operator")
            assert (await attempt).result is TransferResult.GONE
            await until(lambda: ear.reasons == ["operator"])

    asyncio.run(scene())
