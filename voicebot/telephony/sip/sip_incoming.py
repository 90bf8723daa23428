"""A call that came to us: from INVITE to its end, and the line that the engine holds of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiosipua.headers import SipUri
from aiosipua.message import SipRequest

from voicebot.events import Leg, Pcm
from voicebot.telephony.line import (
    Briefing,
    Ear,
    MediaFigures,
    Offer,
    Reception,
    RefusedError,
    Transferred,
)
from voicebot.telephony.sip import reliable
from voicebot.telephony.sip.call_media import Body, CallMedia
from voicebot.telephony.sip.session_timer import Agreed, Refresher, agree, put_response
from voicebot.telephony.sip.sip_core import SipCore
from voicebot.telephony.sip.sip_dialog import Dialog
from voicebot.telephony.sip.sip_headers import parse_address, parse_uri
from voicebot.telephony.sip.sip_messages import call_id_of, from_of
from voicebot.telephony.sip.sip_rules import refusal, reply, tags
from voicebot.telephony.sip.sip_session import CallState, SessionState, SipSession
from voicebot.telephony.sip.sip_transactions import ServerTransaction
from voicebot.telephony.sip.sip_transfer import Handover

_HANG_UP_SECONDS: Final = 2.0
"""s that :meth:`IncomingCall.hang_up` waits for the answer to BYE; it goes on beside"""
_MOST_PARAMETERS: Final = 32
"""``X-`` headers of an INVITE that are kept"""


def offer_of(request: SipRequest, peer: str, gateway: str) -> Offer:
    """What is known of a call from its INVITE; legs and rate follow from the media.

    Raises:
        ValueError: The headers cannot be read.
    """
    caller = from_of(request)
    with contextlib.suppress(ValueError):  # asserted badly is not asserted
        caller = parse_address(request.get_header("p-asserted-identity") or "")
    parameters = {
        name.lower(): values[0]
        for name, values in request.headers.items()
        if name.lower().startswith("x-")
    }
    return Offer(
        gateway=gateway,
        reference=call_id_of(request),
        peer=peer,
        legs=(Leg.CALLER,),
        rate=8000,
        called=parse_uri(request.uri).user or "",
        caller=caller.uri.user or "",
        parameters=dict(list(parameters.items())[:_MOST_PARAMETERS]),
    )


class IncomingCall:
    """One call, and its :class:`voicebot.telephony.line.Line`.

    Args:
        core: Shared.
        transaction: The INVITE.
        reception: Takes calls in.
        gateway: ``sip`` or ``siprec``.
        open_media: Makes the media of this kind of call.
        on_closed: Called once when nothing is left of it.

    Raises:
        ValueError: The INVITE opens no dialog: no usable Contact.
    """

    def __init__(
        self,
        core: SipCore,
        transaction: ServerTransaction,
        reception: Reception,
        gateway: str,
        open_media: Callable[[SipRequest], Awaitable[CallMedia]],
        on_closed: Callable[[IncomingCall], None],
    ) -> None:
        self.core = core
        self.state = CallState.ARRIVED
        self.media: CallMedia | None = None
        self._invite = transaction
        self._reception = reception
        self._open_media = open_media
        self._on_closed = on_closed
        self._ear: Ear | None = None
        self._reliable: reliable.Reliable | None = None
        self._offered_early = False
        self._closing: asyncio.Task[None] | None = None
        self._handover: Handover | None = None
        request = transaction.request
        peer = str(transaction.source).partition(":")[2]
        self._offer = offer_of(request, peer, gateway)
        self.session = SipSession(
            core,
            Dialog.of_request(request, transaction.to_tag),
            None,
            SessionState.EARLY,
            tags(request, "allow"),
        )
        self.session.dialog.come_from(transaction.source)
        self.session.on_ended = self._finish
        self.session.on_notify = self._on_notify
        self.session.on_prack = self._on_prack
        transaction.on_cancel = lambda: self._abandon("cancelled")
        self._answering = core.spawn(self._answer(), "sip-answer-call")

    # ------------------------------------------------------------- answering

    async def _answer(self) -> None:
        request = self._invite.request
        try:
            async with asyncio.timeout(self.core.params.answer_seconds):
                agreed = agree(request, self.core.params.timer)
                self.media = await self._open_media(request)
                self.session.media = self.media
                if request.body:
                    body = await self.media.take_offer(request)
                else:
                    body = await self.media.make_offer()
                self._ear = self._reception.receive(self.media.describe(self._offer), self)
                self.media.begin(self._ear)
            await self._ring(body, agreed)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self._refuse(error)

    def _refuse(self, error: Exception) -> None:
        if isinstance(error, TimeoutError):
            response = reply(self._invite.request, 504)
            self.core.faults.count("sip_answer_timeout")
        else:
            response = refusal(self._invite.request, error)
            name = "sip_refused" if isinstance(error, RefusedError) else "sip_unanswerable_offer"
            if response.status_code == 500:
                name = "sip_internal_error"
            self.core.faults.count(name, status=response.status_code, error=type(error).__name__)
        self._invite.respond(response)
        self.session.end("line_error")

    async def _ring(self, body: Body, agreed: Agreed | None) -> None:
        request = self._invite.request
        offered = not request.body
        if reliable.OPTION in tags(request, "require"):
            # RFC 3262 section 3: no 2xx before the PRACK.  The description goes with it, since the
            # first reliable message must carry the offer where the INVITE has none.
            self.state = CallState.RINGING
            self._reliable = reliable.Reliable(self._invite, self.core.t1)
            self._offered_early = offered
            early = reply(request, 180 if self.core.params.ring_first else 183)
            self.core.dress(early, self._invite.source, self.media)
            body.put(early)
            await self._reliable.send(early)
            self._accept(None, agreed, offered=False)
            return
        if self.core.params.ring_first:
            self.state = CallState.RINGING
            ringing = reply(request, 180)
            self.core.dress(ringing, self._invite.source, self.media)
            self._invite.respond(ringing)
        self._accept(body, agreed, offered=offered)

    def _accept(self, body: Body | None, agreed: Agreed | None, *, offered: bool) -> None:
        if self.session.state is not SessionState.EARLY:
            return
        response = reply(self._invite.request, 200)
        self.core.dress(response, self._invite.source, self.media)
        put_response(response, agreed)
        if body is not None:
            body.put(response)
        if offered:
            self.session.offered()
        self.state = CallState.TALKING
        self.session.state = SessionState.ANSWERED
        self.session.timer.restart(agreed, agreed is not None and agreed.refresher is Refresher.UAS)
        self._invite.on_ack_timeout = self.session.no_ack
        self._invite.respond(response)

    def _on_prack(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        if self._reliable is None or not self._reliable.taken(request):
            transaction.respond(reply(request, 481))
        elif self._offered_early or request.body:
            self.core.spawn(self._prack_with_body(transaction), "sip-prack")
        else:
            transaction.respond(reply(request, 200))
            self._reliable.done()

    async def _prack_with_body(self, transaction: ServerTransaction) -> None:
        """The answer to our offer, or another offer (RFC 3262 section 5)."""
        assert self.media is not None
        assert self._reliable is not None
        response = reply(transaction.request, 200)
        try:
            if self._offered_early:
                await self.media.take_answer(transaction.request)
            else:
                (await self.media.take_offer(transaction.request)).put(response)
        except Exception as error:
            transaction.respond(refusal(transaction.request, error))
            self._refuse(error)
            return
        transaction.respond(response)
        self._reliable.done()

    # ------------------------------------------------------------- ending

    def _abandon(self, reason: str) -> None:
        """The caller gave up before we answered."""
        self.session.end(reason)

    def _finish(self, reason: str) -> None:
        """The session is over: a BYE came, or one is under way, or nothing was ever agreed."""
        if self._closing is not None:
            return
        early = self.state in (CallState.ARRIVED, CallState.RINGING)
        if early:
            self._answering.cancel()
            self._invite.respond(reply(self._invite.request, 487))  # dropped after a final one
        self._closing = self.core.spawn(self._close(reason), "sip-close-call")

    async def _close(self, reason: str) -> None:
        """Tell the ear and let go of everything; a hand-over under way may say better how it ended.

        The media go first: whatever the peer does, the ports are free.
        """
        self.state = CallState.ENDED
        try:
            if self.media is not None:
                await self.media.close()
            if self._handover is not None and await self._handover.line_ended():
                reason = "transferred"
            if self._ear is not None:
                self._ear.ended(reason)
        finally:
            if self.session.state is SessionState.ENDED:
                self.session.forget()
            self._on_closed(self)

    async def release(self) -> None:
        """Let go of what :meth:`hang_up` left when it was cut short."""
        self.session.timer.stop()
        if self.media is not None:
            await self.media.close()
        if self._handover is not None:
            await self._handover.part()
        if self._ear is not None:
            self._ear.ended("shutdown")
        self._on_closed(self)

    def _on_notify(self, notify: SipRequest) -> bool:
        return self._handover is not None and self._handover.on_notify(notify)

    # ------------------------------------------------------------- the line

    @property
    def home(self) -> SipUri:
        """The caller's remote target: where extensions are looked for."""
        return parse_uri(self.session.dialog.target)

    @property
    def can_speak(self) -> bool:
        """Whether the caller hears us."""
        return self.media is not None and self.media.can_speak and self.state is not CallState.ENDED

    def figures(self) -> Mapping[Leg, MediaFigures]:
        """How well the audio arrives."""
        return self.media.figures() if self.media is not None else {}

    async def play(self, pcm: Pcm) -> None:
        """Say something to the caller."""
        if self.media is not None and self.can_speak:
            await self.media.play(pcm)

    async def transfer(self, target: str, briefing: Briefing) -> Transferred:
        """Hand the caller over: by REFER, or by calling the agent where that is refused."""
        if self._handover is None:
            self._handover = Handover(self)
        return await self._handover.attempt(target, briefing)

    async def hang_up(self, reason: str) -> None:
        """End the call, whatever its state; ports are free even if the peer never answers."""
        if self.state in (CallState.ARRIVED, CallState.RINGING):
            if self._closing is None:
                self._invite.respond(reply(self._invite.request, 480))
            self.session.end(reason)
            if self._closing is not None:
                await asyncio.wait([self._closing])
            return
        bye = self.core.spawn(self.session.bye(), "sip-bye")
        self._finish(reason)
        await asyncio.wait([bye], timeout=_HANG_UP_SECONDS)
