from __future__ import annotations

import asyncio
import base64

import pytest
from pydantic import ValidationError

from tests.telephony.receiving import Desk
from tests.telephony.websocket.test_audiohook_signature import (
    CREATED,
    HEADERS,
    HOST,
    KEY,
    SECRET,
    signed,
)
from tests.telephony.ws_peers import listening, status_of
from voicebot.telephony.faults import Faults
from voicebot.telephony.websocket.audiohook_endpoint import AudiohookEndpoint, AudiohookParams
from voicebot.telephony.websocket.websocket_peer import Handshake

TARGET = "/api/v1/voicebiometrics/ws"


def params(**more: object) -> AudiohookParams:
    secret = base64.b64encode(SECRET).decode()
    return AudiohookParams.model_validate({"api_key": KEY, "client_secret": secret} | more)


def status(params: AudiohookParams, headers: dict[str, str], public_url: str = "") -> int:
    endpoint = AudiohookEndpoint(params, public_url, Desk(), Faults("test"), lambda: CREATED)
    denial = endpoint.admit(Handshake(TARGET, TARGET, {}, headers, "x:1"))
    return 101 if denial is None else int(denial.status)


def test_a_signed_request_is_let_in() -> None:
    assert status(params(), HEADERS) == 101
    assert status(params(), signed()) == 101


def test_behind_a_proxy_the_public_host_is_what_was_signed() -> None:
    inside = HEADERS | {"host": "10.0.0.5:8080"}
    assert status(params(), inside) == 401
    assert status(params(), inside, f"wss://{HOST}/") == 101
    assert status(params(), HEADERS | {"host": f"{HOST.upper()}:443"}) == 101


def test_an_unsigned_request_is_not_let_in_where_there_is_a_secret() -> None:
    bare = {name: value for name, value in HEADERS.items() if not name.startswith("signature")}
    assert status(params(), bare) == 401
    assert status(params(client_secret=""), bare) == 101
    assert status(params(client_secret=""), bare | {"x-api-key": "guess"}) == 401
    assert status(params(client_secret="", api_key=""), bare) == 403


def test_only_the_organisations_that_are_named_may_connect() -> None:
    organization = HEADERS["audiohook-organization-id"]
    assert status(params(organization_ids=[organization]), HEADERS) == 101
    assert status(params(organization_ids=["another"]), HEADERS) == 401


def test_over_the_wire_a_wrong_key_is_401_and_counted() -> None:
    async def main() -> None:
        async with listening(Desk(), audiohook={"api_key": KEY}) as server:
            assert await status_of(server, "/media/audiohook", {"X-API-KEY": KEY + "x"}) == 401
            assert await status_of(server, "/media/audiohook", {}) == 401
            assert server.counters["audiohook_unauthorized"] == 2

    asyncio.run(main())


def test_a_secret_that_is_not_base64_is_an_error_that_says_so() -> None:
    with pytest.raises(ValidationError, match="not base64"):
        params(client_secret="not base64!")
