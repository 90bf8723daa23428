from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.telephony.receiving import Desk
from tests.telephony.ws_peers import (
    BEARER,
    BRIEFING,
    TOKEN,
    close_of,
    dial,
    listening,
    params,
    transfer_that,
)
from tests.waiting import until
from voicebot.telephony.line import Briefing, Transferred, TransferResult
from voicebot.telephony.websocket.fork import Controls
from voicebot.telephony.websocket.media_forks import media_forks
from voicebot.telephony.websocket.websocket_peer import Handshake, ProtocolFault

FORK = "/media/freeswitch?rate=8000&uuid=u-1"


def exchange(*results: TransferResult) -> tuple[Controls, list[tuple[str, str]], asyncio.Event]:
    """An exchange that hands over as told, each time after the event was set."""
    asked: list[tuple[str, str]] = []
    answers = list(results)
    go = asyncio.Event()

    async def answer(reference: str, target: str) -> TransferResult:
        asked.append((reference, target))
        await go.wait()
        return answers.pop(0)

    return Controls(transfer_that(answer), retry_seconds=0.1), asked, go


def test_a_transfer_that_works_ends_the_call_as_transferred() -> None:
    async def main() -> None:
        desk = Desk()
        controls, asked, go = exchange(TransferResult.DONE)
        go.set()
        async with listening(desk, controls) as server:
            async with dial(server, FORK, BEARER) as client:
                await client.send(bytes(320))
                await until(lambda: desk.calls)
                line = desk.calls[0].line
                end = await line.transfer("1001", BRIEFING)
                assert end.result is TransferResult.DONE and asked == [("u-1", "1001")]
                assert desk.calls[0].reasons == ["transferred"]
                assert await close_of(client) == (1000, "transferred")
            assert (await line.transfer("1001", BRIEFING)).result is TransferResult.GONE

    asyncio.run(main())


def test_a_connection_that_ends_while_a_transfer_runs_does_not_end_the_call() -> None:
    async def main() -> None:
        desk = Desk()
        controls, asked, go = exchange(TransferResult.BUSY, TransferResult.DONE)
        async with listening(desk, controls) as server:
            async with dial(server, FORK, BEARER) as client:
                await client.send(bytes(320))
                await until(lambda: desk.calls)
                call = desk.calls[0]
                first = asyncio.create_task(call.line.transfer("1001", BRIEFING))
                await until(lambda: asked)
            await until(lambda: server.connections == 0)
            assert not call.reasons
            go.set()
            assert (await first).result is TransferResult.BUSY
            assert not call.reasons  # the next target may be tried
            assert (await call.line.transfer("1002", BRIEFING)).result is TransferResult.DONE
            assert call.reasons == ["transferred"]
            await asyncio.sleep(0.15)
            assert call.reasons == ["transferred"]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("result", "at_once"), [(TransferResult.GONE, True), (TransferResult.NO_ANSWER, False)]
)
def test_a_failed_transfer_after_the_end_ends_the_call_when_nobody_tries_again(
    result: TransferResult, at_once: bool
) -> None:
    async def main() -> None:
        desk = Desk()
        controls, asked, go = exchange(result)
        async with listening(desk, controls) as server:
            async with dial(server, FORK, BEARER) as client:
                await client.send(bytes(320))
                await until(lambda: desk.calls)
                call = desk.calls[0]
                running = asyncio.create_task(call.line.transfer("1001", BRIEFING))
                await until(lambda: asked)
            await until(lambda: server.connections == 0)
            go.set()
            await running
            assert bool(call.reasons) is at_once
            await until(lambda: call.reasons == ["hangup"])

    asyncio.run(main())


def test_a_failed_transfer_with_the_connection_alive_changes_nothing() -> None:
    async def main() -> None:
        desk = Desk()
        controls, _, go = exchange(TransferResult.DECLINED)
        go.set()
        async with listening(desk, controls) as server, dial(server, FORK, BEARER) as client:
            await client.send(bytes(320))
            await until(lambda: desk.calls)
            await desk.calls[0].line.transfer("1001", BRIEFING)
            await client.send(bytes(320))
            await until(lambda: len(desk.calls[0].pcm()) == 320)
            assert not desk.calls[0].reasons

    asyncio.run(main())


def test_closing_ends_a_call_that_waits_for_its_transfer() -> None:
    async def main() -> None:
        desk = Desk()
        controls, asked, _ = exchange(TransferResult.DONE)
        async with listening(desk, controls) as server:
            async with dial(server, FORK, BEARER) as client:
                await client.send(bytes(320))
                await until(lambda: desk.calls)
                running = asyncio.create_task(desk.calls[0].line.transfer("1001", BRIEFING))
                await until(lambda: asked)
            await until(lambda: server.connections == 0)
            await server.close()
            assert desk.calls[0].reasons == ["shutdown"]
            running.cancel()

    asyncio.run(main())


def test_a_transfer_that_breaks_lets_the_call_end() -> None:
    async def main() -> None:
        desk = Desk()
        begun = asyncio.Event()

        async def transfer(reference: str, target: str, briefing: Briefing) -> Transferred:
            begun.set()
            await asyncio.sleep(60)
            raise AssertionError

        async with listening(desk, Controls(transfer, retry_seconds=0.05)) as server:
            async with dial(server, FORK, BEARER) as client:
                await client.send(bytes(320))
                await until(lambda: desk.calls)
                running = asyncio.create_task(desk.calls[0].line.transfer("1001", BRIEFING))
                await begun.wait()
            await until(lambda: server.connections == 0)
            running.cancel()
            await until(lambda: desk.calls[0].reasons == ["hangup"])

    asyncio.run(main())


def test_hanging_up_reaches_the_exchange() -> None:
    async def main() -> None:
        desk, hung = Desk(), list[str]()

        async def hang_up(reference: str) -> None:
            hung.append(reference)

        controls = Controls(hang_up=hang_up, unsupported="set it up")
        async with listening(desk, controls) as server, dial(server, FORK, BEARER) as client:
            await client.send(bytes(320))
            await until(lambda: desk.calls)
            line = desk.calls[0].line
            end = await line.transfer("1001", BRIEFING)
            assert end == Transferred(TransferResult.UNSUPPORTED, "set it up")
            await line.hang_up("operator")
            await line.hang_up("operator")
            assert hung == ["u-1"] and desk.calls[0].reasons == ["operator"]

    asyncio.run(main())


def test_a_call_that_the_exchange_did_not_name_cannot_be_transferred() -> None:
    async def main() -> None:
        desk = Desk()
        controls, asked, _ = exchange(TransferResult.DONE)
        target = "/media/freeswitch?rate=8000"
        async with listening(desk, controls) as server, dial(server, target, BEARER) as client:
            await client.send(bytes(320))
            await until(lambda: desk.calls)
            end = await desk.calls[0].line.transfer("1001", BRIEFING)
            assert end.result is TransferResult.UNSUPPORTED and not asked

    asyncio.run(main())


def test_a_defect_of_an_ear_ends_that_call_alone() -> None:
    async def main() -> None:
        desk = Desk()
        async with listening(desk) as server:
            async with dial(server, FORK, BEARER) as bad, dial(server, FORK, BEARER) as good:
                await bad.send(bytes(320))
                await until(lambda: desk.calls)
                desk.calls[0].audio_of = None  # type: ignore[assignment]
                await good.send(bytes(320))
                await bad.send(bytes(320))
                assert await close_of(bad) == (1011, "internal error")
                await good.send(bytes(320))
                await until(lambda: len(desk.calls[1].pcm()) == 320)
            assert desk.calls[0].reasons == ["line_error"]
            assert server.counters["websocket_defect"] == 1

    asyncio.run(main())


class Deaf:
    """A connection to nobody, for sessions that are fed by hand."""

    def __init__(self, headers: dict[str, str]) -> None:
        query = {"rate": "8000"} if "rate" in headers else {}
        self.handshake = Handshake("/", "/", query, headers, "192.0.2.1:5")

    async def send(self, message: str | bytes) -> None:
        pass

    async def close(self, code: int = 1000, reason: str = "") -> None:
        pass


NAMES = [
    "event", "start", "media", "dtmf", "mark", "stop", "streamSid", "callSid", "tracks", "track",
    "payload", "timestamp", "sequenceNumber", "customParameters", "mediaFormat", "encoding",
    "sampleRate", "channels", "inbound", "outbound", "audio/x-mulaw", "name", "digit", "duration",
    "mixType", "stereo", "mono", "rate", "mix", "uuid", "type", "data", "id", "playback",
    "version", "seq", "serverseq", "position", "parameters", "open", "opened", "close", "ping",
    "discarded", "paused", "resumed", "organizationId", "conversationId", "participant", "PT1S",
    "2", "0", "1", "8000", "f39/", "00000000-0000-0000-0000-000000000000", "audio", "PCMU",
]  # fmt: skip
LEAF = st.sampled_from([*NAMES, None, True, 0, 1, 2, 3, 8000, -1, 1e300, 10**30, "", "\u00e9"])
VALUE = st.recursive(
    LEAF,
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.sampled_from(NAMES), v, max_size=6),
    max_leaves=12,
)
MESSAGE = st.dictionaries(st.sampled_from(NAMES), VALUE, max_size=8) | VALUE | st.binary(max_size=9)
STARTS: dict[str, list[dict[str, Any]]] = {
    "twilio": [{
        "event": "start", "start": {
            "streamSid": "M", "callSid": "C", "tracks": ["inbound", "outbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        },
    }],
    "freeswitch": [{"rate": 8000, "mix": "stereo"}],
    "jambonz": [{"sampleRate": 8000, "mixType": "stereo", "callSid": "c"}],
    "audiohook": [{
        "version": "2", "type": "open", "id": "00000000-0000-0000-0000-000000000001", "seq": 1,
        "serverseq": 0, "position": "PT0S", "parameters": {
            "organizationId": "o", "conversationId": "00000000-0000-0000-0000-000000000001",
            "media": [{"type": "audio", "format": "PCMU", "rate": 8000, "channels": ["external"]}],
        },
    }],
}  # fmt: skip


@pytest.mark.parametrize("fork", range(4))
@settings(max_examples=30, deadline=None)
@given(st.booleans(), st.lists(MESSAGE, max_size=6))
def test_no_message_breaks_a_session(fork: int, begin: bool, messages: list[Any]) -> None:
    async def main() -> None:
        desk = Desk()
        server = media_forks(params(), desk)
        headers = {"audiohook-organization-id": "o", "authorization": f"Bearer {TOKEN}"}
        session = server._endpoints[fork].open(Deaf(headers))  # type: ignore[arg-type]
        opening = STARTS[list(STARTS)[fork]] if begin else []
        try:
            for message in [*opening, *messages]:
                if isinstance(message, bytes):
                    await session.binary(message)
                else:
                    await session.text(json.dumps(message))
        except ProtocolFault as fault:
            assert 1000 < fault.code < 1015 and 0 < len(fault.reason) < 120
        assert bool(desk.calls) or not begin
        session.ended("line_lost")
        session.ended("hangup")
        assert all(len(call.reasons) == 1 for call in desk.calls)

    asyncio.run(main())
