"""Calls of ours: challenges, forks, reliable responses, early media, ends of all kinds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiosipua.message import SipResponse

from tests.telephony.receiving import Desk
from tests.telephony.sip_help import T1
from tests.telephony.sip_phone import MEDIA, Phone, endpoint, phone
from tests.waiting import until
from voicebot.events import Leg
from voicebot.telephony.line import Transferred, TransferResult
from voicebot.telephony.sip.digest import Challenger, Verdict
from voicebot.telephony.sip.leg_media import LegMedia
from voicebot.telephony.sip.registration import RegistrationParams
from voicebot.telephony.sip.sip_core import SipCore
from voicebot.telephony.sip.sip_endpoint import SipEndpoint
from voicebot.telephony.sip.sip_headers import parse_uri
from voicebot.telephony.sip.sip_messages import response_to
from voicebot.telephony.sip.sip_outgoing import OutgoingCall
from voicebot.telephony.sip.sip_transactions import ServerTransaction


@dataclass
class Scene:
    sip: SipEndpoint
    core: SipCore
    agent: Phone
    media: LegMedia
    early: list[bool] = field(default_factory=list)
    call: OutgoingCall | None = None

    async def dial(self, seconds: float = 1.0) -> Transferred:
        self.call = OutgoingCall(
            self.core,
            parse_uri(self.agent.uri),
            self.media,
            {"X-Why": "anger"},
            lambda: self.early.append(True),
        )
        return await self.call.call(seconds)

    async def end(self) -> None:
        if self.call is not None and self.call.session is not None:
            await self.call.session.bye()


@asynccontextmanager
async def scene_of(**more: object) -> AsyncIterator[Scene]:
    async with phone() as agent, endpoint(Desk(), **more) as sip:  # type: ignore[arg-type]
        core = sip._core
        media = LegMedia(MEDIA, core.pool, Leg.AGENT)
        made = Scene(sip, core, agent, media)
        try:
            yield made
        finally:
            await made.end()
            await media.close()


def play(work: Callable[[Scene], object], **more: object) -> None:
    async def run() -> None:
        async with scene_of(**more) as scene:
            made = work(scene)
            assert asyncio.iscoroutine(made)
            await made

    asyncio.run(run())


def reply(
    agent: Phone,
    transaction: ServerTransaction,
    status: int,
    tag: str,
    body: bytes = b"",
    **more: str,
) -> SipResponse:
    response = response_to(transaction.request, status)
    to = transaction.request.get_header("to")
    response.set_header("To", f"{to};tag={tag}")
    response.set_header("Contact", f"<{agent.uri}>")
    for name, value in more.items():
        response.set_header(name.replace("_", "-"), value)
    if body:
        response.set_header("Content-Type", "application/sdp")
        response.body = body
    return response


def test_an_answered_call() -> None:
    async def work(scene: Scene) -> None:
        scene.agent.answer_calls()
        assert await scene.dial() == Transferred(TransferResult.DONE, "200 OK")
        invite = scene.agent.heard("INVITE")[0]
        assert invite.get_header("x-why") == "anger"
        assert "timer" in invite.headers.get("supported")
        await until(lambda: scene.agent.acks)
        assert scene.media.ready

    play(work)


def test_a_repeated_answer_is_acknowledged_again() -> None:
    async def work(scene: Scene) -> None:
        scene.agent.answer_calls()
        await scene.dial()
        await until(lambda: scene.agent.acks)
        final = scene.agent.requests[0].final
        assert final is not None
        scene.agent.requests[0]._send(bytes(final))
        await until(lambda: len(scene.agent.acks) >= 2)  # a slow machine repeats it too
        vias = {ack.get_header("via") for ack in scene.agent.acks}
        assert len(vias) == 1, "the very same ACK"

    play(work)


def test_a_challenge_is_answered() -> None:
    async def work(scene: Scene) -> None:
        challenger = Challenger("pbx", {"voicebot": "secret"})
        scene.agent.answer_calls()
        accept = scene.agent.answers["INVITE"]

        def challenge(transaction: ServerTransaction) -> None:
            verdict = challenger.verify(transaction.request)
            if verdict is Verdict.GOOD:
                accept(transaction)
            else:
                transaction.respond(challenger.challenge(transaction.request, verdict))

        scene.agent.answers["INVITE"] = challenge
        assert (await scene.dial()).result is TransferResult.DONE
        first, second = scene.agent.heard("INVITE")
        assert (first.get_header("cseq"), second.get_header("cseq")) == ("1 INVITE", "2 INVITE")
        assert first.get_header("from") == second.get_header("from")
        await until(lambda: scene.agent.acks)
        assert scene.agent.acks[-1].get_header("cseq") == "2 ACK"

    account = RegistrationParams(
        registrar="sip:127.0.0.1:9",
        user="voicebot",
        password="secret",  # type: ignore[arg-type]
    )
    play(work, accounts=[account.model_dump()])


def test_without_credentials_a_challenge_is_a_refusal() -> None:
    async def work(scene: Scene) -> None:
        challenger = Challenger("pbx", {"voicebot": "secret"})
        scene.agent.answers["INVITE"] = lambda transaction: transaction.respond(
            challenger.challenge(transaction.request)
        )
        assert (await scene.dial()).result is TransferResult.DECLINED

    play(work)


def test_a_longer_interval_is_accepted() -> None:
    async def work(scene: Scene) -> None:
        scene.agent.answer_calls()
        accept = scene.agent.answers["INVITE"]

        def first_refuse(transaction: ServerTransaction) -> None:
            if (transaction.request.get_header("min-se") or "") == "7200":
                accept(transaction)
            else:
                response = response_to(transaction.request, 422)
                response.set_header("Min-SE", "7200")
                transaction.respond(response)

        scene.agent.answers["INVITE"] = first_refuse
        assert (await scene.dial()).result is TransferResult.DONE
        assert scene.agent.heard("INVITE")[1].get_header("session-expires") == "7200"

    play(work)


def test_the_second_phone_that_answers_is_hung_up() -> None:
    async def work(scene: Scene) -> None:
        def fork(transaction: ServerTransaction) -> None:
            agent = scene.agent
            for tag in ("one", "two"):
                response = reply(agent, transaction, 200, tag, agent.sdp())
                transaction._send(bytes(response))

        scene.agent.answers["INVITE"] = fork
        assert (await scene.dial()).result is TransferResult.DONE
        await until(lambda: scene.agent.heard("BYE"))
        assert "tag=two" in (scene.agent.heard("BYE")[0].get_header("to") or "")
        tags = {ack.get_header("to") for ack in scene.agent.acks}
        assert len(tags) == 2, "each 2xx is acknowledged"
        assert len(scene.agent.heard("BYE")) == 1, "and only the second one ended"
        assert scene.sip.counters["sip_extra_answers"] == 1

    play(work)


def test_reliable_ringing_is_acknowledged_and_early_media_are_heard() -> None:
    async def work(scene: Scene) -> None:
        agent = scene.agent
        invites: list[ServerTransaction] = []

        def ring(transaction: ServerTransaction) -> None:
            invites.append(transaction)
            early = reply(agent, transaction, 183, "one", agent.sdp(), Require="100rel", RSeq="41")
            transaction.respond(early)
            transaction.respond(early)  # as if repeated

        agent.answers["INVITE"] = ring
        dialling = asyncio.ensure_future(scene.dial())
        await until(lambda: agent.heard("PRACK"))
        await until(lambda: scene.early)
        await asyncio.sleep(3 * T1)
        assert [each.get_header("rack") for each in agent.heard("PRACK")] == ["41 1 INVITE"]
        assert scene.media.ready
        # The 200 has no description: it was said in the 183, reliably.
        invites[0].respond(reply(agent, invites[0], 200, "one"))
        assert (await dialling).result is TransferResult.DONE
        assert scene.call is not None and scene.call.session is not None
        await scene.call.session.bye()
        assert agent.heard("BYE")[0].get_header("cseq") == "3 BYE", "PRACK was counted"

    play(work)


def test_an_answer_without_media_is_ended() -> None:
    async def work(scene: Scene) -> None:
        scene.agent.answers["INVITE"] = lambda transaction: transaction.respond(
            reply(scene.agent, transaction, 200, "one")
        )
        assert (await scene.dial()).result is TransferResult.UNREACHABLE
        await until(lambda: scene.agent.heard("BYE"))

    play(work)


def test_an_answer_that_crosses_the_cancel_is_ended() -> None:
    async def work(scene: Scene) -> None:
        agent = scene.agent

        def ring(transaction: ServerTransaction) -> None:
            transaction.on_cancel = lambda: transaction.respond(
                reply(agent, transaction, 200, "late", agent.sdp())
            )
            transaction.respond(response_to(transaction.request, 180))

        agent.answers["INVITE"] = ring
        assert (await scene.dial(0.05)).result is TransferResult.NO_ANSWER
        await until(lambda: agent.heard("BYE"))
        assert agent.acks

    play(work)


@pytest.mark.parametrize(
    ("status", "result"),
    [(486, TransferResult.BUSY), (302, TransferResult.UNREACHABLE)],
)
def test_a_refused_call(status: int, result: TransferResult) -> None:
    async def work(scene: Scene) -> None:
        scene.agent.answer_calls(status)
        assert (await scene.dial()).result is result

    play(work)


def test_a_silent_peer_is_unreachable() -> None:
    async def work(scene: Scene) -> None:
        scene.agent.answers["INVITE"] = lambda transaction: transaction.close()
        assert (await scene.dial(2.0)).result is TransferResult.UNREACHABLE

    play(work)


def test_our_offer_names_no_device() -> None:
    async def work(scene: Scene) -> None:
        scene.agent.answer_calls(486)
        await scene.dial()
        assert scene.agent.heard("INVITE")[0].text.startswith("v=0\r\no=- ")

    play(work)
