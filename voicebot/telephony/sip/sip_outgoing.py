"""A call of ours: INVITE to an agent, through challenges, forks and early media to its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

from aiosipua.headers import SipUri, stringify_uri
from aiosipua.message import SipRequest, SipResponse

from voicebot.telephony.line import LineError, Transferred, TransferResult
from voicebot.telephony.sip import reliable
from voicebot.telephony.sip.call_media import CallMedia
from voicebot.telephony.sip.early_dialog import EarlyDialog
from voicebot.telephony.sip.refer import transferred
from voicebot.telephony.sip.session_timer import Refresher, agreed_by, min_se, put_request
from voicebot.telephony.sip.sip_core import NoAnswerError, SipCore, agent
from voicebot.telephony.sip.sip_dialog import Dialog
from voicebot.telephony.sip.sip_messages import cseq_of, new_call_id, new_tag, to_tag
from voicebot.telephony.sip.sip_rules import tags
from voicebot.telephony.sip.sip_session import SessionState, SipSession
from voicebot.telephony.sip.sip_transactions import ClientTransaction
from voicebot.telephony.sip.sip_transport import Hop

_MOST_FORKS: Final = 16
"""early dialogs that are followed"""
_MOST_TRIES: Final = 5
"""INVITEs of one call: challenges, a longer session interval"""


class OutgoingState(StrEnum):
    """How far a call of ours has come."""

    CALLING = "calling"
    RINGING = "ringing"
    ANSWERED = "answered"
    CANCELLING = "cancelling"
    FAILED = "failed"


class OutgoingCall:
    """One call to an agent.

    Args:
        core: Shared.
        target: Whom to call.
        media: Its media; closed by whoever made it.
        headers: Further headers of the INVITE.
        on_early: Called when the media have an answer before the call has (early media).

    Attributes:
        session: The session, once the call is answered.
    """

    def __init__(
        self,
        core: SipCore,
        target: SipUri,
        media: CallMedia,
        headers: Mapping[str, str],
        on_early: Callable[[], None] = lambda: None,
    ) -> None:
        self.state = OutgoingState.CALLING
        self.session: SipSession | None = None
        self._core = core
        self._target = stringify_uri(target)
        self._uri = target
        self._media = media
        self._headers = dict(headers)
        self._on_early = on_early
        self._answerer = core.answerer()
        self._call_id = new_call_id()
        self._tag = new_tag()
        self._seq = 0
        self._floor = 0
        self._hop: Hop | None = None
        self._transaction: ClientTransaction | None = None
        self._early: dict[str, EarlyDialog] = {}
        self._acks: dict[str, tuple[SipRequest, Dialog]] = {}
        """by To-tag, what every 2xx of that fork is answered with"""
        self._final: asyncio.Future[SipResponse] | None = None

    async def call(self, ring_seconds: float) -> Transferred:
        """Call and wait for the answer.

        Args:
            ring_seconds: Then it is cancelled: NO_ANSWER.
        """
        try:
            return await self._call(ring_seconds)
        finally:
            self._forget_early()

    async def _call(self, ring_seconds: float) -> Transferred:
        try:
            self._hop = await self._core.layer.resolve(self._uri)
            offer = await self._media.make_offer()
            request = self._request(self._hop)
            offer.put(request)
            self._answerer.authorise(request)
            async with asyncio.timeout(ring_seconds):
                response = await self._ask(request)
        except TimeoutError:
            await self.cancel()
            return Transferred(TransferResult.NO_ANSWER, f"no answer within {ring_seconds:g} s")
        except NoAnswerError as error:
            self.state = OutgoingState.FAILED
            return Transferred(TransferResult.UNREACHABLE, str(error))
        except (LineError, ValueError) as error:
            self.state = OutgoingState.FAILED
            return Transferred(TransferResult.UNREACHABLE, str(error))
        except asyncio.CancelledError:
            await self.cancel()
            raise
        if not 200 <= response.status_code < 300:
            self.state = OutgoingState.FAILED
            return transferred(response.status_code, response.reason_phrase)
        return await self._answered(response)

    async def cancel(self) -> None:
        """Stop calling; if the agent answers all the same, that is ended by BYE."""
        if self.state in (OutgoingState.CALLING, OutgoingState.RINGING):
            self.state = OutgoingState.CANCELLING
            if self._transaction is not None:
                self._core.layer.cancel(self._transaction)

    def _forget_early(self) -> None:
        for early in self._early.values():
            early.forget()

    # ------------------------------------------------------------- asking

    def _request(self, hop: Hop) -> SipRequest:
        self._seq += 1
        request = SipRequest(method="INVITE", uri=self._target)
        request.set_header("From", f"{self._core.identity(hop)};tag={self._tag}")
        request.set_header("To", f"<{self._target}>")
        request.set_header("Call-ID", self._call_id)
        request.set_header("CSeq", f"{self._seq} INVITE")
        request.set_header("Max-Forwards", "70")
        self._core.dress(request, hop, self._media)
        put_request(request, self._core.params.timer, self._floor)
        for name, value in self._headers.items():
            request.set_header(name, value)
        return request

    async def _ask(self, request: SipRequest) -> SipResponse:
        for _ in range(_MOST_TRIES):
            response = await self._once(request)
            if response.status_code in (401, 407):
                again = self._answerer.answer(request, response)
                if again is None:
                    return response
                self._seq = cseq_of(again).seq
            elif response.status_code == 422 and min_se(response) > self._floor:
                self._floor = min_se(response)
                assert self._hop is not None
                again = self._request(self._hop)
                again.set_header("Content-Type", request.content_type or "")
                again.body = request.body
                self._answerer.authorise(again)
            else:
                return response
            request = again
            self._forget_early()
            self._early.clear()
        return response

    async def _once(self, request: SipRequest) -> SipResponse:
        assert self._hop is not None
        self._final = asyncio.get_running_loop().create_future()
        final = self._final

        def on_response(response: SipResponse) -> None:
            status = response.status_code
            if 100 < status < 200:
                self._on_provisional(request, response)
            elif 200 <= status < 300:
                self._on_success(request, response)
            if status >= 200 and not final.done():
                final.set_result(response)

        def on_failure(why: str) -> None:
            if not final.done():
                final.set_exception(NoAnswerError(why))

        self._transaction = self._core.layer.request(request, self._hop, on_response, on_failure)
        try:
            return await final
        finally:
            if not final.done():
                final.cancel()
            elif not final.cancelled():
                final.exception()  # looked at, whoever waits

    # ------------------------------------------------------------- provisional

    def _on_provisional(self, request: SipRequest, response: SipResponse) -> None:
        if self.state is OutgoingState.CALLING and response.status_code >= 180:
            self.state = OutgoingState.RINGING
        if self._final is None or self._final.done():
            return  # late: the call is decided
        tag = to_tag(response)
        early = self._early.get(tag)
        if early is None:
            if not tag or len(self._early) >= _MOST_FORKS:
                return
            try:
                dialog = Dialog.of_response(request, response)
            except ValueError:
                dialog = None  # 180 without Contact is common; nothing can be sent to it
            early = self._early[tag] = EarlyDialog(self._core, dialog, self._media)
        number = reliable.rseq(response)
        if number is not None:
            if early.number is not None and number != early.number + 1:
                return  # repeated, or one before it is missing (RFC 3262 section 4)
            early.number = number
            if early.dialog is not None:
                self._core.spawn(self._prack(early.dialog, response, number, request), "sip-prack")
        if response.body and not early.described:
            early.described = response
            self._core.spawn(self._hear_early(response), "sip-early-media")

    async def _prack(
        self, dialog: Dialog, response: SipResponse, number: int, invite: SipRequest
    ) -> None:
        request = dialog.request("PRACK")
        self._seq = max(self._seq, dialog.local_seq)
        request.set_header("RAck", f"{number} {cseq_of(response).seq} INVITE")
        request.set_header("User-Agent", agent())
        try:
            hop = await self._core.hop_of(dialog)
            await self._core.ask(request, hop, self._answerer, dialog)
        except (NoAnswerError, ValueError) as error:
            self._core.faults.count("sip_prack_unanswered", why=str(error))

    async def _hear_early(self, response: SipResponse) -> None:
        if self.state is not OutgoingState.RINGING and self.state is not OutgoingState.CALLING:
            return
        try:
            await self._media.take_answer(response)
        except Exception as error:
            self._core.faults.count("sip_bad_early_media", error=type(error).__name__)
            return
        self._on_early()

    # ------------------------------------------------------------- success

    def _on_success(self, request: SipRequest, response: SipResponse) -> None:
        """Acknowledge a 2xx, each time it comes; all but the first are ended by BYE (13.2.2.4)."""
        tag = to_tag(response)
        if tag in self._acks:
            self._core.spawn(self._acknowledge(*self._acks[tag]), "sip-ack")
            return
        if len(self._acks) >= _MOST_FORKS:
            return
        try:
            dialog = Dialog.of_response(request, response)
        except ValueError:
            self._core.faults.count("sip_bad_answer", error="no Contact")
            return
        before = self._early.get(tag)
        if before is not None and before.dialog is not None:
            before.forget()
            dialog.local_seq = max(dialog.local_seq, before.dialog.local_seq)
            dialog.remote_seq = before.dialog.remote_seq
        ack = dialog.ack(cseq_of(request).seq)
        self._acks[tag] = ack, dialog
        over = self.state in (OutgoingState.CANCELLING, OutgoingState.FAILED)
        if self.session is not None or over:
            self._core.faults.count("sip_extra_answers")
            extra = SipSession(self._core, dialog, None, SessionState.CONFIRMED, set())
            self._core.spawn(self._acknowledge_and_end(extra, ack), "sip-extra-answer")
            return
        self.state = OutgoingState.ANSWERED
        self.session = SipSession(
            self._core, dialog, self._media, SessionState.CONFIRMED, tags(response, "allow")
        )
        agreed = agreed_by(response)
        self.session.timer.restart(agreed, agreed is not None and agreed.refresher is Refresher.UAC)
        self._core.spawn(self._acknowledge(ack, dialog), "sip-ack")

    async def _acknowledge(self, ack: SipRequest, dialog: Dialog) -> None:
        try:
            self._core.send_ack(ack, await self._core.hop_of(dialog))
        except NoAnswerError:
            self._core.faults.count("sip_no_route")

    async def _acknowledge_and_end(self, extra: SipSession, ack: SipRequest) -> None:
        await self._acknowledge(ack, extra.dialog)
        await extra.bye()

    async def _answered(self, response: SipResponse) -> Transferred:
        session = self.session
        if session is None:  # no Contact: it can neither be acknowledged nor ended
            self.state = OutgoingState.FAILED
            return Transferred(TransferResult.UNREACHABLE, "the answer has no Contact")
        early = self._early.get(to_tag(response))
        done = Transferred(TransferResult.DONE, f"{response.status_code} {response.reason_phrase}")
        if early is not None and early.renegotiated:
            return done
        description = response
        if not response.body and early is not None and early.described is not None:
            description = early.described  # it was said in a reliable response, and only there
        try:
            await self._media.take_answer(description)
        except Exception as error:
            self._core.faults.count("sip_bad_answer", error=type(error).__name__)
            self.state = OutgoingState.FAILED
            await session.bye()
            return Transferred(TransferResult.UNREACHABLE, "the answer has no usable media")
        return done
