from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from tests.telephony.fake_asterisk import Channel, FakeAsterisk
from tests.telephony.feed import SocketPeer
from tests.telephony.receiving import Desk, tone
from tests.waiting import until
from voicebot.telephony.asterisk.ari import AriClient, AriParams
from voicebot.telephony.asterisk.ari_transfer import AriTransfer
from voicebot.telephony.asterisk.audiosocket import AudioSocketGateway
from voicebot.telephony.asterisk.audiosocket_params import AudioSocketParams
from voicebot.telephony.line import Briefing, TransferResult

BRIEFING = Briefing("alert-1", "", "persistent_anger")
UUID = "0a1b2c3d-0000-4000-8000-000000000001"


@asynccontextmanager
async def exchange() -> AsyncIterator[tuple[FakeAsterisk, AriClient, Channel]]:
    async with FakeAsterisk() as asterisk:
        client = AriClient(
            AriParams(
                url=asterisk.url, password=SecretStr("secret"), answer_seconds=1,
                settle_seconds=0.05,
            )
        )  # fmt: skip
        await client.start()
        caller = Channel("170000.99", variables={"VOICEBOT_UUID": UUID.upper()})
        asterisk.channels[caller.id] = caller
        try:
            yield asterisk, client, caller
        finally:
            await client.close()


@pytest.mark.parametrize(
    ("phone", "result"),
    [("answer", "done"), ("busy", "busy"), ("declined", "declined"), ("noanswer", "no_answer")],
)
def test_a_channel_is_found_by_its_uuid_and_redirected(phone: str, result: str) -> None:
    async def call() -> None:
        async with exchange() as (asterisk, client, caller):
            asterisk.phones = {"PJSIP/1": phone}
            asterisk.dialplan = {"agents,7,1": [("dial", "PJSIP/1")]}
            got = await AriTransfer(client)(UUID, "agents,7,1", BRIEFING)
            assert got.result == TransferResult(result), got
            assert caller.variables["VOICEBOT_ALERT"] == "alert-1"

    asyncio.run(call())


@pytest.mark.parametrize(("settle", "result"), [(0.0, "busy"), (3.0, "done")])
def test_the_dialplan_has_so_long_to_try_another_phone(settle: float, result: str) -> None:
    async def call() -> None:
        async with exchange() as (asterisk, client, _):
            client.params = client.params.model_copy(
                update={"settle_seconds": settle, "answer_seconds": 5}
            )
            asterisk.phones = {"PJSIP/1": "busy", "PJSIP/2": "answer"}
            asterisk.dialplan = {"agents,7,1": [("dial", "PJSIP/1"), ("dial", "PJSIP/2")]}
            got = await AriTransfer(client)(UUID, "agents,7,1", BRIEFING)
            assert got.result == TransferResult(result), got

    asyncio.run(call())


def test_what_is_not_set_up_is_said() -> None:
    async def call() -> None:
        async with exchange() as (_, client, _):
            transfer = AriTransfer(client)
            other = await transfer("0a1b2c3d-0000-4000-8000-000000000002", "agents,7,1", BRIEFING)
            assert other.result == TransferResult.UNSUPPORTED
            assert "channelvars" in other.detail
            phone = await transfer(UUID, "PJSIP/1", BRIEFING)
            assert phone.result == TransferResult.UNSUPPORTED
            client.params = client.params.model_copy(update={"redirect_context": "nowhere"})
            missing = await transfer(UUID, "agents,7,1", BRIEFING)
            assert missing.result == TransferResult.UNREACHABLE
            assert "nowhere" in missing.detail

    asyncio.run(call())


def test_an_asterisk_that_is_gone_cannot_transfer() -> None:
    async def call() -> None:
        async with exchange() as (asterisk, client, _):
            await asterisk.stop()
            got = await AriTransfer(client)(UUID, "agents,7,1", BRIEFING)
            assert got.result in (TransferResult.UNREACHABLE, TransferResult.GONE)

    asyncio.run(call())


def test_an_audiosocket_call_reaches_its_agent() -> None:
    async def call() -> None:
        async with exchange() as (asterisk, client, _):
            asterisk.phones = {"PJSIP/1": "answer"}
            asterisk.dialplan = {"agents,7,1": [("dial", "PJSIP/1")]}
            desk = Desk()
            gateway = AudioSocketGateway(
                AudioSocketParams(listen=["127.0.0.1:0"]), desk, AriTransfer(client)
            )
            await gateway.start()
            peer = await SocketPeer.connect(gateway.ports[0], UUID)
            peer.name()
            await peer.speak(tone(0.02))
            await until(lambda: desk.calls)
            got = await desk.calls[0].line.transfer("agents,7,1", BRIEFING)
            assert got.result == TransferResult.DONE
            assert not await peer.listen(), "a hang-up frame would end the call for good"
            assert desk.calls[0].reasons == ["transferred"]
            await peer.close()
            await gateway.close()

    asyncio.run(call())
