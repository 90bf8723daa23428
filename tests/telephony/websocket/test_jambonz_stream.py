from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection

from tests.telephony.receiving import Desk, tone
from tests.telephony.ws_peers import BEARER, BRIEFING, close_of, dial, listening, tell, told
from tests.waiting import until
from voicebot.events import Leg
from voicebot.telephony.line import TransferResult

PATH = "/media/jambonz"
CALL: dict[str, Any] = {
    "sampleRate": 8000, "mixType": "mono", "callSid": "c-1", "direction": "inbound",
    "from": "+15550199", "to": "+15550100", "callId": "x@y", "sipStatus": 200,
    "accountSid": "acc", "customerData": {"a": 1},
}  # fmt: skip


def test_a_stereo_stream_is_a_call_of_two_legs() -> None:
    async def main() -> None:
        desk = Desk()
        caller, agent = tone(0.2, 16000), tone(0.2, 16000, 700)
        data = np.column_stack((caller, agent)).astype("<i2").tobytes()
        async with listening(desk) as server, dial(server, PATH, BEARER) as client:
            await tell(client, **CALL | {"sampleRate": 16000, "mixType": "stereo", "queue": "vip"})
            for at in range(0, len(data), 1281):
                await client.send(data[at : at + 1281])
            await until(lambda: desk.calls and len(desk.calls[0].pcm(Leg.AGENT)) == len(agent))
        (call,) = desk.calls
        assert (call.offer.gateway, call.offer.reference, call.offer.rate) == (
            "jambonz", "c-1", 16000,
        )  # fmt: skip
        assert (call.offer.called, call.offer.caller) == ("+15550100", "+15550199")
        assert call.offer.parameters["queue"] == "vip"
        assert "+15550199" not in call.offer.parameters.values()
        np.testing.assert_array_equal(call.pcm(), caller)
        np.testing.assert_array_equal(call.pcm(Leg.AGENT), agent)

    asyncio.run(main())


def test_digits_come_with_their_duration() -> None:
    async def main() -> None:
        desk = Desk()
        async with listening(desk) as server, dial(server, PATH, BEARER) as client:
            await tell(client, **CALL)
            await tell(client, event="dtmf", dtmf="2", duration="1600")
            await tell(client, event="dtmf", dtmf="*")
            await tell(client, event="dtmf", dtmf="99", duration="x")
            await tell(client, event="unheard-of")
            await until(lambda: server.counters["jambonz_unknown_message"])
            assert desk.calls[0].digits == [(Leg.CALLER, "2", 0.2), (Leg.CALLER, "*", 0.0)]
            assert server.counters["jambonz_bad_digit"] == 1

    asyncio.run(main())


@pytest.mark.parametrize(
    ("messages", "counter", "code"),
    [
        ([bytes(320)], "jambonz_no_start", 1002),
        (["nonsense"], "jambonz_bad_json", 1007),
        ([CALL | {"sampleRate": 24000}], "jambonz_bad_rate", 1003),
        ([CALL | {"sampleRate": None}], "jambonz_bad_rate", 1003),
        ([CALL | {"mixType": "both"}], "jambonz_bad_mix", 1003),
        ([CALL | {"callSid": ""}], "jambonz_bad_start", 1002),
        ([CALL | {"playback": "loud"}], "jambonz_bad_playback", 1003),
        ([CALL, CALL], "jambonz_two_starts", 1002),
        ([CALL, "text where audio is due"], "jambonz_bad_json", 1007),
    ],
)
def test_what_has_no_place_ends_the_stream_and_is_counted(
    messages: list[Any], counter: str, code: int
) -> None:
    async def main() -> None:
        desk = Desk()
        async with listening(desk) as server, dial(server, PATH, BEARER) as client:
            for one in messages:
                await client.send(json.dumps(one) if isinstance(one, dict) else one)
            got, reason = await close_of(client)
            assert got == code and reason
            assert server.counters[counter] == 1

    asyncio.run(main())


async def until_mark(client: ClientConnection) -> tuple[bytes, str]:
    """The audio before a mark, and its name."""
    audio = b""
    while True:
        message = await client.recv()
        if isinstance(message, str):
            fields = json.loads(message)
            assert fields["type"] == "mark"
            return audio, str(fields["data"]["name"])
        audio += message


def test_a_streamed_prompt_is_over_when_its_mark_was_played() -> None:
    async def main() -> None:
        desk = Desk()
        pcm = tone(0.6)
        async with listening(desk) as server, dial(server, PATH, BEARER) as client:
            await tell(client, **CALL | {"playback": "streaming"})
            await until(lambda: desk.calls)
            line = desk.calls[0].line
            assert line.can_speak
            playing = asyncio.create_task(line.play(pcm))
            audio, name = await until_mark(client)
            assert audio == pcm.tobytes()
            assert await client.recv() == bytes(320)  # carries the mark
            await tell(client, type="mark", data={"name": "another", "event": "playout"})
            await asyncio.sleep(0.02)
            assert not playing.done()
            await tell(client, type="mark", data={"name": name, "event": "playout"})
            await playing

    asyncio.run(main())


def test_a_whole_prompt_is_over_when_jambonz_says_so_and_killed_when_cancelled() -> None:
    async def main() -> None:
        desk = Desk()
        pcm = tone(0.3)
        jambonz = {"tokens": ["correct-horse-battery"], "playback": "file"}
        async with (
            listening(desk, jambonz=jambonz) as server,
            dial(server, PATH, BEARER) as client,
        ):
            await tell(client, **CALL)
            await until(lambda: desk.calls)
            line = desk.calls[0].line
            playing = asyncio.create_task(line.play(pcm))
            data = (await told(client))["data"]
            assert base64.b64decode(data["audioContent"]) == pcm.tobytes()
            assert (data["audioContentType"], data["sampleRate"]) == ("raw", 8000)
            assert not playing.done()
            await tell(client, type="playDone", data={"id": data["id"]})
            await playing
            playing = asyncio.create_task(line.play(pcm))
            assert (await told(client))["type"] == "playAudio"
            playing.cancel()
            assert await told(client) == {"type": "killAudio"}

    asyncio.run(main())


def test_hanging_up_ends_the_verb_and_without_rest_there_is_no_transfer() -> None:
    async def main() -> None:
        desk = Desk()
        async with listening(desk) as server, dial(server, PATH, BEARER) as client:
            await tell(client, **CALL)
            await until(lambda: desk.calls)
            line = desk.calls[0].line
            assert not line.can_speak
            end = await line.transfer("+1", BRIEFING)
            assert end.result is TransferResult.UNSUPPORTED
            assert "websocket.jambonz.rest" in end.detail
            await line.hang_up("operator")
            assert await told(client) == {"type": "disconnect"}
            assert await close_of(client) == (1000, "operator")

    asyncio.run(main())
