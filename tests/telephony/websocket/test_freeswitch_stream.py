from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import numpy as np
import pytest

from tests.telephony.receiving import Desk, tone
from tests.telephony.ws_peers import BEARER, TOKEN, close_of, dial, listening, tell, told
from tests.waiting import until
from voicebot.events import Leg

PATH = "/media/freeswitch"


def test_stereo_with_metadata_is_a_call_of_two_legs_however_messages_are_cut() -> None:
    async def main() -> None:
        desk = Desk()
        caller, agent = tone(0.2, 16000), tone(0.2, 16000, 700)
        data = np.column_stack((caller, agent)).astype("<i2").tobytes()
        async with listening(desk) as server, dial(server, PATH, BEARER) as client:
            await tell(
                client, uuid="u-7", rate=16000, mix="stereo", called="100", caller="0123", queue="q"
            )
            for at in range(0, len(data), 333):  # odd: samples and pairs are torn apart
                await client.send(data[at : at + 333])
            await until(lambda: desk.calls and len(desk.calls[0].pcm(Leg.AGENT)) == len(agent))
        (call,) = desk.calls
        assert call.offer.reference == "u-7" and call.offer.rate == 16000
        assert (call.offer.called, call.offer.caller) == ("100", "0123")
        assert call.offer.parameters == {"queue": "q"}
        np.testing.assert_array_equal(call.pcm(), caller)
        np.testing.assert_array_equal(call.pcm(Leg.AGENT), agent)

    asyncio.run(main())


@pytest.mark.parametrize("rate", ["8000", "8k", "16k"])
def test_the_url_says_enough_without_metadata(rate: str) -> None:
    async def main() -> None:
        desk = Desk()
        target = f"{PATH}?uuid=u-8&rate={rate}&called=100&token=not-passed-on"
        async with listening(desk) as server, dial(server, target, BEARER) as client:
            await client.send(tone(0.02).tobytes())
            await until(lambda: desk.calls)
            offer = desk.calls[0].offer
            assert offer.rate == {"8": 8000, "1": 16000}[rate[0]]
            assert offer.legs == (Leg.CALLER,) and offer.called == "100"
            assert offer.parameters == {}

    asyncio.run(main())


@pytest.mark.parametrize(
    ("target", "first", "counter", "code"),
    [
        (PATH, bytes(320), "freeswitch_bad_rate", 1003),
        (f"{PATH}?rate=44100", bytes(320), "freeswitch_bad_rate", 1003),
        (PATH, '{"rate": 48000}', "freeswitch_bad_rate", 1003),
        (f"{PATH}?rate=8000&mix=surround", bytes(320), "freeswitch_bad_mix", 1003),
        (f"{PATH}?rate=8000&playback=loud", bytes(320), "freeswitch_bad_playback", 1003),
        (f"{PATH}?rate=8000", "{'caller':'1000'}", "freeswitch_bad_json", 1007),
    ],
)
def test_what_cannot_begin_a_call_is_refused_with_the_reason(
    target: str, first: Any, counter: str, code: int
) -> None:
    async def main() -> None:
        desk = Desk()
        async with listening(desk) as server, dial(server, target, BEARER) as client:
            await client.send(first)
            got, reason = await close_of(client)
            assert got == code and reason
            assert server.counters[counter] == 1
            assert not desk.calls

    asyncio.run(main())


def test_texts_later_on_are_digits_or_nothing() -> None:
    async def main() -> None:
        desk = Desk()
        target = f"{PATH}?rate=8000&uuid=u"
        async with listening(desk) as server, dial(server, target, BEARER) as client:
            await client.send(bytes(320))
            await client.send("hello")
            await tell(client, event="dtmf", digit="#")
            await tell(client, note="anything")
            await client.send(bytes(320))
            await until(lambda: desk.calls and len(desk.calls[0].pcm()) == 320)
            assert desk.calls[0].digits == [(Leg.CALLER, "#", 0.0)]
            assert server.counters["freeswitch_bad_json"] == 1

    asyncio.run(main())


def test_prompts_go_back_in_the_way_that_is_asked_for() -> None:
    async def main() -> None:
        desk = Desk()
        pcm = tone(0.25)
        async with listening(desk) as server:
            for playback in ("none", "stream_audio", "play_audio", "binary"):
                target = f"{PATH}?rate=8000&uuid=u&playback={playback}"
                async with dial(server, target, BEARER) as client:
                    await client.send(bytes(320))
                    await until(lambda: desk.calls)
                    line = desk.calls.pop().line
                    assert line.can_speak is (playback != "none")
                    begun = asyncio.get_running_loop().time()
                    await line.play(pcm)
                    took = asyncio.get_running_loop().time() - begun
                    assert took < 0.2 if playback == "none" else 0.2 < took < 1.5
                    got = b""
                    while playback != "none" and len(got) < 2 * len(pcm):
                        message = await client.recv()
                        if isinstance(message, bytes):
                            got += message
                            continue
                        fields = json.loads(message)
                        data = fields["data"]
                        assert data["sampleRate"] == 8000
                        if playback == "stream_audio":
                            assert (fields["type"], data["audioDataType"]) == ("streamAudio", "raw")
                            got += base64.b64decode(data["audioData"])
                        else:
                            assert (fields["type"], data["audioContentType"]) == (
                                "playAudio",
                                "raw",
                            )
                            got += base64.b64decode(data["audioContent"])
                    assert got == (pcm.tobytes() if playback != "none" else b"")

    asyncio.run(main())


def test_where_the_url_does_not_say_how_the_setting_does() -> None:
    async def main() -> None:
        desk = Desk()
        section = {"tokens": [TOKEN], "playback": "binary"}
        async with (
            listening(desk, freeswitch=section) as server,
            dial(server, f"{PATH}?rate=8000&uuid=u", BEARER) as client,
        ):
            await client.send(bytes(320))
            await until(lambda: desk.calls)
            assert desk.calls[0].line.can_speak
            await desk.calls[0].line.play(tone(0.02))
            assert await client.recv() == tone(0.02).tobytes()

    asyncio.run(main())


def test_a_cancelled_prompt_of_mod_audio_fork_is_killed() -> None:
    async def main() -> None:
        desk = Desk()
        target = f"{PATH}?rate=8000&uuid=u&playback=play_audio"
        async with listening(desk) as server, dial(server, target, BEARER) as client:
            await client.send(bytes(320))
            await until(lambda: desk.calls)
            playing = asyncio.create_task(desk.calls[0].line.play(tone(3)))
            assert (await told(client))["type"] == "playAudio"
            playing.cancel()
            assert await told(client) == {"type": "killAudio"}

    asyncio.run(main())
