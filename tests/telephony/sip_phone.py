"""A telephone for the tests of SIP sessions: does what it is told, right or wrong."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiosipua.message import SipRequest, SipResponse

from tests.telephony.receiving import Desk, Heard
from tests.telephony.sip_help import FAST
from voicebot.telephony.media.media_session import MediaParams
from voicebot.telephony.sip.call_media import SiprecHandler
from voicebot.telephony.sip.sip_core import CallParams, TransferParams
from voicebot.telephony.sip.sip_dialog import Dialog
from voicebot.telephony.sip.sip_endpoint import SipEndpoint, SipEndpointParams
from voicebot.telephony.sip.sip_incoming import IncomingCall
from voicebot.telephony.sip.sip_messages import cseq_of, new_call_id, new_tag, response_to
from voicebot.telephony.sip.sip_params import Hop
from voicebot.telephony.sip.sip_session import SipSession
from voicebot.telephony.sip.sip_transactions import ClientTransaction, ServerTransaction, SipLayer

MEDIA = MediaParams(port_low=0, port_high=0, reorder_ms=20)
IMPATIENT = FAST.model_copy(update={"t1_seconds": 0.0005, "t2_seconds": 0.002})
"""gives up after 32 ms"""
QUICK = TransferParams(ring_seconds=0.5, report_seconds=0.05, bye_seconds=0.05)
CALL = CallParams(transfer=QUICK)


@dataclass
class Phone:
    """A user agent whose answers are plain functions."""

    layer: SipLayer
    rtp: socket.socket
    requests: list[ServerTransaction] = field(default_factory=list)
    acks: list[SipRequest] = field(default_factory=list)
    answers: dict[str, Callable[[ServerTransaction], None]] = field(default_factory=dict)
    """by method; others get 200"""
    dialog: Dialog | None = None
    """of the call that :meth:`invite` made"""
    provisional: list[SipResponse] = field(default_factory=list)
    answer: SipResponse = field(default_factory=SipResponse)
    """to the last :meth:`invite`"""
    telling: asyncio.Future[None] | None = None

    @property
    def hop(self) -> Hop:
        return self.layer.listeners[0]

    @property
    def uri(self) -> str:
        return f"sip:phone@127.0.0.1:{self.hop.port}"

    def sdp(self, formats: str = "0 101", more: str = "", version: int = 1) -> bytes:
        port = self.rtp.getsockname()[1]
        return (
            f"v=0\r\no=- 7 {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP {formats}\r\na=rtpmap:101 telephone-event/8000\r\n{more}"
        ).encode()

    def heard(self, method: str) -> list[SipRequest]:
        return [each.request for each in self.requests if each.request.method == method]

    def on_request(self, transaction: ServerTransaction) -> None:
        self.requests.append(transaction)
        answer = self.answers.get(transaction.request.method)
        if answer is not None:
            answer(transaction)
        else:
            transaction.respond(response_to(transaction.request, 200))

    # --- what it sends ---

    def make_invite(
        self, to: Hop, body: bytes | None = None, call_id: str = "", **more: str
    ) -> SipRequest:
        request = SipRequest(method="INVITE", uri=f"sip:queue@127.0.0.1:{to.port}")
        request.set_header("From", f'"A" <sip:alice@127.0.0.1>;tag={new_tag()}')
        request.set_header("To", f"<sip:queue@127.0.0.1:{to.port}>")
        request.set_header("Call-ID", call_id or new_call_id())
        request.set_header("CSeq", "1 INVITE")
        request.set_header("Contact", f"<{self.uri}>")
        if body is None or body:
            request.set_header("Content-Type", "application/sdp")
            request.body = self.sdp() if body is None else body
        for name, value in more.items():
            request.set_header(name.replace("_", "-"), value)
        return request

    async def send(
        self, request: SipRequest, to: Hop, *, on_client: Callable[[ClientTransaction], object] = id
    ) -> SipResponse:
        done: asyncio.Future[SipResponse] = asyncio.get_running_loop().create_future()

        def on_response(response: SipResponse) -> None:
            if response.status_code < 200:
                self.provisional.append(response)
            elif not done.done():
                done.set_result(response)

        def on_failure(why: str) -> None:
            if not done.done():
                done.set_exception(ConnectionError(why))

        on_client(self.layer.request(request, to, on_response, on_failure))
        async with asyncio.timeout(3.0):
            return await done

    async def invite(
        self, to: Hop, body: bytes | None = None, ack: bool = True, **more: str
    ) -> SipResponse:
        """Call; the ACK has our SDP if the offer was theirs."""
        request = self.make_invite(to, body, more.pop("call_id", ""), **more)
        response = self.answer = await self.send(request, to)
        if response.status_code < 300:
            self.dialog = Dialog.of_response(request, response)
            if ack:
                self.ack(1, b"" if request.body else self.sdp())
        return response

    def ack(self, seq: int, body: bytes = b"") -> None:
        assert self.dialog is not None
        ack = self.dialog.ack(seq)
        if body:
            ack.set_header("Content-Type", "application/sdp")
            ack.body = body
        uri = self.dialog.next_hop
        assert uri.port
        self.layer.send_ack(ack, Hop("udp", uri.host, uri.port))

    async def ask(
        self, method: str, body: bytes = b"", kind: str = "application/sdp", **more: str
    ) -> SipResponse:
        """A request within the call; a 2xx to INVITE is acknowledged."""
        assert self.dialog is not None
        request = self.dialog.request(method)
        request.set_header("Contact", f"<{self.uri}>")
        if body:
            request.set_header("Content-Type", kind)
            request.body = body
        for name, value in more.items():
            request.set_header(name.replace("_", "-"), value)
        uri = self.dialog.next_hop
        assert uri.port
        response = await self.send(request, Hop("udp", uri.host, uri.port))
        if method == "INVITE" and response.status_code < 300:
            self.ack(cseq_of(request).seq, b"" if body else self.sdp())
        return response

    def notify(self, status: str, state: str = "active;expires=60") -> asyncio.Task[SipResponse]:
        """Tell how a REFER goes on."""
        return asyncio.ensure_future(
            self.ask(
                "NOTIFY",
                f"SIP/2.0 {status}\r\n".encode(),
                "message/sipfrag;version=2.0",
                Event="refer",
                Subscription_State=state,
            )
        )

    def answer_calls(self, status: int = 200, to_tag: str = "agent") -> None:
        """Answer INVITEs; the dialog is kept, as the called side's."""

        def answer(transaction: ServerTransaction) -> None:
            response = response_to(transaction.request, status, to_tag=to_tag)
            if status < 300:
                response.set_header("Contact", f"<{self.uri}>")
                response.set_header("Content-Type", "application/sdp")
                response.body = self.sdp()
                transaction.to_tag = to_tag
                self.dialog = Dialog.of_request(transaction.request, to_tag)
            transaction.respond(response)

        self.answers["INVITE"] = answer


@asynccontextmanager
async def phone() -> AsyncIterator[Phone]:
    rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    rtp.bind(("127.0.0.1", 0))
    rtp.setblocking(False)
    made: list[Phone] = []
    layer = SipLayer(
        FAST,
        lambda transaction: made[0].on_request(transaction),
        lambda ack, hop: made[0].acks.append(ack),
    )
    made.append(Phone(layer, rtp))
    await layer.start()
    try:
        yield made[0]
    finally:
        await layer.close()
        rtp.close()


@asynccontextmanager
async def endpoint(
    desk: Desk,
    call: CallParams = CALL,
    siprec: SiprecHandler | None = None,
    **more: object,
) -> AsyncIterator[SipEndpoint]:
    """An endpoint on ports from the system; when it is closed nothing may be left."""
    params = SipEndpointParams.model_validate({"signalling": FAST, "call": call, **more})
    pool = MEDIA.pool()
    made = SipEndpoint(params, MEDIA, desk, pool, siprec)
    await made.start()
    try:
        yield made
    finally:
        await made.close()
        assert pool.in_use == 0, "a media port leaks"
        assert made.calls == 0, "a call leaks"
        assert made.dialogs == 0, "a dialog leaks"
        assert made.counters.get("sip_internal_error", 0) == 0, made.counters


def session_of(ear: Heard) -> SipSession:
    """The session below a call."""
    assert isinstance(ear.line, IncomingCall)
    return ear.line.session
