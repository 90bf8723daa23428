from __future__ import annotations

import asyncio
import base64
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.telephony.rest_server import Api, Asked, api
from tests.telephony.ws_peers import BRIEFING
from voicebot.telephony.line import Briefing, Transferred, TransferResult
from voicebot.telephony.websocket.twilio_transfer import TwilioRestParams, TwilioTransfer, twiml

CALLS = "/2010-04-01/Accounts/AC1/Calls"


def rest(url: str, **more: Any) -> TwilioRestParams:
    given = {
        "account_sid": "AC1", "username": "SK1", "password": "secret", "base_url": url,
        "poll_seconds": 0.01, "timeout_seconds": 1.0,
    }  # fmt: skip
    return TwilioRestParams.model_validate(given | more)


class Twilio:
    """As much of Twilio as its documentation says: the agent's call goes through ``states``."""

    def __init__(self, *states: str, parent: str = "in-progress", update: int = 200) -> None:
        self.states = list(states)
        self.parent = parent
        self.update = update
        self.is_dialled = False

    def __call__(self, asked: Asked) -> tuple[int, Any]:
        if asked.method == "POST" and asked.path == f"{CALLS}/CA1.json":
            self.is_dialled = self.update == 200
            return self.update, {"sid": "CA1", "status": "in-progress"}
        if asked.path == f"{CALLS}/CA1.json":
            return 200, {"sid": "CA1", "status": self.parent}
        assert asked.path == f"{CALLS}.json" and asked.query["ParentCallSid"] == ["CA1"]
        calls = [{"sid": "CA-earlier", "status": "busy"}]
        if self.is_dialled and self.states:
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            if state:
                calls.insert(0, {"sid": "CA2", "status": state})
        return 200, {"calls": calls}


def transferred(answer: Any, target: str = "+15550100", **more: Any) -> tuple[Transferred, Api]:
    async def main() -> tuple[Transferred, Api]:
        async with api(answer) as one:
            async with asyncio.timeout(2.5):
                return await TwilioTransfer(rest(one.url, **more))("CA1", target, BRIEFING), one

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("states", "result"),
    [
        (("", "queued", "ringing", "in-progress"), TransferResult.DONE),
        (("ringing", "completed"), TransferResult.DONE),
        (("ringing", "busy"), TransferResult.BUSY),
        (("ringing", "no-answer"), TransferResult.NO_ANSWER),
        (("failed",), TransferResult.UNREACHABLE),
        (("ringing", "canceled"), TransferResult.GONE),
    ],
)
def test_the_end_is_the_agents_calls_end(states: tuple[str, ...], result: TransferResult) -> None:
    end, one = transferred(Twilio(*states))
    assert end.result is result
    (update,) = one.of("POST")
    assert update.headers["authorization"] == "Basic " + base64.b64encode(b"SK1:secret").decode()
    document = ElementTree.fromstring(update.form["Twiml"])
    assert document.findtext("Dial/Number") == "+15550100"


def test_a_caller_who_left_is_gone() -> None:
    assert transferred(Twilio("", parent="completed"))[0].result is TransferResult.GONE


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (404, TransferResult.GONE),
        (400, TransferResult.DECLINED),
        (401, TransferResult.DECLINED),
        (429, TransferResult.DECLINED),
        (500, TransferResult.UNREACHABLE),
        (503, TransferResult.UNREACHABLE),
    ],
)
def test_a_refused_request_has_a_type_and_shows_no_secret(
    status: int, result: TransferResult
) -> None:
    end, _ = transferred(Twilio(update=status))
    assert end.result is result and str(status) in end.detail
    assert "secret" not in end.detail and "15550100" not in end.detail


def test_an_answer_that_is_no_json_is_unreachable() -> None:
    assert transferred(lambda _: (200, b"<html>"))[0].result is TransferResult.UNREACHABLE


@pytest.mark.parametrize("content", [b"[]", b'{"calls": 5}', b'{"calls": [1, null]}', b"7"])
def test_an_answer_without_calls_is_as_if_there_were_none(content: bytes) -> None:
    async def main() -> None:
        async with api(lambda _: (200, content)) as one:
            params = rest(one.url, timeout_seconds=0.1).model_copy(update={"ring_seconds": 0})
            end = await TwilioTransfer(params)("CA1", "+15550100", BRIEFING)
            assert end.result is TransferResult.TIMEOUT

    asyncio.run(main())


def test_a_torn_connection_a_silent_one_and_a_closed_port_are_unreachable() -> None:
    end, _ = transferred(lambda _: (0, None))
    assert end.result is TransferResult.UNREACHABLE

    async def main() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for _ in range(2):
            end = await TwilioTransfer(rest(url, timeout_seconds=0.1))("CA1", "1", BRIEFING)
            assert end.result is TransferResult.UNREACHABLE
            server.close()

    asyncio.run(main())


def test_a_dial_without_an_end_times_out() -> None:
    async def main() -> None:
        async with api(Twilio("ringing")) as one:
            params = rest(one.url, timeout_seconds=0.1).model_copy(update={"ring_seconds": 0})
            end = await TwilioTransfer(params)("CA1", "+15550100", BRIEFING)
            assert end.result is TransferResult.TIMEOUT

    asyncio.run(main())


def test_a_reference_cannot_lead_elsewhere() -> None:
    async def main() -> None:
        async with api(Twilio()) as one:
            transfer = TwilioTransfer(rest(one.url))
            end = await transfer("../../Accounts/AC2", "1", BRIEFING)
            assert end.result is TransferResult.UNSUPPORTED
            await transfer.hang_up("CA1/../x")
            assert not one.asked

    asyncio.run(main())


def test_hanging_up_completes_the_call_and_forgives_failures() -> None:
    async def main() -> None:
        async with api(Twilio()) as one:
            await TwilioTransfer(rest(one.url)).hang_up("CA1")
            assert one.asked[0].form == {"Status": "completed"}
        async with api(lambda _: (404, {})) as one:
            await TwilioTransfer(rest(one.url)).hang_up("CA1")

    asyncio.run(main())


def test_the_briefing_goes_to_sip_targets_as_headers() -> None:
    target = "sip:desk@pbx.example;transport=tls"
    document = ElementTree.fromstring(twiml(target, BRIEFING, rest("")))
    assert document.findtext("Dial/Sip") == (
        "sip:desk@pbx.example;transport=tls?X-Voicebot-Alert-Id=a-1"
        "&X-Voicebot-Reason=persistent_anger"
        "&X-Voicebot-Briefing=https%3A%2F%2Fdesk.example%2Fa%2F1"
    )


def test_a_url_that_does_not_fit_is_left_out_whole() -> None:
    long = Briefing("a-1", "https://desk.example/" + "x" * 2000, "anger")
    text = ElementTree.fromstring(twiml("sip:a@b?X-Own=1", long, rest(""))).findtext("Dial/Sip")
    assert text == "sip:a@b?X-Own=1&X-Voicebot-Alert-Id=a-1&X-Voicebot-Reason=anger"


@pytest.mark.parametrize(
    ("target", "path", "text"),
    [
        ("client:desk", "Dial/Client/Identity", "desk"),
        ("queue:angry", "Dial/Queue", "angry"),
        ("+1</Number><Hangup/>", "Dial/Number", "+1</Number><Hangup/>"),
    ],
)
def test_targets_are_nouns_and_nothing_escapes(target: str, path: str, text: str) -> None:
    document = ElementTree.fromstring(twiml(target, BRIEFING, rest("")))
    assert document.findtext(path) == text
    assert [child.tag for child in document] == ["Dial", "Pause"]


def test_a_fallback_and_a_caller_id_are_passed_on() -> None:
    params = rest("", caller_id='+1"5', fallback_url="https://x.example/?a=1&b=2")
    document = ElementTree.fromstring(twiml("+1", BRIEFING, params))
    dial = document.find("Dial")
    assert dial is not None and dial.attrib == {"timeout": "20", "callerId": '+1"5'}
    assert [child.tag for child in document] == ["Dial", "Pause", "Redirect"]
    assert document.findtext("Redirect") == "https://x.example/?a=1&b=2"


def test_how_long_a_phone_rings_and_a_caller_waits_are_passed_on() -> None:
    params = rest("", ring_seconds=40, hold_seconds=9)
    document = ElementTree.fromstring(twiml("+1", BRIEFING, params))
    assert [child.attrib for child in document] == [{"timeout": "40"}, {"length": "9"}]
