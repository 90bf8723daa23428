"""One phone of those that ring for a call of ours: its early dialog (RFC 3261 section 12)."""

from __future__ import annotations

from aiosipua.message import SipRequest, SipResponse

from voicebot.telephony.sip.call_media import CallMedia
from voicebot.telephony.sip.sip_core import SipCore
from voicebot.telephony.sip.sip_dialog import Dialog, OutOfOrderError
from voicebot.telephony.sip.sip_rules import (
    capabilities,
    refusal,
    refuse_body,
    refuse_method,
    reply,
)
from voicebot.telephony.sip.sip_transactions import ServerTransaction


class EarlyDialog:
    """Takes what a ringing phone may ask: UPDATE, as PBXs send for early media (RFC 3311).

    Args:
        core: Shared; its table knows the dialog until :meth:`forget`.
        dialog: None for a response without Contact: it rings, and that is all.
        media: Of the call.
    """

    def __init__(self, core: SipCore, dialog: Dialog | None, media: CallMedia) -> None:
        self.dialog = dialog
        self.number: int | None = None
        """RSeq of the last reliable response"""
        self.described: SipResponse | None = None
        """the response that had the answer to our offer"""
        self.renegotiated = False
        """an UPDATE made that answer a thing of the past"""
        self._core = core
        self._media = media
        if dialog is not None:
            core.dialogs.setdefault(dialog.key, self)

    def forget(self) -> None:
        """The call is answered, or over."""
        if self.dialog is not None and self._core.dialogs.get(self.dialog.key) is self:
            del self._core.dialogs[self.dialog.key]

    def on_ack(self, ack: SipRequest) -> None:
        """There is no INVITE of theirs to acknowledge."""

    def on_request(self, transaction: ServerTransaction) -> None:
        """Take a request of the ringing phone."""
        request = transaction.request
        assert self.dialog is not None
        try:
            self.dialog.take(request)
        except OutOfOrderError:
            transaction.respond(reply(request, 500, retry_after="3"))
            return
        refused = refuse_method(request)
        if refused is not None:
            transaction.respond(refused)
        elif request.method == "OPTIONS":
            transaction.respond(capabilities(request))
        elif request.method != "UPDATE":
            transaction.respond(reply(request, 481))
        elif not request.body:
            self._accept(transaction)
        elif self.described is None:  # our offer waits for its answer (RFC 3311 section 5.2)
            transaction.respond(reply(request, 491))
        elif (refused := refuse_body(request)) is not None:
            transaction.respond(refused)
        else:
            self._core.spawn(self._update(transaction), "sip-early-update")

    async def _update(self, transaction: ServerTransaction) -> None:
        try:
            body = await self._media.take_offer(transaction.request)
        except Exception as error:
            transaction.respond(refusal(transaction.request, error))
            return
        self.renegotiated = True
        response = reply(transaction.request, 200)
        body.put(response)
        self._core.dress(response, transaction.source, self._media)
        transaction.respond(response)

    def _accept(self, transaction: ServerTransaction) -> None:
        response = reply(transaction.request, 200)
        self._core.dress(response, transaction.source, self._media)
        transaction.respond(response)
