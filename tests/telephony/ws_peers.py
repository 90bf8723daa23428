"""A listener on loopback and clients of it, for the tests of the forks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.telephony.receiving import Desk
from voicebot.telephony.line import Briefing, Transferred, TransferResult
from voicebot.telephony.pbx_transfer import PbxTransfer
from voicebot.telephony.websocket.fork import Controls
from voicebot.telephony.websocket.media_forks import WebSocketParams, media_forks
from voicebot.telephony.websocket.websocket_server import WebSocketServer

TOKEN = "correct-horse-battery"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
BRIEFING = Briefing("a-1", "https://desk.example/a/1", "persistent_anger")


def params(**sections: Any) -> WebSocketParams:
    """Parameters with every token endpoint open, on a port of the system's choice."""
    raw: dict[str, Any] = {
        "port": 0,
        "handshake_seconds": 0.5,
        "twilio": {"tokens": [TOKEN]},
        "freeswitch": {"tokens": [TOKEN]},
        "jambonz": {"tokens": [TOKEN]},
    }
    return WebSocketParams.model_validate(raw | sections)


@asynccontextmanager
async def listening(
    desk: Desk, exchange: Controls | PbxTransfer | None = None, **sections: Any
) -> AsyncIterator[WebSocketServer]:
    server = media_forks(params(**sections), desk, exchange)
    await server.start()
    try:
        async with asyncio.timeout(10):
            yield server
    finally:
        await server.close()


def dial(
    server: WebSocketServer, target: str, headers: dict[str, str] | None = None, **more: Any
) -> connect:
    url = f"ws://127.0.0.1:{server.port}{target}"
    return connect(url, additional_headers=headers, compression=None, proxy=None, **more)


async def status_of(server: WebSocketServer, target: str, headers: dict[str, str]) -> int:
    """The HTTP status with which an upgrade is answered; 101 if it is granted."""
    try:
        async with dial(server, target, headers):
            return 101
    except InvalidStatus as err:
        return err.response.status_code


async def tell(client: ClientConnection, **fields: Any) -> None:
    await client.send(json.dumps(fields))


async def told(client: ClientConnection) -> dict[str, Any]:
    """The next JSON message."""
    async with asyncio.timeout(3):
        message = await client.recv()
    assert isinstance(message, str)
    fields = json.loads(message)
    assert isinstance(fields, dict)
    return fields


async def close_of(client: ClientConnection) -> tuple[int, str]:
    """Code and reason with which the server closes; what it says before is passed over."""
    try:
        async with asyncio.timeout(3):
            while True:
                await client.recv()
    except ConnectionClosed as err:
        assert err.rcvd is not None, "torn"
        return err.rcvd.code, err.rcvd.reason


def transfer_that(
    answer: Callable[[str, str], Awaitable[TransferResult]],
) -> PbxTransfer:
    """An exchange that hands over as ``answer(reference, target)`` says."""

    async def transfer(reference: str, target: str, briefing: Briefing) -> Transferred:
        assert briefing == BRIEFING
        return Transferred(await answer(reference, target))

    return transfer
