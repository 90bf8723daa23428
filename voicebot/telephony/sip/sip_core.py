"""What all calls of a SIP endpoint share: the layer below, the table of dialogs, tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from aiosipua.message import SipRequest, SipResponse

import voicebot
from voicebot.params import Params, key
from voicebot.tasks import Tasks
from voicebot.telephony.faults import Faults
from voicebot.telephony.line import LineError
from voicebot.telephony.media.media_session import MediaParams
from voicebot.telephony.media.ports import PortPool
from voicebot.telephony.sip.call_media import CallMedia
from voicebot.telephony.sip.digest import Answerer, Credentials
from voicebot.telephony.sip.session_timer import SessionTimerParams
from voicebot.telephony.sip.sip_dialog import Dialog, DialogKey
from voicebot.telephony.sip.sip_messages import cseq_of
from voicebot.telephony.sip.sip_transactions import ServerTransaction, SipLayer
from voicebot.telephony.sip.sip_transport import Hop

ALLOW: Final = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, INFO, NOTIFY"
"""methods that are taken"""
SUPPORTED: Final = ("100rel", "timer")
"""option tags of every call; a call recording has more"""
_MAX_TRIES: Final = 4
"""of one request: plain, with credentials of two realms, once stale"""


class NoAnswerError(Exception):
    """A request of ours got no final response.

    Args:
        why: ``timeout`` or ``unreachable``.
    """


class TransferParams(Params):
    """How callers are handed over."""

    ring_seconds: float = key(
        30.0, "How long an agent's phone may ring.", unit="s", gt=0.0, le=300.0
    )
    report_seconds: float = key(
        3.0,
        "How long after that the caller's side may take to say how the transfer ended.",
        unit="s",
        ge=0.0,
        le=60.0,
    )
    bye_seconds: float = key(
        2.0,
        "After the agent answered: how long to wait for the caller's side to end our part of the "
        "call before we do.",
        unit="s",
        ge=0.0,
        le=60.0,
    )
    embed_headers: bool = key(
        True,
        "Whether alert id and briefing are put into the Refer-To address too, so that the PBX "
        "passes them on to the agent's phone. Some PBXs refuse such addresses.",
    )
    bridge: bool = key(
        True,
        "Whether we call the agent ourselves and join the two where the caller's side refuses "
        "REFER.",
    )


class CallParams(Params):
    """What happens within one call."""

    ring_first: bool = key(True, "Whether 180 Ringing is sent before the call is answered.")
    answer_seconds: float = key(
        10.0, "Longest time from INVITE to our final response.", unit="s", gt=0.0, le=180.0
    )
    most_calls: int = key(
        1000,
        "Dialogs at once, whatever the engine would take; a peer cannot fill our memory.",
        ge=1,
        le=100_000,
    )
    timer: SessionTimerParams = key(SessionTimerParams(), "Session timers.")
    transfer: TransferParams = key(TransferParams(), "Handing callers over.")


class InDialog(Protocol):
    """Whoever owns a dialog."""

    def on_request(self, transaction: ServerTransaction) -> None:
        """Take a request inside the dialog."""
        ...

    def on_ack(self, ack: SipRequest) -> None:
        """Take the ACK of a 2xx of ours."""
        ...


@dataclass(slots=True)
class SipCore:
    """Shared by all calls of one endpoint; made by it."""

    layer: SipLayer
    params: CallParams
    media: MediaParams
    pool: PortPool
    user: str
    """our name in From and Contact"""
    t1: float
    """s; RFC 3261's T1"""
    aor: str = ""
    """``<sip:...>`` that we are registered as, if we are"""
    credentials: Sequence[Credentials] = ()
    faults: Faults = field(default_factory=lambda: Faults("sip"))
    dialogs: dict[DialogKey, InDialog] = field(default_factory=dict)
    tasks: Tasks = field(init=False)

    def __post_init__(self) -> None:
        self.tasks = Tasks("sip", self._failed)

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run something beside; an error in it is logged and counted, never lost."""
        return self.tasks.spawn(coroutine, name)

    def _failed(self, name: str, error: BaseException) -> None:
        self.faults.count("sip_internal_error", task=name, error=repr(error)[:200])

    def answerer(self) -> Answerer:
        """Something that answers challenges, for one dialog."""
        return Answerer(list(self.credentials))

    async def hop_of(self, dialog: Dialog) -> Hop:
        """Where requests of a dialog go.

        Raises:
            NoAnswerError: there is no way.
        """
        if dialog.way is not None:
            return dialog.way
        try:
            return await self.layer.resolve(dialog.next_hop)
        except (LineError, ValueError) as error:
            raise NoAnswerError("unreachable") from error

    def send_ack(self, request: SipRequest, hop: Hop) -> None:
        """Send the ACK for a 2xx; a peer that is gone by now is nobody's trouble."""
        try:
            self.layer.send_ack(request, hop)
        except (LineError, OSError, ValueError) as error:
            self.faults.count("sip_ack_unsent", error=str(error)[:200])

    def contact(self, hop: Hop, media: CallMedia | None = None) -> str:
        """Our Contact towards a hop, with what this kind of call adds to it."""
        return self.layer.contact(hop, self.user) + (media.contact_parameters if media else "")

    def identity(self, hop: Hop) -> str:
        """Who we are in From and Referred-By: ``<sip:...>``."""
        return self.aor or self.layer.contact(hop, self.user)

    def dress(
        self, message: SipRequest | SipResponse, hop: Hop, media: CallMedia | None = None
    ) -> None:
        """Add what requests of ours, and 1xx and 2xx to INVITE and UPDATE, carry."""
        message.set_header("Contact", self.contact(hop, media))
        if isinstance(message, SipResponse):
            message.set_header("Server", agent())
        else:
            message.set_header("User-Agent", agent())
            if message.method not in ("INVITE", "UPDATE"):
                return
        message.set_header("Allow", ALLOW)
        more = media.options if media else ()
        message.set_header("Supported", ", ".join((*SUPPORTED, *more)))

    async def ask(
        self,
        request: SipRequest,
        hop: Hop,
        answerer: Answerer,
        dialog: Dialog | None = None,
        make_ack: Callable[[int], SipRequest] | None = None,
    ) -> SipResponse:
        """Send a request, answer challenges, wait for the final response.

        Args:
            request: Without Via.
            hop: Where to.
            answerer: Has the credentials.
            dialog: Its counter follows when a challenge wants another CSeq.
            make_ack: For a re-INVITE: makes the ACK of a 2xx, which is sent however often that
                comes.

        Raises:
            NoAnswerError: none came.
        """
        answerer.authorise(request)
        for _ in range(_MAX_TRIES):
            try:
                response = await self._once(request, hop, make_ack)
            except NoAnswerError as error:
                if dialog is None or dialog.way is None or str(error) != "unreachable":
                    raise
                dialog.way = None  # that connection is gone: by the Contact, then
                hop = await self.hop_of(dialog)
                response = await self._once(request, hop, make_ack)
            if response.status_code not in (401, 407):
                return response
            again = answerer.answer(request, response)
            if again is None:
                return response
            if dialog is not None:
                # Another request may have been counted meanwhile.
                dialog.local_seq = max(dialog.local_seq + 1, cseq_of(again).seq)
                again.set_header("CSeq", f"{dialog.local_seq} {again.method}")
            request = again
        return response

    async def _once(
        self, request: SipRequest, hop: Hop, make_ack: Callable[[int], SipRequest] | None
    ) -> SipResponse:
        done: asyncio.Future[SipResponse] = asyncio.get_running_loop().create_future()
        acks: list[SipRequest] = []

        def on_response(response: SipResponse) -> None:
            if make_ack is not None and 200 <= response.status_code < 300:
                if not acks:
                    acks.append(make_ack(cseq_of(response).seq))
                self.send_ack(acks[0], hop)
            if response.status_code >= 200 and not done.done():
                done.set_result(response)

        def on_failure(why: str) -> None:
            if not done.done():
                done.set_exception(NoAnswerError(why))

        self.layer.request(request, hop, on_response, on_failure)
        return await done


def agent() -> str:
    """Value of User-Agent and Server."""
    return f"voicebot/{voicebot.__version__}"
