from __future__ import annotations

import asyncio
import ssl

import httpx
import pytest

from tests.telephony.rest_server import api
from voicebot.telephony.line import TransferResult
from voicebot.telephony.rest_client import Clients, RestError, json_of, request


def test_an_answer_is_given_back() -> None:
    async def main() -> None:
        async with api(lambda _: (201, {"a": 1})) as one, httpx.AsyncClient() as client:
            assert json_of(await request(client, "GET", one.url)) == {"a": 1}

    asyncio.run(main())


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (301, TransferResult.UNREACHABLE),
        (403, TransferResult.DECLINED),
        (404, TransferResult.GONE),
        (409, TransferResult.GONE),
        (502, TransferResult.UNREACHABLE),
    ],
)
def test_a_status_has_a_meaning(status: int, result: TransferResult) -> None:
    async def main() -> None:
        async with api(lambda _: (status, {})) as one, httpx.AsyncClient() as client:
            with pytest.raises(RestError) as caught:
                await request(client, "GET", one.url)
            assert caught.value.transferred.result is result

    asyncio.run(main())


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://", "gopher://x/", "http://[::"])
def test_an_address_that_leads_nowhere_is_unreachable(url: str) -> None:
    async def main() -> None:
        async with httpx.AsyncClient(timeout=1, trust_env=False) as client:
            with pytest.raises(RestError) as caught:
                await request(client, "GET", url)
            assert caught.value.result is TransferResult.UNREACHABLE

    asyncio.run(main())


def test_certificates_are_verified_where_there_are_some_and_read_once() -> None:
    async def main() -> None:
        clients = Clients("https://api.example", 1.0)
        async with await clients.open():
            first = clients._tls
        assert first is not None and first.verify_mode is ssl.CERT_REQUIRED
        assert first.check_hostname
        async with await clients.open():
            assert clients._tls is first
        assert Clients("http://127.0.0.1", 1.0)._tls is None

    asyncio.run(main())
