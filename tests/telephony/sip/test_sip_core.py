"""What calls share: requests that are answered or not, tasks that fail."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.telephony.receiving import Desk
from tests.telephony.sip_help import make
from tests.telephony.sip_phone import MEDIA, phone
from tests.waiting import until
from voicebot.telephony.sip.digest import Challenger, Credentials, Verdict
from voicebot.telephony.sip.sip_core import CallParams, NoAnswerError, SipCore, agent
from voicebot.telephony.sip.sip_dialog import Dialog
from voicebot.telephony.sip.sip_endpoint import SipEndpoint, SipEndpointParams
from voicebot.telephony.sip.sip_messages import response_to
from voicebot.telephony.sip.sip_transactions import ServerTransaction, SipLayer


def core_on(layer: SipLayer) -> SipCore:
    credentials = [Credentials("u", "secret")]
    pool = MEDIA.pool()
    return SipCore(layer, CallParams(), MEDIA, pool, "voicebot", t1=0.01, credentials=credentials)


def dialog_to(uri: str) -> Dialog:
    return Dialog("c", "l", "r", "<sip:us@h>;tag=l", "<sip:them@h>;tag=r", uri, (), 4, -1)


def test_a_challenge_counts_the_dialogs_requests_on() -> None:
    async def scene() -> None:
        async with phone() as peer, phone() as ours:
            challenger = Challenger("pbx", {"u": "secret"})

            def answer(transaction: ServerTransaction) -> None:
                verdict = challenger.verify(transaction.request)
                good = verdict is Verdict.GOOD
                transaction.respond(
                    response_to(transaction.request, 200)
                    if good
                    else challenger.challenge(transaction.request, verdict)
                )

            peer.answers["BYE"] = answer
            core, dialog = core_on(ours.layer), dialog_to(peer.uri)
            answerer = core.answerer()
            hop = await core.hop_of(dialog)
            response = await core.ask(dialog.request("BYE"), hop, answerer, dialog)
            assert response.status_code == 200
            assert [each.get_header("cseq") for each in peer.heard("BYE")] == ["5 BYE", "6 BYE"]
            assert dialog.local_seq == 6
            await core.ask(dialog.request("BYE"), hop, answerer, dialog)
            assert len(peer.heard("BYE")) == 3, "the next one carries credentials at once"

    asyncio.run(scene())


def test_silence_is_an_error() -> None:
    async def scene() -> None:
        async with phone() as peer, phone() as ours:
            peer.answers["BYE"] = lambda transaction: None
            core, dialog = core_on(ours.layer), dialog_to(peer.uri)
            with pytest.raises(NoAnswerError, match="timeout"):
                await core.ask(dialog.request("BYE"), await core.hop_of(dialog), core.answerer())

    asyncio.run(scene())


@pytest.mark.parametrize("uri", ["tel:123", "sip:x@nowhere.invalid", "sip:x@h;transport=sctp"])
def test_no_way_is_an_error(uri: str) -> None:
    async def scene() -> None:
        async with phone() as ours:
            with pytest.raises(NoAnswerError):
                await core_on(ours.layer).hop_of(dialog_to(uri))

    asyncio.run(scene())


def test_a_task_that_fails_is_counted() -> None:
    async def scene() -> None:
        async with phone() as ours:
            core = core_on(ours.layer)

            async def fail() -> None:
                raise ZeroDivisionError

            core.spawn(fail(), "doomed")
            await until(lambda: core.faults.counters["sip_internal_error"] == 1)
            assert not core.tasks

    asyncio.run(scene())


def test_what_we_call_ourselves() -> None:
    assert re.fullmatch(r"voicebot/\d+\.\d+.*", agent())
    sip = SipEndpoint(SipEndpointParams(), MEDIA, Desk())
    assert sip.dialogs == 0
    request = make("INVITE")
    assert request.get_header("user-agent") is None
