"""Refreshing a session: by which request, and what its answers mean."""

from __future__ import annotations

import asyncio

import pytest

from tests.telephony.sip.test_sip_session import calling
from tests.telephony.sip_phone import session_of
from tests.waiting import until
from voicebot.telephony.sip.call_media import Body, BodyError
from voicebot.telephony.sip.sip_messages import response_to
from voicebot.telephony.sip.sip_transactions import ServerTransaction


def test_we_refresh_by_update_where_the_peer_takes_it() -> None:
    async def scene() -> None:
        async with calling(Allow="INVITE, ACK, BYE, UPDATE") as (_, caller, ear):

            def agree(transaction: ServerTransaction) -> None:
                response = response_to(transaction.request, 200)
                response.set_header("Session-Expires", "4;refresher=uac")
                transaction.respond(response)

            caller.answers["UPDATE"] = agree
            assert caller.answer.get_header("session-expires") == "4;refresher=uas"
            session = session_of(ear)
            session.timer.restart(session.timer.agreed, True)
            session._refresh()  # what the clock does at half time
            await until(lambda: len(caller.heard("UPDATE")) == 1)
            assert caller.heard("UPDATE")[0].get_header("session-expires") == "4;refresher=uac"
            await until(lambda: session.timer.ours)
            assert ear.reasons == []

    asyncio.run(scene())


def test_we_refresh_by_reinvite_else() -> None:
    async def scene() -> None:
        async with calling() as (_, caller, ear):
            caller.answer_calls(to_tag="")
            session_of(ear)._refresh()
            await until(lambda: len(caller.heard("INVITE")) == 1)
            assert "m=audio" in caller.heard("INVITE")[0].text
            await until(lambda: caller.acks)
            assert ear.reasons == []

    asyncio.run(scene())


def test_glare_is_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: 0.01)

    async def scene() -> None:
        async with calling(Allow="UPDATE") as (_, caller, ear):
            statuses = [491, 200]
            caller.answers["UPDATE"] = lambda transaction: transaction.respond(
                response_to(transaction.request, statuses.pop(0))
            )
            session_of(ear)._refresh()
            await until(lambda: len(caller.heard("UPDATE")) == 2)
            assert ear.reasons == []

    asyncio.run(scene())


def test_their_reinvite_during_ours_is_glare() -> None:
    async def scene() -> None:
        async with calling() as (_, caller, ear):
            caller.answers["INVITE"] = lambda transaction: None
            session_of(ear)._refresh()
            await until(lambda: caller.heard("INVITE"))
            assert (await caller.ask("INVITE", caller.sdp(version=2))).status_code == 491

    asyncio.run(scene())


@pytest.mark.parametrize("status", [408, 481])
def test_a_refresh_that_finds_no_call_ends_it(status: int) -> None:
    async def scene() -> None:
        async with calling(Allow="UPDATE") as (_, caller, ear):
            caller.answers["UPDATE"] = lambda transaction: transaction.respond(
                response_to(transaction.request, status)
            )
            session_of(ear)._refresh()
            await until(lambda: ear.reasons == ["line_lost"])

    asyncio.run(scene())


def test_a_peer_that_refuses_a_refresh_lives_all_the_same() -> None:
    async def scene() -> None:
        async with calling() as (sip, caller, ear):
            caller.answers["INVITE"] = lambda transaction: transaction.respond(
                response_to(transaction.request, 488)
            )
            session_of(ear)._refresh()
            await until(lambda: sip.counters.get("sip_refresh_refused"))
            assert ear.reasons == []

    asyncio.run(scene())


def test_a_peer_without_timers_is_asked_on() -> None:
    async def scene() -> None:
        async with calling() as (_, caller, ear):
            caller.answer_calls(to_tag="")
            session = session_of(ear)
            before = session.timer.agreed
            assert before is not None
            assert not before.peer_knows
            session._refresh()
            await until(lambda: caller.acks)
            await asyncio.sleep(0.02)
            assert session.timer.agreed == before
            assert session.timer.ours

    asyncio.run(scene())


def test_a_longer_interval_is_taken() -> None:
    async def scene() -> None:
        async with calling(Allow="UPDATE", Supported="timer") as (_, caller, ear):

            def refuse(transaction: ServerTransaction) -> None:
                request = transaction.request
                short = (request.get_header("session-expires") or "").startswith("4;")
                response = response_to(request, 422 if short else 200)
                response.set_header("Min-SE", "7")
                response.set_header("Session-Expires", "7;refresher=uac")
                transaction.respond(response)

            caller.answers["UPDATE"] = refuse
            session = session_of(ear)
            session._refresh()
            await until(lambda: len(caller.heard("UPDATE")) == 2)
            await until(
                lambda: session.timer.agreed is not None and session.timer.agreed.seconds == 7
            )

    asyncio.run(scene())


def test_a_refresh_that_is_answered_after_the_end_winds_up_no_clock() -> None:
    async def scene() -> None:
        async with calling(Allow="UPDATE", Supported="timer") as (_, caller, ear):
            caller.answers["UPDATE"] = lambda transaction: None
            session = session_of(ear)
            session._refresh()
            await until(lambda: caller.heard("UPDATE"))
            assert (await caller.ask("BYE")).status_code == 200
            update = next(each for each in caller.requests if each.request.method == "UPDATE")
            response = response_to(update.request, 200)
            response.set_header("Session-Expires", "4;refresher=uac")
            update.respond(response)
            await asyncio.sleep(0.05)
            assert session.timer._timers == []
            assert ear.reasons == ["hangup"]

    asyncio.run(scene())


def test_media_with_nothing_to_offer_do_not_end_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording that is paused has no stream, and its peer may not take UPDATE."""

    async def scene() -> None:
        async with calling() as (sip, caller, ear):
            session = session_of(ear)
            before = session.timer.agreed
            session.timer.stop()

            async def nothing() -> Body:
                raise BodyError("nothing to offer")

            monkeypatch.setattr(session.media, "make_offer", nothing)
            session._refresh()
            await until(lambda: session.timer._timers)
            assert session.timer.agreed == before
            assert sip.counters["sip_refresh_impossible"] == 1
            assert caller.heard("INVITE") == []
            assert ear.reasons == []

    asyncio.run(scene())
