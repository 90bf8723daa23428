from __future__ import annotations

import asyncio
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from tests.telephony.fake_freeswitch import FakeFreeswitch, event_block
from tests.waiting import until
from voicebot.telephony.freeswitch.esl import (
    EslClient,
    EslError,
    EslParams,
    Headers,
    parse_headers,
)
from voicebot.telephony.line import LineError
from voicebot.telephony.pbx_connection import ConnectionState


def params(port: int, **keys: Any) -> EslParams:
    return EslParams(
        **{"port": port, "password": SecretStr("ClueCon"), "retry_seconds": 0.01, **keys}
    )


@pytest.mark.parametrize(
    "keys",
    [
        {"context": "a b"},
        {"sip_profile": "x;y"},
        {"password": SecretStr("hush\n\napi shutdown")},
        {"enabled": True, "password": SecretStr("")},
    ],
)
def test_wrong_parameters_are_refused_and_the_password_is_not_shown(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        EslParams(**{"password": SecretStr("hush-hush"), **keys})
    assert "hush" not in str(caught.value)


@given(st.text(), st.booleans())
def test_any_text_is_headers(text: str, decode: bool) -> None:
    for name in parse_headers(text, decode=decode):
        assert name == name.strip().lower()


def test_commands_are_answered_in_order() -> None:
    async def call() -> None:
        async with FakeFreeswitch() as switch:
            client = EslClient(params(switch.port))
            await client.start()
            await client.start()
            assert client.state == ConnectionState.UP
            assert switch.commands[:2] == [
                "auth ClueCon",
                "event plain CHANNEL_BRIDGE CHANNEL_HANGUP CHANNEL_EXECUTE_COMPLETE",
            ]
            answers = await asyncio.gather(
                *(client.api("status x"), client.api("uuid_x 1"), client.api("status x")),
                return_exceptions=True,
            )
            assert answers[0] == answers[2] == "UP"
            assert isinstance(answers[1], EslError) and "No such channel" in str(answers[1])
            with pytest.raises(ValueError, match="one line"):
                await client.api("status\n\napi shutdown")
            await client.close()
            await client.close()
            assert client.state.value == "closed"
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(call())


def test_events_are_decoded() -> None:
    async def call() -> None:
        heard: list[Headers] = []
        async with FakeFreeswitch() as switch:
            client = EslClient(params(switch.port))
            stop = client.listen(heard.append)
            await client.start()
            switch.send(b"\n\n" + event_block(Event_Name="CHANNEL_HANGUP", Caller="ä: b\n&c=%"))
            await until(lambda: heard)
            assert heard[0]["caller"] == "ä: b\n&c=%"
            stop()
            stop()
            await client.close()

    asyncio.run(call())


@pytest.mark.parametrize(
    ("greeting", "password", "mend"),
    [
        (b"Content-Type: auth/request\n\n", "wrong", "esl.password"),
        (
            b"Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n",
            "ClueCon",
            "apply-inbound-acl",
        ),
    ],
)
def test_who_is_turned_away_is_told_why(greeting: bytes, password: str, mend: str) -> None:
    async def call() -> None:
        async with FakeFreeswitch() as switch:
            switch.greeting = greeting
            client = EslClient(params(switch.port, password=SecretStr(password)))
            with pytest.raises(LineError, match=mend):
                await client.start()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(call())


def test_the_host_is_the_one_that_is_set() -> None:
    async def call() -> None:
        async with FakeFreeswitch() as switch:
            client = EslClient(params(switch.port, host="127.0.0.2"))
            await client.start()
            assert client.counters == {"esl_unreachable": 1}
            assert switch.connections == 0
            await client.close()

    asyncio.run(call())


def test_the_waits_are_those_that_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    waits, sleep = list[float](), asyncio.sleep

    async def noted(seconds: float) -> None:
        waits.append(seconds)
        await sleep(0)

    async def call() -> None:
        async with FakeFreeswitch() as switch:
            pass
        client = EslClient(params(switch.port, retry_seconds=2.0, most_retry_seconds=3.0))
        with monkeypatch.context() as patched:
            patched.setattr("voicebot.telephony.pbx_connection.asyncio.sleep", noted)
            await client.start()
            while len(waits) < 3:
                await sleep(0)
            await client.close()

    asyncio.run(call())
    for wait, full in zip(waits[:3], (2.0, 3.0, 3.0), strict=True):
        assert 0.75 * full <= wait <= full


def test_a_switch_that_is_down_is_waited_for() -> None:
    async def call() -> None:
        switch = FakeFreeswitch()
        async with switch:
            pass
        client = EslClient(params(switch.port))
        await client.start()
        assert client.state.value in ("waiting", "connecting")
        with pytest.raises(EslError, match="not connected"):
            await client.api("status x")
        async with switch:
            await until(lambda: client.state.value == "up")
            switch.cut()
            await until(lambda: switch.connections >= 2 and client.state.value == "up")
            assert client.counters["esl_lost"] == 1
        await client.close()

    asyncio.run(call())


def test_no_answer_costs_the_connection_for_answers_have_no_names() -> None:
    async def call() -> None:
        async with FakeFreeswitch() as switch:
            client = EslClient(params(switch.port, request_seconds=0.2))
            await client.start()
            switch.silent = True
            async with asyncio.timeout(3):
                with pytest.raises(EslError, match="in time"):
                    await client.api("status x")
            switch.silent = False
            await until(lambda: switch.connections == 2 and client.state.value == "up")
            assert await client.api("status x") == "UP"
            assert client.counters["esl_timeout"] == 1
            await client.close()

    asyncio.run(call())


@pytest.mark.parametrize(
    "data",
    [
        b"Content-Type: api/response\nContent-Length: 3\n\n+OK",
        b"Content-Type: text/event-plain\nContent-Length: -1\n\n",
        b"Content-Type: text/event-plain\nContent-Length: 99999999999\n\n",
        b"x" * 200_000,
    ],
)
def test_garbage_costs_the_connection_and_no_more(data: bytes) -> None:
    async def call() -> None:
        async with FakeFreeswitch() as switch:
            client = EslClient(params(switch.port))
            await client.start()
            switch.send(data)
            await until(lambda: switch.connections == 2 and client.state.value == "up")
            assert client.counters["esl_malformed"] == 1
            await client.close()

    asyncio.run(call())


def test_a_disconnect_notice_is_an_end() -> None:
    async def call() -> None:
        async with FakeFreeswitch() as switch:
            client = EslClient(params(switch.port))
            await client.start()
            switch.send(b"Content-Type: text/disconnect-notice\nContent-Length: 4\n\nBye\n")
            await until(lambda: switch.connections == 2 and client.state.value == "up")
            await client.close()

    asyncio.run(call())


def test_the_password_is_in_no_log() -> None:
    async def call() -> None:
        async with FakeFreeswitch("hush-hush") as switch:
            client = EslClient(
                params(switch.port, password=SecretStr("hush-hush"), request_seconds=0.1)
            )
            await client.start()
            switch.silent = True
            with pytest.raises(EslError):
                await client.api("status x")
            await client.close()

    with structlog.testing.capture_logs() as lines:
        asyncio.run(call())
    assert lines and "hush" not in str(lines)
