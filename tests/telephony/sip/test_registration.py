"""Accounts at a registrar: kept, refreshed, retried, given up."""

from __future__ import annotations

import asyncio
import itertools
import re

import pytest
from aiosipua.message import SipResponse
from pydantic import ValidationError

from tests.telephony.receiving import Desk
from tests.telephony.sip_phone import Phone, endpoint, phone
from tests.waiting import until
from voicebot.telephony.sip.digest import Challenger, Verdict
from voicebot.telephony.sip.registration import (
    RegistrationParams,
    RegistrationState,
    granted_seconds,
)
from voicebot.telephony.sip.sip_messages import response_to
from voicebot.telephony.sip.sip_transactions import ServerTransaction


def account(registrar: Phone, user: str = "100", **more: object) -> dict[str, object]:
    return {
        "registrar": f"sip:127.0.0.1:{registrar.hop.port}",
        "domain": "pbx.example",
        "user": user,
        "password": "secret",
        "retry_seconds": 0.01,
        **more,
    }


def grant(registrar: Phone, seconds: int = 3600, **refuse: int) -> None:
    challenger = Challenger("pbx", {"100": "secret", "101": "secret"})

    def answer(transaction: ServerTransaction) -> None:
        request = transaction.request
        verdict = challenger.verify(request)
        if verdict is not Verdict.GOOD:
            transaction.respond(challenger.challenge(request, verdict))
            return
        response = response_to(request, 200)
        asked = re.search(r"expires=(\d+)", request.get_header("contact") or "")
        assert asked
        granted = min(int(asked[1]), seconds)
        contact = (request.get_header("contact") or "").partition(">")[0]
        response.add_header("Contact", "<sip:other@192.0.2.1>;expires=7")
        response.add_header("Contact", f"{contact}>;expires={granted}")
        transaction.respond(response)

    registrar.answers["REGISTER"] = answer


def test_several_accounts_register_and_leave() -> None:
    async def scene() -> None:
        async with phone() as registrar:
            grant(registrar)
            accounts = [account(registrar), account(registrar, "101")]
            async with endpoint(Desk(), accounts=accounts) as sip:
                await until(lambda: set(sip.registrations.values()) == {"registered"})
                assert set(sip.registrations) == {"sip:100@pbx.example", "sip:101@pbx.example"}
                first = registrar.heard("REGISTER")[0]
                assert (first.get_header("from") or "").startswith("<sip:100@pbx.example>")
                assert f":{sip.listeners[0].port}>" in (first.get_header("contact") or "")
            leaving = [
                each.get_header("contact") or "" for each in registrar.heard("REGISTER")[-2:]
            ]
            assert all(each.endswith(";expires=0") for each in leaving)
            assert set(sip.registrations.values()) == {RegistrationState.STOPPED}

    asyncio.run(scene())


def test_a_registration_is_refreshed_in_time() -> None:
    async def scene() -> None:
        async with phone() as registrar:
            grant(registrar, seconds=1)
            async with endpoint(Desk(), accounts=[account(registrar)]) as sip:
                await until(lambda: sip.registrations["sip:100@pbx.example"] == "registered")
                before = len(registrar.heard("REGISTER"))
                await until(lambda: len(registrar.heard("REGISTER")) > before)
                numbers = [each.get_header("cseq") for each in registrar.heard("REGISTER")]
                assert len(set(numbers)) == len(numbers), "every request has a number of its own"
                assert len({each.call_id for each in registrar.heard("REGISTER")}) == 1

    asyncio.run(scene())


def test_too_short_a_time_is_made_longer() -> None:
    async def scene() -> None:
        async with phone() as registrar:
            grant(registrar)
            allow = registrar.answers["REGISTER"]

            def answer(transaction: ServerTransaction) -> None:
                if "expires=60" in (transaction.request.get_header("contact") or ""):
                    response = response_to(transaction.request, 423)
                    response.set_header("Min-Expires", "1800")
                    transaction.respond(response)
                else:
                    allow(transaction)

            registrar.answers["REGISTER"] = answer
            accounts = [account(registrar, expires_seconds=60)]
            async with endpoint(Desk(), accounts=accounts) as sip:
                await until(lambda: sip.registrations["sip:100@pbx.example"] == "registered")
                assert registrar.heard("REGISTER")[-1].get_header("expires") == "1800"

    asyncio.run(scene())


@pytest.mark.parametrize("status", [403, 500, 423])
def test_a_failure_is_tried_again(status: int) -> None:
    async def scene() -> None:
        async with phone() as registrar:
            registrar.answers["REGISTER"] = lambda transaction: transaction.respond(
                response_to(transaction.request, status)
            )
            async with endpoint(Desk(), accounts=[account(registrar)]) as sip:
                await until(lambda: sip.counters.get("sip_registration_failed", 0) >= 2)
                assert sip.registrations["sip:100@pbx.example"] == "failing"
                grant(registrar)
                await until(lambda: sip.registrations["sip:100@pbx.example"] == "registered")

    asyncio.run(scene())


def test_a_wrong_password_is_no_storm() -> None:
    async def scene() -> None:
        async with phone() as registrar:
            grant(registrar)
            wrong = account(registrar, password="wrong", retry_seconds=5.0)
            async with endpoint(Desk(), accounts=[wrong]) as sip:
                await until(lambda: sip.counters.get("sip_registration_failed"))
                assert len(registrar.heard("REGISTER")) == 2

    asyncio.run(scene())


def test_a_login_that_is_not_the_number() -> None:
    async def scene() -> None:
        async with phone() as registrar:
            grant(registrar)
            named = account(registrar, "hotline", login="101")
            async with endpoint(Desk(), accounts=[named]) as sip:
                await until(lambda: sip.registrations["sip:hotline@pbx.example"] == "registered")
                asked = registrar.heard("REGISTER")[-1].get_header("authorization") or ""
                assert 'username="101"' in asked

    asyncio.run(scene())


def test_the_wait_doubles_with_each_failure_up_to_the_longest() -> None:
    waits: list[float] = []

    async def scene() -> None:
        async with phone() as registrar:
            loop = asyncio.get_running_loop()
            heard: list[float] = []

            def refuse(transaction: ServerTransaction) -> None:
                heard.append(loop.time())
                transaction.respond(response_to(transaction.request, 500))

            registrar.answers["REGISTER"] = refuse
            slow = account(registrar, most_retry_seconds=0.04)
            async with endpoint(Desk(), accounts=[slow]):
                await until(lambda: len(heard) >= 9)
            waits.extend(later - earlier for earlier, later in itertools.pairwise(heard))

    asyncio.run(scene())
    # 0.01, 0.02, 0.04, 0.04, ... with a quarter either way; doubled on it would be 1.28.
    assert min(waits[2:]) >= 0.03
    assert sum(waits) < 1.0


def test_a_registrar_that_is_away_does_not_hold_up_closing() -> None:
    async def scene() -> None:
        async with phone() as registrar:
            away = account(registrar)
        async with endpoint(Desk(), accounts=[away]) as sip:
            await until(lambda: sip.counters.get("sip_registration_failed"))

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("contacts", "expires", "granted"),
    [
        (["<sip:u@h:5060>;expires=50", "<sip:v@h>;expires=9"], "", 50.0),
        (["<sip:u@h:5060>"], "70", 70.0),
        ([], "", 300.0),
        (["<sip:u@h:5060>;expires=x"], "", 300.0),
        (["<sip:u@h:5060>;expires=\N{SUPERSCRIPT TWO}"], "", 300.0),
        ([], "\N{SUPERSCRIPT TWO}", 300.0),
        (["rubbish <"], "70", 70.0),
    ],
)
def test_granted(contacts: list[str], expires: str, granted: float) -> None:
    response = SipResponse(status_code=200)
    for contact in contacts:
        response.add_header("Contact", contact)
    if expires:
        response.set_header("Expires", expires)
    assert granted_seconds(response, "<sip:u@h:5060>", 300) == granted


@pytest.mark.parametrize(
    "wrong",
    [
        {"registrar": "", "user": "x"},
        {"registrar": "http://x", "user": "x"},
        {"registrar": "sip:x", "user": ""},
        {"registrar": "sip:x", "user": "a b"},
        {"registrar": "sip:x", "user": "a@b"},
    ],
)
def test_accounts_are_checked(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as caught:
        RegistrationParams.model_validate({**wrong, "password": "hush-hush"})
    assert "hush-hush" not in str(caught.value)
