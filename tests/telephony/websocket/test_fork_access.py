from __future__ import annotations

import asyncio
import base64

import pytest
from pydantic import ValidationError

from tests.telephony.receiving import Desk
from tests.telephony.ws_peers import BEARER, TOKEN, listening, params, status_of

FORKS = ["/media/freeswitch", "/media/jambonz"]


@pytest.mark.parametrize("path", FORKS)
def test_a_token_opens_wherever_a_peer_can_put_it(path: str) -> None:
    async def main() -> None:
        async with listening(Desk()) as server:
            basic = base64.b64encode(f"anyone:{TOKEN}".encode()).decode()
            assert await status_of(server, path, BEARER) == 101
            assert await status_of(server, path, {"Authorization": f"Basic {basic}"}) == 101
            assert await status_of(server, f"{path}?token={TOKEN}", {}) == 101

    asyncio.run(main())


@pytest.mark.parametrize("path", [*FORKS, "/media/twilio"])
def test_a_wrong_token_is_401_and_counted(path: str) -> None:
    async def main() -> None:
        desk = Desk()
        async with listening(desk) as server:
            for target, headers in (
                (path, {"Authorization": f"Bearer {TOKEN}x"}),
                (path, {"Authorization": f"bearer {TOKEN[:-1]}"}),
                (f"{path}?token={TOKEN[:-1]}", {}),
                (f"{path}?token=", {}),
            ):
                assert await status_of(server, target, headers) == 401
            assert server.counters[f"{path.rpartition('/')[2]}_unauthorized"] == 4
            assert not desk.calls

    asyncio.run(main())


@pytest.mark.parametrize("header", ["", "Bearer", "Basic !!!", "Basic /w==", "Digest x", TOKEN])
def test_a_header_that_is_no_token_is_401(header: str) -> None:
    async def main() -> None:
        async with listening(Desk()) as server:
            assert await status_of(server, FORKS[0], {"Authorization": header}) == 401

    asyncio.run(main())


@pytest.mark.parametrize("name", ["twilio", "freeswitch", "jambonz", "audiohook"])
def test_an_endpoint_without_a_secret_is_closed(name: str) -> None:
    async def main() -> None:
        async with listening(Desk(), twilio={}, freeswitch={}, jambonz={}) as server:
            assert await status_of(server, f"/media/{name}", BEARER) == 403
            assert await status_of(server, f"/media/{name}?token=", {}) == 403
            assert server.counters[f"{name}_closed"] == 2

    asyncio.run(main())


def test_a_short_token_is_an_error_that_does_not_show_it() -> None:
    with pytest.raises(ValidationError, match="at least 16 characters") as caught:
        params(twilio={"tokens": ["geheim"]})
    assert "openssl" in str(caught.value)


def test_tokens_are_not_shown() -> None:
    assert TOKEN not in repr(params())
