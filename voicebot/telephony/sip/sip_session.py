"""One INVITE session from its first request to its last: what both callers and agents have.

Sources: RFC 3261 sections 12-15, RFC 3311 (UPDATE), RFC 4028 (session timers).
Who opens the session, answering or calling, is :mod:`sip_incoming` and
:mod:`sip_outgoing`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from aiosipua.message import SipRequest, SipResponse

from voicebot.telephony.sip.call_media import SDP, CallMedia
from voicebot.telephony.sip.multipart import MultipartError, split
from voicebot.telephony.sip.session_refresh import refresh
from voicebot.telephony.sip.session_timer import (
    Refresher,
    SessionTimer,
    agree,
    put_response,
)
from voicebot.telephony.sip.sip_core import NoAnswerError, SipCore
from voicebot.telephony.sip.sip_dialog import Dialog, OutOfOrderError
from voicebot.telephony.sip.sip_rules import (
    capabilities,
    dtmf_of,
    refusal,
    refuse_body,
    refuse_extensions,
    refuse_method,
    reply,
)
from voicebot.telephony.sip.sip_transactions import ServerTransaction

_RETRY_SECONDS: Final = "3"
"""s; within RFC 3261 section 14.2's 0-10"""


class SessionState(StrEnum):
    """Where a session is."""

    EARLY = "early"
    """the INVITE has no final response"""
    ANSWERED = "answered"
    """our 2xx waits for its ACK"""
    CONFIRMED = "confirmed"
    ENDING = "ending"
    """our BYE is under way"""
    ENDED = "ended"


class CallState(StrEnum):
    """How far a call that came to us has come."""

    ARRIVED = "arrived"
    RINGING = "ringing"
    TALKING = "talking"
    """answered; its session says whether that is confirmed"""
    TRANSFERRING = "transferring"
    BRIDGED = "bridged"
    """with an agent whom we called; we go on listening"""
    ENDED = "ended"


class SipSession:
    """A dialog with media.

    Args:
        core: Shared.
        dialog: Entered into the table of dialogs until :meth:`forget`.
        media: What offers and answers are about; closed by the owner.
        state: EARLY or CONFIRMED.
        allow: Methods that the peer takes, in lower case; empty if it did not say.

    Attributes:
        on_ended: Called once, when it ends by anything but :meth:`bye`: ``hangup``,
            ``no_ack``, ``line_lost``.
        on_notify: Given each NOTIFY of event ``refer``.
        on_prack: Given each PRACK; None answers 481.
    """

    def __init__(
        self,
        core: SipCore,
        dialog: Dialog,
        media: CallMedia | None,
        state: SessionState,
        allow: set[str],
    ) -> None:
        self.core = core
        self.dialog = dialog
        self.state = state
        self.media = media
        self.on_ended: Callable[[str], None] = lambda reason: None
        self.on_notify: Callable[[SipRequest], bool] | None = None
        self.on_prack: Callable[[ServerTransaction], None] | None = None
        self.timer = SessionTimer(self._refresh, self._expired)
        self.confirmed = asyncio.Event()
        """set once the session is confirmed, or over"""
        self.over = asyncio.Event()
        """set once no more media can flow"""
        self.allow = allow
        self.answerer = core.answerer()
        self.calls = state is SessionState.CONFIRMED
        """whether we made the call, and its Call-ID"""
        self.answering = False
        """a re-INVITE or UPDATE of the peer is being negotiated"""
        self.asking = False
        """a re-INVITE of ours is under way"""
        self._offered = False
        """our offer in a 2xx waits for the answer in the ACK"""
        core.dialogs[dialog.key] = self
        if state is SessionState.CONFIRMED:
            self.confirmed.set()

    # ------------------------------------------------------------- heard

    def on_request(self, transaction: ServerTransaction) -> None:
        """Take a request inside the dialog."""
        request = transaction.request
        if self.state in (SessionState.ENDING, SessionState.ENDED):
            self._after_end(transaction)
            return
        try:
            self.dialog.take(request, transaction.source)
        except OutOfOrderError:
            transaction.respond(reply(request, 500, retry_after=_RETRY_SECONDS))
            return
        refused = refuse_method(request) or refuse_extensions(
            request, self.media.options if self.media else ()
        )
        if refused is not None:
            transaction.respond(refused)
            return
        match request.method:
            case "BYE":
                transaction.respond(reply(request, 200))
                self.end("hangup")
            case "INVITE" | "UPDATE":
                self._renegotiate(transaction)
            case "PRACK" if self.on_prack is not None:
                self.on_prack(transaction)
            case "PRACK":
                transaction.respond(reply(request, 481))
            case "INFO":
                self._info(transaction)
            case "NOTIFY":
                self._notify(transaction)
            case "OPTIONS":
                transaction.respond(capabilities(request))
            case _:  # an ACK or CANCEL never comes as a transaction
                transaction.respond(reply(request, 481))

    def on_ack(self, ack: SipRequest) -> None:
        """Take the ACK of a 2xx; with the answer, if the offer was ours."""
        if self.state is SessionState.ANSWERED:
            self.state = SessionState.CONFIRMED
            self.confirmed.set()
        if self._offered and self.state is SessionState.CONFIRMED:
            self._offered = False
            self.core.spawn(self.take_answer(ack), "sip-answer")

    def offered(self) -> None:
        """Our 2xx carries an offer: the ACK must carry the answer."""
        self._offered = True

    # ------------------------------------------------------------- ends

    def end(self, reason: str) -> None:
        """It is over, without a BYE of ours."""
        if self.state is SessionState.ENDED:
            return
        self._stop(SessionState.ENDED)
        self.on_ended(reason)

    async def bye(self) -> None:
        """End it by BYE and forget it; returns when that is answered or given up."""
        if self.state in (SessionState.ENDING, SessionState.ENDED):
            self.forget()
            return
        unacknowledged = self.state is SessionState.ANSWERED
        self._stop(SessionState.ENDING)
        if unacknowledged:  # RFC 3261 section 15: no BYE before the ACK; but not for ever
            await asyncio.sleep(2 * self.core.t1)
        try:
            request = self.dialog.request("BYE")
            hop = await self.core.hop_of(self.dialog)
            self.core.dress(request, hop)
            await self.core.ask(request, hop, self.answerer, self.dialog)
        except (NoAnswerError, ValueError) as error:
            self.core.faults.count("sip_bye_unanswered", why=str(error))
        finally:
            self.state = SessionState.ENDED
            self.forget()

    def forget(self) -> None:
        """Take it out of the table: whatever comes now gets 481."""
        if self.core.dialogs.get(self.dialog.key) is self:
            del self.core.dialogs[self.dialog.key]

    def _stop(self, state: SessionState) -> None:
        self.state = state
        self.timer.stop()
        self.confirmed.set()
        self.over.set()

    def break_off(self, reason: str) -> None:
        """End it by BYE, for a fault."""
        if self.state in (SessionState.ENDING, SessionState.ENDED):
            return
        self.core.spawn(self.bye(), "sip-bye")
        self.on_ended(reason)

    def no_ack(self) -> None:
        """Nobody acknowledged our 2xx within 64*T1 (RFC 3261 section 13.3.1.4)."""
        self.core.faults.count("sip_no_ack")
        if self.state is SessionState.ANSWERED:
            self.state = SessionState.CONFIRMED  # there is no ACK to wait for any more
        self.break_off("no_ack")

    def _after_end(self, transaction: ServerTransaction) -> None:
        """What may still come: a BYE that crossed ours, and NOTIFYs of a transfer."""
        request = transaction.request
        if request.method == "BYE":
            transaction.respond(reply(request, 200))
        elif request.method == "NOTIFY":
            self._notify(transaction)
        else:
            transaction.respond(reply(request, 481))

    # ------------------------------------------------------------- single requests

    def _info(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        if request.get_header("info-package"):  # RFC 6086: we have none
            transaction.respond(reply(request, 469, recv_info="nil"))
        elif (said := dtmf_of(request)) is not None and self.media is not None:
            transaction.respond(reply(request, 200))
            self.media.digit(*said)
        elif not request.body:
            transaction.respond(reply(request, 200))
        else:
            transaction.respond(reply(request, 415, accept="application/dtmf-relay"))

    def _notify(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        event = (request.get_header("event") or "").partition(";")[0].strip().lower()
        if event != "refer":
            transaction.respond(reply(request, 489, allow_events="refer"))
        elif self.on_notify is not None and self.on_notify(request):
            transaction.respond(reply(request, 200))
        else:
            transaction.respond(reply(request, 481))

    # ------------------------------------------------------------- negotiation, theirs

    def _renegotiate(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        offers = request.method == "INVITE" or bool(request.body)
        if offers and (self.asking or self._offered):
            transaction.respond(reply(request, 491))  # glare, RFC 3261 section 14.2
        elif offers and (self.answering or self.state is SessionState.EARLY):
            transaction.respond(reply(request, 500, retry_after=_RETRY_SECONDS))
        elif (refused := refuse_body(request)) is not None:
            transaction.respond(refused)
        else:
            self.answering = offers
            self.core.spawn(self._negotiate(transaction), "sip-renegotiate")

    async def _negotiate(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        cancelled = False

        def on_cancel() -> None:
            nonlocal cancelled
            cancelled = True

        transaction.on_cancel = on_cancel
        try:
            agreed = agree(request, self.core.params.timer)
            body = None
            offered = False
            if self.media is not None:
                if _has_sdp(request):
                    body = await self.media.take_offer(request)
                else:
                    self.media.take_rest(request)
                    if request.method == "INVITE":
                        body, offered = await self.media.make_offer(), True
            if cancelled or self.state in (SessionState.ENDING, SessionState.ENDED):
                transaction.respond(reply(request, 487))
                return
        except Exception as error:
            # Whatever is wrong with the new description, the call goes on by the old one.
            self.core.faults.count("sip_renegotiation_refused", error=type(error).__name__)
            transaction.respond(refusal(request, error))
            return
        finally:
            self.answering = False
        response = reply(request, 200)
        self.core.dress(response, transaction.source, self.media)
        put_response(response, agreed)
        self.timer.restart(agreed, agreed is not None and agreed.refresher is Refresher.UAS)
        if body is not None:
            body.put(response)
        if request.method == "INVITE":
            self._offered = offered
            transaction.on_ack_timeout = self.no_ack
        transaction.respond(response)

    async def take_answer(self, message: SipRequest | SipResponse) -> None:
        """Take the answer to an offer of ours; a bad one ends the call."""
        try:
            if self.media is not None:
                await self.media.take_answer(message)
        except Exception as error:
            self.core.faults.count("sip_bad_answer", error=type(error).__name__)
            self.break_off("line_error")

    def _refresh(self) -> None:
        self.core.spawn(refresh(self), "sip-refresh")

    def _expired(self) -> None:
        self.core.faults.count("sip_session_expired")
        self.break_off("line_lost")


def _has_sdp(request: SipRequest) -> bool:
    """Whether a body is, or may have, a session description."""
    kind = (request.content_type or "").partition(";")[0].strip().lower()
    if not request.body or not kind.startswith("multipart/"):
        return bool(request.body) and kind in (SDP, "")
    try:
        parts = split(request.content_type or "", request.body)
    except MultipartError:
        return True  # and taking it says what is wrong
    # A recording client may send metadata alone, in a body of one part.
    return any(part.kind == SDP for part in parts) or not any(
        part.kind.startswith("application/rs-metadata") for part in parts
    )
