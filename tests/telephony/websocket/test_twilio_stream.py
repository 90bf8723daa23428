from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import numpy as np
import pytest
import structlog
from websockets.asyncio.client import ClientConnection

from tests.telephony.receiving import Desk, tone
from tests.telephony.ws_peers import (
    BRIEFING,
    TOKEN,
    close_of,
    dial,
    listening,
    status_of,
    tell,
    told,
)
from tests.waiting import until
from voicebot.audio.g711 import decode_mulaw, encode_mulaw
from voicebot.events import Leg, Pcm
from voicebot.telephony.line import TransferResult
from voicebot.telephony.websocket.twilio_signature import sign

PATH = f"/media/twilio/{TOKEN}"
FORMAT = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}


async def start(
    client: ClientConnection, tracks: tuple[str, ...] = ("inbound",), **custom: str
) -> None:
    await tell(client, event="connected", protocol="Call", version="1.0.0")
    await tell(
        client, event="start", sequenceNumber="1", streamSid="MZ1",
        start={
            "streamSid": "MZ1", "accountSid": "AC1", "callSid": "CA1", "tracks": list(tracks),
            "mediaFormat": FORMAT, "customParameters": custom,
        },
    )  # fmt: skip


def media(number: int, pcm: Pcm, at_ms: int, track: str = "inbound") -> str:
    return json.dumps(
        {
            "event": "media", "sequenceNumber": str(number), "streamSid": "MZ1",
            "media": {
                "track": track, "chunk": str(number), "timestamp": str(at_ms),
                "payload": base64.b64encode(encode_mulaw(pcm)).decode(),
            },
        }
    )  # fmt: skip


def test_a_stream_of_both_tracks_is_a_call_of_two_legs() -> None:
    async def main() -> None:
        desk = Desk()
        caller, agent = tone(0.4), tone(0.4, hertz=700)
        async with listening(desk) as server, dial(server, PATH) as client:
            await start(
                client, ("inbound", "outbound"), called="+15550100", caller="+15550199", queue="vip"
            )
            for i in range(20):
                piece = slice(160 * i, 160 * i + 160)
                await client.send(media(2 * i + 2, caller[piece], 20 * i))
                await client.send(media(2 * i + 3, agent[piece], 20 * i, "outbound"))
            await tell(client, event="stop", sequenceNumber="50", stop={"callSid": "CA1"})
            await until(lambda: desk.calls and desk.calls[0].reasons)
        (call,) = desk.calls
        assert call.offer.gateway == "twilio" and call.offer.reference == "CA1"
        assert call.offer.legs == (Leg.CALLER, Leg.AGENT) and call.offer.rate == 8000
        assert (call.offer.called, call.offer.caller) == ("+15550100", "+15550199")
        assert call.offer.parameters == {"queue": "vip"}
        assert call.reasons == ["hangup"]
        np.testing.assert_array_equal(call.pcm(), decode_mulaw(encode_mulaw(caller)))
        np.testing.assert_array_equal(call.pcm(Leg.AGENT), decode_mulaw(encode_mulaw(agent)))
        assert not call.line.can_speak

    asyncio.run(main())


def test_a_gap_by_the_timestamps_is_filled_and_counted_and_repeats_are_dropped() -> None:
    async def main() -> None:
        desk = Desk()
        pcm = tone(0.02)
        async with listening(desk) as server, dial(server, PATH) as client:
            await start(client)
            await client.send(media(2, pcm, 0))
            await client.send(media(3, pcm, 20))
            await client.send(media(3, pcm, 20))  # repeated
            await client.send(media(8, pcm, 140))  # 100 ms are missing
            await client.send(media(5, pcm, 60))  # late: its place was filled
            await until(lambda: len(desk.calls[0].pcm()) == 160 * 8 if desk.calls else False)
            (call,) = desk.calls
            silent = call.pcm()[320 : 320 + 800]
            assert not silent.any() and call.pcm()[:320].any()
            figures = call.line.figures()[Leg.CALLER]
            assert (figures.packets, figures.lost, figures.duplicates) == (3, 5, 2)
            assert figures.concealed == pytest.approx(0.1)
            assert server.counters["twilio_out_of_order"] == 2

    asyncio.run(main())


def test_timestamps_that_lie_do_not_make_hours_of_audio() -> None:
    async def main() -> None:
        desk = Desk()
        async with listening(desk) as server, dial(server, PATH) as client:
            await start(client)
            for i in range(50):
                await client.send(media(2 + i, tone(0.02), 10_000_000 * i))
            await tell(client, event="stop", sequenceNumber="100")
            await until(lambda: desk.calls and desk.calls[0].reasons)
            assert len(desk.calls[0].pcm()) < 8000 * 5

    asyncio.run(main())


def test_a_prompt_is_sent_at_the_pace_of_speech_and_over_when_the_mark_is_back() -> None:
    async def main() -> None:
        desk = Desk()
        pcm = tone(0.7)
        async with listening(desk) as server, dial(server, PATH) as client:
            await start(client, speak="yes")
            await until(lambda: desk.calls)
            line = desk.calls[0].line
            assert line.can_speak
            begun = asyncio.get_running_loop().time()
            playing = asyncio.create_task(line.play(pcm))
            sent = b""
            while True:
                message = await told(client)
                if message["event"] == "mark":
                    break
                assert message["streamSid"] == "MZ1"
                sent += base64.b64decode(message["media"]["payload"])
            assert asyncio.get_running_loop().time() - begun > 0.15  # 0.7 s, 0.4 s ahead
            assert sent == encode_mulaw(pcm)
            assert not playing.done()
            await tell(client, event="mark", sequenceNumber="9", mark=message["mark"])
            await playing

    asyncio.run(main())


def test_a_cancelled_prompt_is_cleared_and_the_next_one_still_plays() -> None:
    async def main() -> None:
        desk = Desk()
        async with listening(desk) as server, dial(server, PATH) as client:
            await start(client, speak="1")
            await until(lambda: desk.calls)
            line = desk.calls[0].line
            playing = asyncio.create_task(line.play(tone(5)))
            assert (await told(client))["event"] == "media"
            playing.cancel()
            while (message := await told(client))["event"] == "media":
                pass
            assert message == {"event": "clear", "streamSid": "MZ1"}
            again = asyncio.create_task(line.play(tone(0.1)))
            assert [(await told(client))["event"] for _ in range(2)] == ["media", "mark"]
            await client.close()  # nobody waits for a mark that cannot come
            async with asyncio.timeout(2):
                await again

    asyncio.run(main())


def test_digits_are_told_and_other_things_counted() -> None:
    async def main() -> None:
        desk = Desk()
        async with listening(desk) as server, dial(server, PATH) as client:
            await start(client)
            for i, dtmf in enumerate([{"digit": "5"}, {"digit": "55"}, {"digit": 5}, None]):
                await tell(client, event="dtmf", sequenceNumber=str(2 + i), dtmf=dtmf)
            await tell(client, event="invented", sequenceNumber="9")
            await until(lambda: server.counters["twilio_unknown_event"] == 1)
            assert desk.calls[0].digits == [(Leg.CALLER, "5", 0.0)]
            assert server.counters["twilio_bad_digit"] == 3

    asyncio.run(main())


MEDIA = {"track": "inbound", "payload": "f39/", "timestamp": "0"}
START: dict[str, Any] = {
    "streamSid": "MZ1", "callSid": "CA1", "tracks": ["inbound"], "mediaFormat": FORMAT,
}  # fmt: skip

STARTED = {"event": "start", "start": START}


@pytest.mark.parametrize(
    ("messages", "counter", "code"),
    [
        ([b"\0\1"], "twilio_binary", 1003),
        (["{"], "twilio_bad_json", 1007),
        (["[]"], "twilio_bad_json", 1007),
        (["[" * 100_000], "twilio_bad_json", 1007),
        ([{"event": "media", "media": MEDIA}], "twilio_no_start", 1002),
        ([{"event": "start"}], "twilio_bad_start", 1002),
        ([{"event": "start", "start": START | {"callSid": ""}}], "twilio_bad_start", 1002),
        ([{"event": "start", "start": START | {"tracks": "inbound"}}], "twilio_bad_start", 1002),
        (
            [{"event": "start", "start": START | {"mediaFormat": FORMAT | {"sampleRate": 16000}}}],
            "twilio_bad_format", 1003,
        ),
        ([{"event": "start", "start": START}] * 2, "twilio_two_starts", 1002),
        (
            [STARTED, {"event": "media", "media": MEDIA | {"payload": "?"}}],
            "twilio_bad_base64", 1007,
        ),
        (
            [STARTED, {"event": "media", "media": MEDIA | {"payload": 7}}],
            "twilio_bad_base64", 1007,
        ),
        ([{"event": "start", "start": START}, {"event": "media"}], "twilio_bad_media", 1007),
    ],
)  # fmt: skip
def test_what_has_no_place_ends_the_stream_and_is_counted(
    messages: list[Any], counter: str, code: int
) -> None:
    async def main() -> None:
        desk = Desk()
        async with listening(desk) as server, dial(server, PATH) as client:
            for one in messages:
                await client.send(json.dumps(one) if isinstance(one, dict) else one)
            assert (await close_of(client))[0] == code
            assert server.counters[counter] == 1
            assert all(call.reasons == ["line_error"] for call in desk.calls)

    asyncio.run(main())


def test_a_token_may_come_with_start_and_must_be_right() -> None:
    async def main() -> None:
        desk = Desk()
        async with listening(desk) as server:
            async with dial(server, "/media/twilio") as client:
                await start(client, token=TOKEN, queue="vip")
                await until(lambda: desk.calls)
            assert desk.calls[0].offer.parameters == {"queue": "vip"}
            for token in (TOKEN + "x", ""):
                async with dial(server, "/media/twilio") as client:
                    await start(client, token=token)
                    await client.send(media(2, tone(0.02), 0))
                    assert await close_of(client) == (1008, "wrong or missing token")
            assert server.counters["twilio_unauthorized"] == 2
            assert await status_of(server, "/media/twilio/wrong", {}) == 401
            assert len(desk.calls) == 1

    asyncio.run(main())


def test_a_signature_suffices_and_without_tokens_it_is_needed() -> None:
    async def main() -> None:
        desk = Desk()
        twilio = {"auth_token": "0123456789abcdef"}
        url = "wss://voice.example.com"
        async with listening(desk, twilio=twilio, public_url=url) as server:
            good = {"X-Twilio-Signature": sign("0123456789abcdef", f"{url}/media/twilio")}
            bad = {"X-Twilio-Signature": sign("another", f"{url}/media/twilio")}
            assert await status_of(server, "/media/twilio", bad) == 401
            assert await status_of(server, "/media/twilio", {}) == 401
            async with dial(server, "/media/twilio", good) as client:
                await start(client)
                await until(lambda: desk.calls)

    asyncio.run(main())


def test_without_rest_there_is_no_transfer_and_it_says_what_to_set() -> None:
    async def main() -> None:
        desk = Desk()
        async with listening(desk) as server, dial(server, PATH) as client:
            await start(client)
            await until(lambda: desk.calls)
            end = await desk.calls[0].line.transfer("+15550100", BRIEFING)
            assert end.result is TransferResult.UNSUPPORTED
            assert "websocket.twilio.rest.account_sid" in end.detail
            await desk.calls[0].line.hang_up("operator")
            assert desk.calls[0].reasons == ["operator"]
            assert await close_of(client) == (1000, "operator")

    asyncio.run(main())


def test_a_token_in_the_path_reaches_no_log() -> None:
    async def main() -> None:
        desk = Desk()
        with structlog.testing.capture_logs() as lines:
            async with listening(desk, start_seconds=0.2, max_message_bytes=4096) as server:
                async with dial(server, PATH) as client:
                    await client.send(b"audio")
                    assert (await close_of(client))[0] == 1003
                async with dial(server, PATH) as client:
                    await client.send("x" * 5000)
                    assert (await close_of(client))[0] == 1009
                async with dial(server, PATH) as client:
                    assert (await close_of(client))[0] == 1008
            assert {"twilio_binary", "websocket_too_big", "websocket_idle"} <= {
                line["event"] for line in lines if line.get("path") == "/media/twilio"
            }
            assert TOKEN not in str(lines)

    asyncio.run(main())


def test_a_track_that_was_not_announced_is_dropped_and_counted() -> None:
    async def main() -> None:
        desk = Desk()
        async with listening(desk) as server, dial(server, PATH) as client:
            await start(client)
            await client.send(media(2, tone(0.02), 0, "outbound"))
            await client.send(media(3, tone(0.02), 0, "sideways"))
            await client.send(media(4, tone(0.02), 0))
            await until(lambda: desk.calls and len(desk.calls[0].pcm()) == 160)
            assert server.counters["twilio_unknown_track"] == 2

    asyncio.run(main())
