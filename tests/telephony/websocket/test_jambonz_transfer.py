from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.telephony.receiving import Desk
from tests.telephony.rest_server import Api, Asked, api
from tests.telephony.ws_peers import BRIEFING, TOKEN, listening
from voicebot.telephony.line import Transferred, TransferResult
from voicebot.telephony.websocket.jambonz_transfer import JambonzRestParams, JambonzTransfer, dial
from voicebot.telephony.websocket.websocket_peer import Answer, Handshake

CALLS = "/v1/Accounts/acc/Calls"


def rest(url: str, **more: Any) -> JambonzRestParams:
    given = {
        "account_sid": "acc", "api_key": "secret-key", "base_url": url,
        "poll_seconds": 0.01, "timeout_seconds": 1.0,
    }  # fmt: skip
    return JambonzRestParams.model_validate(given | more)


class Jambonz:
    """As much of jambonz as its API server does; the agent's call goes through ``states``."""

    def __init__(
        self, *states: str, sip: int = 0, parent: int = 200, update: int = 202, vanish: bool = False
    ) -> None:
        self.states = list(states)
        self.sip = sip
        self.parent = parent
        self.update = update
        self.vanish = vanish
        self.hook: dict[str, str] = {}
        self.seen = 0

    def __call__(self, asked: Asked) -> tuple[int, Any]:
        assert asked.headers["authorization"] == "Bearer secret-key"
        if asked.method == "PUT":
            self.hook = json.loads(asked.body).get("call_hook", {})
            return self.update, {}
        if asked.path == CALLS:
            calls = [
                {"call_sid": "old", "parent_call_sid": "c1", "call_status": "busy"},
                {"call_sid": "other", "parent_call_sid": "c9", "call_status": "in-progress"},
                None, {"call_sid": 5, "parent_call_sid": "c1"},
            ]  # fmt: skip
            if self.hook and self.states and not (self.vanish and self.seen):
                calls.append({"call_sid": "agent", "parent_call_sid": "c1"})
            return 200, calls
        if asked.path == f"{CALLS}/agent":
            self.seen += 1
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            return 200, {"call_status": state, "sip_status": self.sip}
        assert asked.path == f"{CALLS}/c1"
        return self.parent, {"call_status": "in-progress"}


def transferred(answer: Any, target: str = "+15550100") -> tuple[Transferred, Api]:
    async def main() -> tuple[Transferred, Api]:
        async with api(answer) as one:
            transfer = JambonzTransfer(rest(one.url), "wss://voice.example")
            async with asyncio.timeout(2.5):
                end = await transfer("c1", target, BRIEFING)
            assert not transfer._offered  # forgotten when it is over
            return end, one

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("states", "sip", "result"),
    [
        (("trying", "ringing", "in-progress"), 200, TransferResult.DONE),
        (("completed",), 200, TransferResult.DONE),
        (("ringing", "busy"), 486, TransferResult.BUSY),
        (("ringing", "no-answer"), 487, TransferResult.NO_ANSWER),
        (("failed",), 603, TransferResult.DECLINED),
        (("failed",), 404, TransferResult.UNREACHABLE),
        (("failed",), 600, TransferResult.BUSY),
    ],
)
def test_the_end_is_the_agents_calls_end(
    states: tuple[str, ...], sip: int, result: TransferResult
) -> None:
    end, one = transferred(Jambonz(*states, sip=sip))
    assert end.result is result
    (update,) = one.of("PUT")
    assert update.path == f"{CALLS}/c1"
    hook = json.loads(update.body)["call_hook"]
    assert hook["method"] == "GET"
    assert hook["url"].startswith("https://voice.example/media/jambonz/transfer/")


def test_an_agents_call_that_leaves_the_list_is_still_asked_for() -> None:
    end, _ = transferred(Jambonz("ringing", "busy", sip=486, vanish=True))
    assert end.result is TransferResult.BUSY


def test_a_caller_who_left_is_gone() -> None:
    assert transferred(Jambonz(parent=404))[0].result is TransferResult.GONE


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (404, TransferResult.GONE),
        (400, TransferResult.DECLINED),
        (403, TransferResult.DECLINED),
        (500, TransferResult.UNREACHABLE),
    ],
)
def test_a_refused_request_has_a_type(status: int, result: TransferResult) -> None:
    end, _ = transferred(Jambonz(update=status))
    assert end.result is result and str(status) in end.detail


def test_a_torn_connection_and_nonsense_are_unreachable() -> None:
    assert transferred(lambda _: (0, None))[0].result is TransferResult.UNREACHABLE
    assert transferred(lambda _: (200, b"<html>"))[0].result is TransferResult.UNREACHABLE


def test_a_dial_without_an_end_times_out() -> None:
    async def main() -> None:
        async with api(Jambonz("ringing")) as one:
            params = rest(one.url, timeout_seconds=0.1).model_copy(update={"ring_seconds": 0})
            end = await JambonzTransfer(params, "wss://v.example")("c1", "1", BRIEFING)
            assert end.result is TransferResult.TIMEOUT

    asyncio.run(main())


def test_jambonz_fetches_from_our_listener_whom_to_dial_while_the_transfer_lasts() -> None:
    fetched: list[Any] = []

    async def main() -> None:
        jambonz = Jambonz("ringing", "ringing", "in-progress")
        async with api(jambonz) as one:
            api_section = rest(one.url).model_dump() | {"api_key": "secret-key"}
            section = {"tokens": [TOKEN], "rest": api_section}
            async with (
                listening(Desk(), jambonz=section, public_url="wss://voice.example") as server,
                httpx.AsyncClient(trust_env=False) as client,
            ):
                transfer = server._endpoints[2]._rest  # type: ignore[attr-defined]
                running = asyncio.create_task(transfer("c1", "sip:desk@pbx.example", BRIEFING))
                while not jambonz.hook:
                    await asyncio.sleep(0.002)
                path = urlsplit(jambonz.hook["url"]).path
                url = f"http://127.0.0.1:{server.port}{path}"
                answer = await client.get(url)
                assert answer.headers["content-type"] == "application/json"
                fetched.extend(answer.json())
                assert (await running).result is TransferResult.DONE
                assert (await client.get(url)).status_code == HTTPStatus.NOT_FOUND

    asyncio.run(main())
    assert [verb["verb"] for verb in fetched] == ["dial", "pause", "hangup"]
    assert fetched[0]["target"] == [{"type": "sip", "sipUri": "sip:desk@pbx.example"}]
    assert fetched[0]["headers"]["X-Voicebot-Briefing"] == BRIEFING.url


def test_other_paths_are_not_the_transfers() -> None:
    transfer = JambonzTransfer(rest("http://x"), "wss://v.example")
    for path, answer in (
        ("/media/jambonz", None),
        ("/media/jambonz/transfer/guess", Answer(HTTPStatus.NOT_FOUND)),
    ):
        assert transfer.hook(Handshake(path, path, {}, {}, "x:1")) == answer


@pytest.mark.parametrize(
    ("target", "to"),
    [
        ("+15550100", {"type": "phone", "number": "+15550100"}),
        ("user:desk@realm.example", {"type": "user", "name": "desk@realm.example"}),
        ("sips:desk@pbx.example", {"type": "sip", "sipUri": "sips:desk@pbx.example"}),
    ],
)
def test_targets_have_their_types(target: str, to: dict[str, str]) -> None:
    assert dial(target, BRIEFING, rest(""))[0]["target"] == [to]


def test_a_fallback_and_a_caller_id_are_passed_on() -> None:
    params = rest("", caller_id="+15550111", fallback_url="https://x.example/app")
    verbs = dial("+1", BRIEFING, params)
    assert verbs[0]["callerId"] == "+15550111"
    assert verbs[2] == {"verb": "redirect", "actionHook": "https://x.example/app"}


def test_how_long_a_phone_rings_and_a_caller_waits_are_passed_on() -> None:
    verbs = dial("+1", BRIEFING, rest("", ring_seconds=40, hold_seconds=9))
    assert (verbs[0]["timeout"], verbs[1]["length"]) == (40, 9)


def test_hanging_up_completes_the_call_and_forgives_failures() -> None:
    async def main() -> None:
        async with api(Jambonz()) as one:
            transfer = JambonzTransfer(rest(one.url), "")
            await transfer.hang_up("c1")
            await transfer.hang_up("../c1")
            assert [json.loads(a.body) for a in one.asked] == [{"call_status": "completed"}]
        async with api(lambda _: (500, {})) as one:
            await JambonzTransfer(rest(one.url), "").hang_up("c1")

    asyncio.run(main())
