from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
import structlog
from pydantic import SecretStr, ValidationError

from tests.telephony.fake_asterisk import FakeAsterisk
from tests.waiting import until
from voicebot.telephony.asterisk.ari import (
    AriClient,
    AriError,
    AriParams,
    Message,
    number_of,
    text_of,
)
from voicebot.telephony.line import LineError
from voicebot.telephony.pbx_connection import ConnectionState


def params(url: str, **keys: Any) -> AriParams:
    return AriParams(**{"url": url, "password": SecretStr("secret"), "retry_seconds": 0.01, **keys})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    "keys",
    [
        {"url": "ftp://x"},
        {"url": "http://u:p@x"},
        {"url": "http://x:99999"},
        {"app": "a b"},
        {"app": ""},
        {"enabled": True, "password": SecretStr("")},
        {"codec": "opus"},
    ],
)
def test_wrong_parameters_are_refused_and_the_password_is_not_shown(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        AriParams(**{"password": SecretStr("hush-hush"), **keys})
    assert "hush" not in str(caught.value)
    assert "hush" not in repr(AriParams(password=SecretStr("hush-hush")))


def test_events_come_in_order_and_garbage_is_dropped() -> None:
    async def call() -> None:
        heard: list[Message] = []
        async with FakeAsterisk() as asterisk:
            client = AriClient(params(asterisk.url))
            stop = client.listen(heard.append)
            await client.start()
            await client.start()
            for text in ("nonsense", "[]", '{"type": 5}', "[" * 5000, '{"type":"A"}'):
                asterisk.send(text)
            asterisk.send('{"type":"B"}')
            await until(lambda: len(heard) == 2)
            assert [message["type"] for message in heard] == ["A", "B"]
            assert client.counters == {"ari_malformed": 4}
            stop()
            stop()
            asterisk.send('{"type":"C"}')
            await asyncio.sleep(0.02)
            assert len(heard) == 2
            await client.close()
            await client.close()
            assert client.state == ConnectionState.CLOSED
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(call())


def test_a_listener_that_fails_costs_neither_the_connection_nor_the_other_listeners() -> None:
    def fails(message: Message) -> None:
        raise KeyError("a defect")

    async def call() -> None:
        heard: list[Message] = []
        async with FakeAsterisk() as asterisk:
            client = AriClient(params(asterisk.url))
            client.listen(fails)
            client.listen(heard.append)
            await client.start()
            for text in ('{"type":"A"}', '{"type":"B"}'):
                asterisk.send(text)
            await until(lambda: len(heard) == 2)
            assert client.counters == {"ari_defect": 2} and client.state == ConnectionState.UP
            await client.close()

    asyncio.run(call())


def test_a_huge_event_costs_the_connection_and_no_more() -> None:
    async def call() -> None:
        async with FakeAsterisk() as asterisk:
            client = AriClient(params(asterisk.url))
            await client.start()
            asterisk.send('{"type":"' + "x" * (2 << 20) + '"}')
            await until(lambda: asterisk.connections == 2 and client.state.value == "up")
            assert client.counters == {"ari_lost": 1}
            await client.close()

    asyncio.run(call())


@pytest.mark.parametrize(("keys", "mend"), [({"password": SecretStr("no")}, "ari.password")])
def test_a_wrong_password_is_an_error_that_says_so(keys: dict[str, Any], mend: str) -> None:
    async def call() -> None:
        async with FakeAsterisk() as asterisk:
            client = AriClient(params(asterisk.url, **keys))
            with pytest.raises(LineError, match=mend):
                await client.start()
            assert client.state == ConnectionState.CLOSED
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(call())


def test_the_user_is_the_one_of_ari_conf() -> None:
    async def call() -> None:
        async with FakeAsterisk(user="desk") as asterisk:
            client = AriClient(params(asterisk.url, user="desk"))
            await client.start()
            assert client.state == ConnectionState.UP
            assert await client.request("GET", "channels") == []
            await client.close()

    asyncio.run(call())


def test_the_waits_are_those_that_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    waits, sleep = list[float](), asyncio.sleep

    async def noted(seconds: float) -> None:
        waits.append(seconds)
        await sleep(0)

    async def call() -> None:
        url = f"http://127.0.0.1:{free_port()}/ari"
        client = AriClient(params(url, retry_seconds=2.0, most_retry_seconds=3.0))
        with monkeypatch.context() as patched:
            patched.setattr("voicebot.telephony.pbx_connection.asyncio.sleep", noted)
            await client.start()
            while len(waits) < 3:
                await sleep(0)
            await client.close()

    asyncio.run(call())
    for wait, full in zip(waits[:3], (2.0, 3.0, 3.0), strict=True):
        assert 0.75 * full <= wait <= full


def test_an_asterisk_that_is_down_is_waited_for() -> None:
    async def call() -> None:
        asterisk = FakeAsterisk()
        asterisk.port = free_port()
        client = AriClient(params(asterisk.url))
        ups: list[int] = []
        client.when_up(lambda: ups.append(1))
        await client.start()
        assert client.state in (ConnectionState.WAITING, ConnectionState.CONNECTING)
        with pytest.raises(AriError) as caught:
            await client.request("GET", "channels")
        assert caught.value.status == 0
        async with asterisk:
            await until(lambda: client.state.value == "up")
            asterisk.cut()
            await until(lambda: len(ups) == 2)
        await until(lambda: client.state.value != "up")
        await client.close()

    asyncio.run(call())


def test_two_programs_do_not_throw_each_other_out_for_ever() -> None:
    async def call() -> None:
        async with FakeAsterisk() as asterisk:
            first = AriClient(params(asterisk.url, most_retry_seconds=60.0))
            await first.start()
            second = AriClient(params(asterisk.url))
            await second.start()
            await until(lambda: bool(first.counters.get("ari_replaced")))
            asterisk._sockets[0][1].transport.abort()
            await until(lambda: first.state == ConnectionState.WAITING)
            await asyncio.sleep(0.05)
            assert asterisk.connections == 2
            await first.close()
            await second.close()

    asyncio.run(call())


def test_requests() -> None:
    async def call() -> None:
        async with FakeAsterisk() as asterisk:
            client = AriClient(params(asterisk.url))
            with pytest.raises(AriError, match="closed"):
                await client.request("GET", "channels")
            await client.start()
            assert await client.request("GET", "channels") == []
            with pytest.raises(AriError, match="404 Channel not found") as caught:
                await client.request("DELETE", "channels", "../a b")
            assert caught.value.status == 404
            assert asterisk.requests[-1][1] == "channels/../a b", "quoted, not walked"
            assert client.counters == {"ari_request_refused": 1}
            await client.close()

    asyncio.run(call())


def test_an_asterisk_that_hangs_costs_no_more_than_the_time_limit() -> None:
    async def call() -> None:
        async with FakeAsterisk() as asterisk:
            client = AriClient(params(asterisk.url, request_seconds=0.1))
            await client.start()

            async def hang(*_: object) -> None:
                await asyncio.sleep(5)

            server = await asyncio.start_server(hang, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            client.params = params(f"http://127.0.0.1:{port}/ari", request_seconds=0.1)
            async with asyncio.timeout(3):
                with pytest.raises(AriError, match="in time"):
                    await client.request("GET", "channels")
            assert client.counters == {"ari_request_failed": 1}
            await client.close()
            server.close()

    asyncio.run(call())


def test_the_password_is_in_no_log() -> None:
    async def call() -> None:
        async with FakeAsterisk(password="hush-hush") as asterisk:
            client = AriClient(params(asterisk.url, password=SecretStr("hush-hush")))
            await client.start()
            with pytest.raises(AriError):
                await client.request("DELETE", "channels", "x")
            asterisk.cut()
            await until(lambda: bool(client.counters.get("ari_lost")))
            await client.close()

    with structlog.testing.capture_logs() as lines:
        asyncio.run(call())
    assert lines and "hush" not in str(lines)


def test_fields_of_events_may_be_anything() -> None:
    event: dict[str, Any] = {"channel": {"id": 5, "caller": []}, "cause": True, "n": 3}
    assert text_of(event, "channel", "id") == ""
    assert text_of(event, "channel", "caller", "number") == ""
    assert (number_of(event, "cause"), number_of(event, "n"), number_of(event, "x")) == (0, 3, 0)
