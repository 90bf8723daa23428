"""What a phone that rings for a call of ours may ask."""

from __future__ import annotations

import asyncio

import pytest

from tests.telephony.sip.test_sip_outgoing import Scene, play, reply
from tests.waiting import until
from voicebot.telephony.line import TransferResult
from voicebot.telephony.sip.sip_dialog import Dialog
from voicebot.telephony.sip.sip_transactions import ServerTransaction


async def ringing(scene: Scene, body: bytes) -> tuple[ServerTransaction, asyncio.Task[object]]:
    """Dial, and let the agent's phone ring."""
    agent = scene.agent

    def ring(transaction: ServerTransaction) -> None:
        agent.dialog = Dialog.of_request(transaction.request, "one")
        transaction.respond(reply(agent, transaction, 183, "one", body))

    agent.answers["INVITE"] = ring
    dialling: asyncio.Task[object] = asyncio.ensure_future(scene.dial(2.0))
    await until(lambda: agent.requests and agent.dialog is not None)
    await asyncio.sleep(0.02)
    return agent.requests[0], dialling


@pytest.mark.parametrize(
    ("method", "status"), [("UPDATE", 200), ("OPTIONS", 200), ("INFO", 481), ("REFER", 603)]
)
def test_requests_while_it_rings(method: str, status: int) -> None:
    async def work(scene: Scene) -> None:
        invite, dialling = await ringing(scene, b"")
        assert (await scene.agent.ask(method)).status_code == status
        invite.respond(reply(scene.agent, invite, 486, "one"))
        assert (await dialling) is not None
        assert (await scene.agent.ask("UPDATE")).status_code == 481, "over, and forgotten"

    play(work)


def test_early_media_may_move() -> None:
    async def work(scene: Scene) -> None:
        agent = scene.agent
        invite, dialling = await ringing(scene, agent.sdp())
        answer = await agent.ask("UPDATE", agent.sdp(version=2))
        assert answer.status_code == 200
        assert "m=audio" in answer.text
        invite.respond(reply(agent, invite, 200, "one", agent.sdp(version=2)))
        result = await dialling
        assert getattr(result, "result", None) is TransferResult.DONE
        assert (await agent.ask("OPTIONS")).status_code == 200

    play(work)


def test_an_offer_that_meets_ours_is_glare() -> None:
    async def work(scene: Scene) -> None:
        agent = scene.agent
        invite, dialling = await ringing(scene, b"")
        assert (await agent.ask("UPDATE", agent.sdp())).status_code == 491
        invite.respond(reply(agent, invite, 486, "one"))
        await dialling

    play(work)


def test_early_media_that_cannot_move_stay_where_they_are() -> None:
    async def work(scene: Scene) -> None:
        agent = scene.agent
        invite, dialling = await ringing(scene, agent.sdp())
        assert (await agent.ask("UPDATE", b"v=1\r\nnonsense")).status_code == 400
        assert (await agent.ask("UPDATE", agent.sdp("96"))).status_code == 488
        assert (await agent.ask("UPDATE", agent.sdp(), "text/plain")).status_code == 415
        invite.respond(reply(agent, invite, 200, "one", agent.sdp()))
        assert getattr(await dialling, "result", None) is TransferResult.DONE

    play(work)


def test_a_request_out_of_order_is_refused_while_it_rings() -> None:
    async def work(scene: Scene) -> None:
        agent = scene.agent
        invite, dialling = await ringing(scene, b"")
        assert (await agent.ask("OPTIONS")).status_code == 200
        assert agent.dialog is not None
        agent.dialog.local_seq -= 2
        late = await agent.ask("OPTIONS")
        assert (late.status_code, late.get_header("retry-after")) == (500, "3")
        invite.respond(reply(agent, invite, 486, "one"))
        await dialling

    play(work)
