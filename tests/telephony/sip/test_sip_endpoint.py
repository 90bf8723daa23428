"""The endpoint as a whole: what is outside of calls, passwords, loss, recording sessions."""

from __future__ import annotations

import asyncio
import random

import pytest
from aiosipua.message import SipRequest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.telephony.receiving import Desk
from tests.telephony.sip_help import FAST, make
from tests.telephony.sip_phone import IMPATIENT, MEDIA, Phone, endpoint, phone, session_of
from tests.telephony.torture import MESSAGES
from tests.waiting import until
from voicebot.telephony.line import Briefing, Gateway, LineError, TransferResult
from voicebot.telephony.sip.call_media import CallMedia
from voicebot.telephony.sip.digest import Credentials, answer
from voicebot.telephony.sip.leg_media import LegMedia
from voicebot.telephony.sip.sip_core import CallParams
from voicebot.telephony.sip.sip_endpoint import SipEndpoint, SipEndpointParams
from voicebot.telephony.sip.sip_messages import cseq_of
from voicebot.telephony.sip.sip_params import Hop
from voicebot.telephony.sip.sip_transactions import SipLayer
from voicebot.telephony.sip.sip_transport import Flow


def test_it_is_a_gateway() -> None:
    gateway: Gateway = SipEndpoint(SipEndpointParams(), MEDIA, Desk())
    assert gateway.name == "sip"
    assert dict(gateway.counters) == {}


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (make("OPTIONS"), 200),
        (make("OPTIONS", Max_Forwards="0"), 200),  # RFC 4475 section 3.3.11: we are the end
        (make("BYE"), 481),
        (make("UPDATE"), 481),
        (make("NOTIFY", Event="refer"), 481),
        (make("BYE", to="nobody"), 481),
        (make("INVITE", to="nobody"), 481),
        (make("REFER", Refer_To="<sip:x@y>"), 603),
        (make("REFER", to="nobody", Refer_To="<sip:x@y>"), 603),
        (make("SUBSCRIBE", Event="presence"), 405),
        (make("REGISTER"), 405),
        (make("DANCE"), 501),
        (make("OPTIONS", Require="x"), 420),
        (make("INVITE"), 400),  # no Contact
    ],
)
def test_outside_of_calls(request_: SipRequest, status: int) -> None:
    async def scene() -> None:
        async with phone() as caller, endpoint(Desk()) as sip:
            response = await caller.send(request_, sip.listeners[0])
            assert response.status_code == status
            if status in (405, 501, 200):
                assert "INVITE" in response.headers.get("allow")
            nobody = (request_.get_header("to") or "").endswith("nobody")
            counter = {400: "sip_unusable_invite"}.get(
                status, "sip_unknown_dialogs" if nobody else "sip_refused_requests"
            )
            harmless = status == 200 or (status == 481 and not nobody)
            assert dict(sip.counters) == ({} if harmless else {counter: 1})

    asyncio.run(scene())


def test_an_unknown_scheme() -> None:
    async def scene() -> None:
        async with phone() as caller, endpoint(Desk()) as sip:
            request = make("OPTIONS")
            request.uri = "gopher:hole"
            assert (await caller.send(request, sip.listeners[0])).status_code == 416

    asyncio.run(scene())


def test_callers_with_a_password() -> None:
    async def scene() -> None:
        desk = Desk()
        async with phone() as caller, endpoint(desk, users={"alice": "secret"}) as sip:
            request = caller.make_invite(sip.listeners[0])
            challenge = await caller.send(request, sip.listeners[0])
            assert challenge.status_code == 401
            wrong = answer(request, challenge, Credentials("alice", "guess"))
            assert wrong is not None
            assert (await caller.send(wrong, sip.listeners[0])).status_code == 401
            assert desk.calls == []
            again = answer(request, challenge, Credentials("alice", "secret"))
            assert again is not None
            again.set_header("CSeq", f"{cseq_of(wrong).seq + 1} INVITE")
            response = await caller.send(again, sip.listeners[0])
            assert response.status_code == 200
            assert len(desk.calls) == 1
            assert sip.counters["sip_credentials_missing"] == 1
            await desk.calls[0].line.hang_up("enough")

    asyncio.run(scene())


def test_the_names_that_we_give_ourselves() -> None:
    async def scene() -> None:
        desk = Desk()
        async with phone() as caller, endpoint(desk, user="hotline") as sip:
            answered = await caller.invite(sip.listeners[0])
            assert (answered.get_header("contact") or "").startswith("<sip:hotline@127.0.0.1:")
        async with phone() as caller, endpoint(desk, users={"a": "b"}, realm="desk.example") as sip:
            challenge = await caller.invite(sip.listeners[0])
            assert 'realm="desk.example"' in (challenge.get_header("www-authenticate") or "")

    asyncio.run(scene())


def test_dialogs_are_bounded() -> None:
    async def scene() -> None:
        desk = Desk()
        async with phone() as caller, endpoint(desk, CallParams(most_calls=2)) as sip:
            statuses = [(await caller.invite(sip.listeners[0])).status_code for _ in range(3)]
            assert statuses == [200, 200, 503]

    asyncio.run(scene())


def test_a_port_that_is_taken_is_an_error_of_the_user() -> None:
    async def scene() -> None:
        async with phone() as other:
            taken = FAST.model_copy(update={"listen": [f"udp:127.0.0.1:{other.hop.port}"]})
            sip = SipEndpoint(SipEndpointParams(signalling=taken), MEDIA, Desk())
            with pytest.raises(LineError):
                await sip.start()
            await sip.close()
            await sip.close()

    asyncio.run(scene())


# ------------------------------------------------------------- recording sessions


class Recorder:
    """A handler of recording sessions that is content with one leg."""

    def __init__(self) -> None:
        self.opened: list[SipRequest] = []

    async def open(self, invite: SipRequest) -> CallMedia:
        self.opened.append(invite)
        media = LegMedia(MEDIA, MEDIA.pool())
        media.can_speak = False
        media.options = ("siprec",)
        media.contact_parameters = ";+sip.srs"
        return media


def multipart(caller: Phone) -> bytes:
    return (
        b"--x\r\nContent-Type: application/sdp\r\n\r\n"
        + caller.sdp()
        + b"\r\n--x\r\nContent-Type: application/rs-metadata+xml\r\n\r\n<recording/>\r\n--x--\r\n"
    )


def test_a_recording_session_is_handed_over() -> None:
    async def scene() -> None:
        desk, recorder = Desk(), Recorder()
        async with phone() as caller, endpoint(desk, siprec=recorder) as sip:
            for headers in ({"Require": "siprec"}, {}):
                response = await caller.invite(
                    sip.listeners[0],
                    multipart(caller),
                    True,
                    Content_Type="multipart/mixed;boundary=x",
                    **headers,
                )
                assert response.status_code == 200
                assert (response.get_header("contact") or "").endswith(">;+sip.srs")
                assert "siprec" in response.headers.get("supported")
                line = desk.calls[-1].line
                assert desk.calls[-1].offer.gateway == "siprec"
                assert not line.can_speak
                result = await line.transfer("200", Briefing("a", "", "r"))
                assert result.result is TransferResult.UNSUPPORTED
            assert len(recorder.opened) == 2

    asyncio.run(scene())


def test_without_a_handler_a_recording_session_is_refused() -> None:
    async def scene() -> None:
        async with phone() as caller, endpoint(Desk()) as sip:
            response = await caller.invite(sip.listeners[0], Require="siprec")
            assert response.status_code == 420
            assert response.get_header("unsupported") == "siprec"

    asyncio.run(scene())


# ------------------------------------------------------------- a bad network


@pytest.mark.parametrize("seed", range(2))
def test_calls_survive_a_bad_network(seed: int) -> None:
    """A fifth of all datagrams is lost, a fifth comes twice, in both directions."""

    async def scene() -> None:
        desk = Desk()
        async with phone() as caller, endpoint(desk) as sip:
            dice = random.Random(seed)
            layer: SipLayer = caller.layer
            carrier = layer._carrier
            sent, received = carrier.send, layer._take_request

            def send(hop: Hop, data: bytes, failed: object, within: float | None = None) -> None:
                for _ in range(dice.choice((0, 1, 1, 1, 2))):
                    sent(hop, data, failed, within)  # type: ignore[arg-type]

            def take(request: SipRequest, flow: Flow) -> None:
                for _ in range(dice.choice((0, 1, 1, 1, 2))):
                    received(request, flow)

            carrier.send = send  # type: ignore[method-assign]
            layer._take_request = take  # type: ignore[method-assign]
            for _ in range(8):
                assert (await caller.invite(sip.listeners[0])).status_code == 200
                # The ACK may be lost; then the 200 comes again, and so must the ACK.
                for _ in range(6):
                    await asyncio.sleep(0.01)
                    caller.ack(1)
                assert (await caller.ask("OPTIONS")).status_code == 200
                assert (await caller.ask("BYE")).status_code == 200
            await until(lambda: sip.calls == 0)
            assert len(desk.calls) == 8, "not one more"
            assert all(each.reasons == ["hangup"] for each in desk.calls)

    asyncio.run(scene())


# ------------------------------------------------------------- hostile peers


class Nowhere:
    """Where a message came from, and where nothing goes back to."""

    hop = Hop("udp", "127.0.0.1", 9)

    def send(self, data: bytes, port: int = 0) -> bool:
        return True


HEADERS = (
    "Contact", "Record-Route", "Route", "From", "To", "Require", "Supported", "Accept", "Allow",
    "Session-Expires", "Min-SE", "Content-Type", "Content-Encoding", "P-Asserted-Identity",
    "X-Odd", "RAck", "Event", "Subscription-State", "Authorization", "Info-Package",
)  # fmt: skip
VIA = "SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK"
SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 9 RTP/AVP 0\r\n"
)
PIECES = st.sampled_from(
    ["<", ">", '"', ";", ",", "=", ":", "@", "sip:", "tag=", "x", "1", "99999999999", " ", "%",
     "[::1]", "lr", "siprec", "timer", "100rel", "refresher=uac", "multipart/mixed", "boundary=x"]
)  # fmt: skip
VALUES = st.lists(PIECES, max_size=8).map("".join)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["INVITE", "OPTIONS", "UPDATE", "NOTIFY", "PRACK", "INFO", "REFER"]),
    st.booleans(),
    st.dictionaries(
        st.sampled_from(HEADERS), st.lists(PIECES, max_size=8).map("".join), max_size=4
    ),
    st.one_of(st.binary(max_size=60), st.just(b"v=0\r\nm=audio 9 RTP/AVP 0\r\n")),
)
def test_no_request_breaks_anything(
    method: str, inside: bool, headers: dict[str, str], body: bytes
) -> None:
    """Whatever a request carries, within a call or not: no error of ours, nothing left behind."""

    async def scene() -> None:
        desk = Desk()
        async with endpoint(desk, siprec=Recorder(), signalling=IMPATIENT) as sip:
            layer = sip._layer
            opening = make("INVITE", Contact="<sip:x@127.0.0.1:9>", Via=f"{VIA}a")
            opening.set_header("Content-Type", "application/sdp")
            opening.body = SDP
            layer.receive(bytes(opening), Nowhere())
            await until(lambda: desk.calls)
            request = make(method, seq=2, Contact="<sip:x@127.0.0.1:9>", Via=f"{VIA}b")
            if inside:
                for name in ("From", "Call-ID"):
                    request.set_header(name, opening.headers.get(name)[0])
                tag = session_of(desk.calls[0]).dialog.local_tag
                request.set_header("To", f"<sip:bob@127.0.0.1>;tag={tag}")
            request.set_header("Content-Type", "application/sdp")
            request.body = body
            for name, value in headers.items():
                request.set_header(name, value)
            layer.receive(bytes(request), Nowhere())
            await asyncio.sleep(0.002)
            assert sip.counters.get("sip_user_errors", 0) == 0
            assert sip.counters.get("sip_error", 0) == 0

    asyncio.run(scene())


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_the_torture_set_reaches_no_error(name: str) -> None:
    """RFC 4475, at the endpoint: answered, refused or dropped."""

    async def scene() -> None:
        async with endpoint(Desk(), signalling=IMPATIENT) as sip:
            sip._layer.receive(MESSAGES[name], Nowhere())
            await asyncio.sleep(0.002)
            assert sip.counters.get("sip_user_errors", 0) == 0
            assert sip.counters.get("sip_error", 0) == 0

    asyncio.run(scene())
