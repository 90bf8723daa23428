from __future__ import annotations

import asyncio

import pytest
from pydantic import ValidationError

from tests.telephony.receiving import Desk
from tests.telephony.ws_peers import BEARER, dial, listening
from tests.waiting import until
from voicebot.telephony.websocket.websocket_peer import ListenerParams, PeerGone


def test_limits_are_checked() -> None:
    for key, value in {"port": 70000, "max_connections": 0, "idle_seconds": 0}.items():
        with pytest.raises(ValidationError):
            ListenerParams.model_validate({key: value})


def test_closing_and_sending_after_the_end_is_no_accident() -> None:
    async def main() -> None:
        desk = Desk()
        target = "/media/freeswitch?rate=8000&uuid=u"
        async with listening(desk) as server:
            async with dial(server, target, BEARER) as client:
                await client.send(bytes(320))
                await until(lambda: desk.calls)
                peer = next(iter(server._sessions))._peer  # type: ignore[attr-defined]
            await until(lambda: desk.calls[0].reasons)
            with pytest.raises(PeerGone):
                await peer.send("late")
            await peer.close(1000, "late, and a reason that is far too long " * 9)

    asyncio.run(main())
