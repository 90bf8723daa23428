from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection

from tests.telephony.receiving import Desk, tone
from tests.telephony.ws_peers import BRIEFING, close_of, dial, listening, told
from tests.waiting import until
from voicebot.audio.g711 import decode_mulaw, encode_mulaw
from voicebot.events import Leg
from voicebot.telephony.line import TransferResult
from voicebot.telephony.websocket.audiohook import choose, seconds

PATH = "/media/audiohook"
KEY = "an-api-key-of-some-length"
OPENED = {"api_key": KEY}
SESSION = "e160e428-53e2-487c-977d-96989bf5c99d"
ORGANIZATION = "d7934305-0972-4844-938e-9060eef73d05"
CONVERSATION = "090eaa2f-72fa-480a-83e0-8667ff89c0ec"
NOBODY = "00000000-0000-0000-0000-000000000000"
HEADERS = {
    "X-API-KEY": KEY,
    "Audiohook-Session-Id": SESSION,
    "Audiohook-Organization-Id": ORGANIZATION,
    "Audiohook-Correlation-Id": "30b0e395-84d3-4570-ac13-9a62d8f514c0",
}
BOTH = {"type": "audio", "format": "PCMU", "channels": ["external", "internal"], "rate": 8000}
CALLER = BOTH | {"channels": ["external"]}
AGENT = BOTH | {"channels": ["internal"]}
OPEN: dict[str, Any] = {
    "organizationId": ORGANIZATION,
    "conversationId": CONVERSATION,
    "participant": {"id": "p", "ani": "+15550199", "aniName": "J", "dnis": "+15550100"},
    "media": [BOTH, CALLER, AGENT],
    "language": "en-US",
}


class Genesys:
    """A client that numbers its messages as the protocol wants."""

    def __init__(self, client: ClientConnection) -> None:
        self.client = client
        self.seq = 0
        self.serverseq = 0

    def message(self, kind: str, parameters: Any = None, **changed: Any) -> dict[str, Any]:
        self.seq += 1
        return {
            "version": "2", "type": kind, "id": SESSION, "seq": self.seq,
            "serverseq": self.serverseq, "position": "PT0S", "parameters": parameters or {},
        } | changed  # fmt: skip

    async def say(self, kind: str, parameters: Any = None, **changed: Any) -> None:
        await self.client.send(json.dumps(self.message(kind, parameters, **changed)))

    async def ask(self, kind: str, parameters: Any = None, **changed: Any) -> dict[str, Any]:
        await self.say(kind, parameters, **changed)
        answer = await told(self.client)
        assert answer["seq"] == self.serverseq + 1 and answer["clientseq"] == self.seq
        assert (answer["version"], answer["id"]) == ("2", SESSION)
        self.serverseq = answer["seq"]
        return answer


def test_a_session_from_open_to_closed() -> None:
    async def main() -> None:
        desk = Desk()
        caller, agent = tone(0.4), tone(0.4, hertz=700)
        async with (
            listening(desk, audiohook=OPENED) as server,
            dial(server, PATH, HEADERS) as client,
        ):
            genesys = Genesys(client)
            opened = await genesys.ask("open", OPEN)
            assert opened["type"] == "opened" and opened["parameters"]["media"] == [BOTH]
            for at in range(0, len(caller), 800):
                piece = np.column_stack((caller[at : at + 800], agent[at : at + 800])).reshape(-1)
                await client.send(encode_mulaw(piece))
            assert (await genesys.ask("ping", {"rtt": "PT0.1S"}, position="PT0.4S"))[
                "type"
            ] == "pong"
            assert (await genesys.ask("update", {"language": "ko"}))["type"] == "updated"
            assert (await genesys.ask("close", {"reason": "end"}))["type"] == "closed"
            (call,) = desk.calls
            assert call.reasons == ["hangup"]
        assert call.offer.legs == (Leg.CALLER, Leg.AGENT)
        assert (call.offer.gateway, call.offer.reference) == ("audiohook", CONVERSATION)
        assert (call.offer.called, call.offer.caller) == ("+15550100", "+15550199")
        assert call.offer.parameters["language"] == "en-US"
        assert "+15550199" not in call.offer.parameters.values()
        np.testing.assert_array_equal(call.pcm(), decode_mulaw(encode_mulaw(caller)))
        np.testing.assert_array_equal(call.pcm(Leg.AGENT), decode_mulaw(encode_mulaw(agent)))
        assert call.reasons == ["hangup"]
        assert not call.line.can_speak
        assert (await call.line.transfer("x", BRIEFING)).result is TransferResult.UNSUPPORTED

    asyncio.run(main())


def test_channels_in_the_other_order_still_find_their_legs() -> None:
    async def main() -> None:
        desk = Desk()
        media = [BOTH | {"channels": ["internal", "external"]}]
        async with (
            listening(desk, audiohook=OPENED) as server,
            dial(server, PATH, HEADERS) as client,
        ):
            await Genesys(client).ask("open", OPEN | {"media": media})
            await client.send(encode_mulaw(np.array([100, 9000] * 80, np.int16)))
            await until(lambda: len(desk.calls[0].pcm()) == 80)
            assert desk.calls[0].pcm().min() > 8000
            assert desk.calls[0].pcm(Leg.AGENT).max() < 200

    asyncio.run(main())


def test_a_connection_probe_is_answered_and_is_no_call() -> None:
    async def main() -> None:
        desk = Desk(refuse=True)
        async with (
            listening(desk, audiohook=OPENED) as server,
            dial(server, PATH, HEADERS) as client,
        ):
            genesys = Genesys(client)
            opened = await genesys.ask("open", OPEN | {"conversationId": NOBODY})
            assert opened["type"] == "opened" and opened["parameters"]["media"] == []
            assert (await genesys.ask("ping"))["type"] == "pong"
            assert (await genesys.ask("close", {"reason": "end"}))["type"] == "closed"
            assert server.counters["audiohook_probes"] == 1

    asyncio.run(main())


def test_a_pause_is_a_hold_and_discarded_audio_is_made_up_within_bounds() -> None:
    async def main() -> None:
        desk = Desk()
        async with (
            listening(desk, audiohook=OPENED) as server,
            dial(server, PATH, HEADERS) as client,
        ):
            genesys = Genesys(client)
            await genesys.ask("open", OPEN | {"media": [CALLER]})
            await client.send(encode_mulaw(tone(0.1)))
            await genesys.say("discarded", {"start": "PT0.1S", "discarded": "PT0.5S"})
            await genesys.say("discarded", {"start": "PT0.6S", "discarded": "PT999999S"})
            await genesys.say("discarded", {"discarded": "-1"})
            await genesys.say("paused")
            await client.send(encode_mulaw(tone(0.1)))
            await genesys.say("resumed", {"start": "PT1S", "discarded": "PT0.1S"})
            await genesys.ask("ping")
            (call,) = desk.calls
            assert call.holds == [(Leg.CALLER, True), (Leg.CALLER, False)]
            pcm = call.pcm()
            assert not pcm[800:4800].any() and pcm[:800].any()
            assert 4800 <= len(pcm) < 8000 * 3
            figures = call.line.figures()[Leg.CALLER]
            assert figures.concealed == pytest.approx(len(pcm) / 8000 - 0.1)
            assert server.counters["audiohook_late_audio"] == 1
            assert server.counters["audiohook_bad_discarded"] == 1

    asyncio.run(main())


def changed(**fields: Any) -> dict[str, Any]:
    return {
        "version": "2", "type": "open", "id": SESSION, "seq": 1, "serverseq": 0,
        "position": "PT0S", "parameters": OPEN,
    } | fields  # fmt: skip


OTHER = {"organizationId": "x"}
SECOND = {"seq": 2, "serverseq": 1}


@pytest.mark.parametrize(
    ("messages", "counter", "code"),
    [
        ([b"\xff" * 160], "audiohook_early_audio", 1002),
        (["{"], "audiohook_bad_json", 1007),
        ([json.dumps({"a": "x" * 70_000})], "audiohook_too_long", 1009),
        ([changed(version="1")], "audiohook_malformed", 1002),
        ([changed(type=5)], "audiohook_malformed", 1002),
        ([changed(seq="1")], "audiohook_malformed", 1002),
        ([changed(seq=True)], "audiohook_malformed", 1002),
        ([changed(parameters=[])], "audiohook_malformed", 1002),
        ([changed(position="soon")], "audiohook_malformed", 1002),
        ([changed(id="x")], "audiohook_malformed", 1002),
        ([changed(parameters=OPEN | {"conversationId": "c"})], "audiohook_malformed", 1002),
        ([changed(seq=2)], "audiohook_bad_seq", 1002),
        ([changed(serverseq=1)], "audiohook_bad_seq", 1002),
        ([changed(), changed(type="ping")], "audiohook_bad_seq", 1002),
        ([changed(id=CONVERSATION)], "audiohook_wrong_session", 1002),
        ([changed(parameters=OPEN | OTHER)], "audiohook_wrong_organization", 1008),
        ([changed(parameters=OPEN | {"media": [AGENT]})], "audiohook_no_media", 1003),
        ([changed(parameters=OPEN | {"media": 5})], "audiohook_no_media", 1003),
        ([changed(), changed(**SECOND)], "audiohook_two_opens", 1002),
        ([changed(), b"\xff" * 161], "audiohook_bad_frame", 1007),
        ([changed(), b""], "audiohook_bad_frame", 1007),
    ],
)  # fmt: skip
def test_what_has_no_place_is_told_counted_and_ends_the_session(
    messages: list[Any], counter: str, code: int
) -> None:
    async def main() -> None:
        desk = Desk()
        async with (
            listening(desk, audiohook=OPENED) as server,
            dial(server, PATH, HEADERS) as client,
        ):
            for one in messages:
                await client.send(json.dumps(one) if isinstance(one, dict) else one)
            while (message := await told(client))["type"] == "opened":
                pass
            assert message["type"] == "disconnect"
            assert message["parameters"]["reason"] == ("unauthorized" if code == 1008 else "error")
            assert (await close_of(client))[0] == code
            assert server.counters[counter] == 1

    asyncio.run(main())


def test_a_call_that_is_refused_is_told_and_closed_with_1013() -> None:
    async def main() -> None:
        async with (
            listening(Desk(refuse=True), audiohook=OPENED) as server,
            dial(server, PATH, HEADERS) as client,
        ):
            answer = await Genesys(client).ask("open", OPEN)
            assert answer["parameters"] == {"reason": "error", "info": "at capacity"}
            assert await close_of(client) == (1013, "at capacity")

    asyncio.run(main())


def test_hanging_up_asks_genesys_to_close() -> None:
    async def main() -> None:
        desk = Desk()
        async with (
            listening(desk, audiohook=OPENED) as server,
            dial(server, PATH, HEADERS) as client,
        ):
            genesys = Genesys(client)
            await genesys.ask("open", OPEN)
            await desk.calls[0].line.hang_up("operator")
            assert (await told(client))["parameters"]["reason"] == "completed"
            genesys.serverseq += 1
            assert (await genesys.ask("close", {"reason": "disconnect"}))["type"] == "closed"
            assert desk.calls[0].reasons == ["operator"]

    asyncio.run(main())


def test_errors_digits_and_the_unknown_are_taken_calmly() -> None:
    async def main() -> None:
        desk = Desk()
        async with (
            listening(desk, audiohook=OPENED) as server,
            dial(server, PATH, HEADERS) as client,
        ):
            genesys = Genesys(client)
            await genesys.ask("open", OPEN)
            await genesys.say("error", {"code": 429, "message": "slow down"})
            await genesys.say("dtmf", {"digit": "7"})
            await genesys.say("invented")
            await genesys.ask("ping", position="PT50S")
            assert desk.calls[0].digits == [(Leg.CALLER, "7", 0.0)]
            for name in ("client_error", "unknown_message", "position"):
                assert server.counters[f"audiohook_{name}"] == 1

    asyncio.run(main())


def test_both_channels_are_chosen_before_one() -> None:
    assert choose([CALLER, BOTH]) == BOTH
    assert choose([AGENT, CALLER]) == CALLER
    assert choose([BOTH | {"rate": 16000}, BOTH | {"format": "L16"}, AGENT, {}, 5]) is None


@given(st.text(max_size=20))
def test_durations(text: str) -> None:
    assert seconds("PT1.5S") == 1.5 and seconds("PT0S") == 0.0
    got = seconds(text)
    assert got is None or got >= 0
    assert seconds(5) is None


def test_what_is_odd_but_harmless_is_counted() -> None:
    async def main() -> None:
        desk = Desk()
        async with (
            listening(desk, audiohook=OPENED) as server,
            dial(server, PATH, HEADERS) as client,
        ):
            genesys = Genesys(client)
            await genesys.ask("open", OPEN)
            await genesys.say("error", {"code": 500, "message": "x"})
            await genesys.say("dance")
            await genesys.say("discarded", {"discarded": "long"})
            await genesys.ask("ping", {}, position="PT60S")
            assert server.counters == {
                "audiohook_client_error": 1, "audiohook_unknown_message": 1,
                "audiohook_bad_discarded": 1, "audiohook_position": 1,
            }  # fmt: skip
            assert desk.calls[0].reasons == []

    asyncio.run(main())
