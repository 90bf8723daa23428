"""What is remembered of a dialog: tags, numbers, targets, routes."""

from __future__ import annotations

import contextlib

import pytest
from aiosipua.message import SipRequest, SipResponse
from hypothesis import given
from hypothesis import strategies as st

from voicebot.telephony.sip.sip_dialog import (
    MAX_ROUTES,
    Dialog,
    DialogKey,
    OutOfOrderError,
    key_of_request,
)
from voicebot.telephony.sip.sip_messages import response_to


def invite(*routes: str, contact: str = "<sip:alice@192.0.2.1:5070>", seq: int = 7) -> SipRequest:
    request = SipRequest(method="INVITE", uri="sip:bob@example.com")
    request.set_header("From", '"A, B" <sip:alice@example.com>;tag=a')
    request.set_header("To", "<sip:bob@example.com>")
    request.set_header("Call-ID", "c")
    request.set_header("CSeq", f"{seq} INVITE")
    if contact:
        request.set_header("Contact", contact)
    for route in routes:
        request.add_header("Record-Route", route)
    return request


def ok(request: SipRequest, tag: str = "b", contact: str = "<sip:bob@192.0.2.9>") -> SipResponse:
    response = response_to(request, 200, to_tag=tag)
    response.set_header("Contact", contact)
    return response


def test_both_sides_know_the_same_dialog() -> None:
    request = invite()
    ours = Dialog.of_request(request, "b")
    theirs = Dialog.of_response(request, ok(request))
    assert ours.key == DialogKey("c", "b", "a")
    assert theirs.key == DialogKey("c", "a", "b")
    bye = theirs.request("BYE")
    assert key_of_request(bye) == ours.key
    assert bye.get_header("cseq") == "8 BYE"
    assert bye.uri == "sip:bob@192.0.2.9"


def test_our_first_request_goes_to_the_peers_contact() -> None:
    bye = Dialog.of_request(invite(), "b").request("BYE")
    assert bye.uri == "sip:alice@192.0.2.1:5070"
    assert bye.get_header("from") == "<sip:bob@example.com>;tag=b"
    assert bye.get_header("to") == '"A, B" <sip:alice@example.com>;tag=a'
    assert bye.get_header("cseq") == "1 BYE"
    assert not bye.headers.get("route")


def test_routes_are_followed_in_the_order_of_each_side() -> None:
    request = invite("<sip:near@p2;lr>", "<sip:far@p1;lr>")
    called = Dialog.of_request(request, "b").request("BYE")
    assert called.headers.get("route") == ["<sip:near@p2;lr>", "<sip:far@p1;lr>"]
    caller = Dialog.of_response(request, ok(request))
    assert caller.request("BYE").headers.get("route") == ["<sip:far@p1;lr>", "<sip:near@p2;lr>"]
    assert caller.next_hop.host == "p1"


def test_a_strict_router_gets_the_request_uri() -> None:
    dialog = Dialog.of_request(invite("<sip:old@p1>", "<sip:new@p2;lr>"), "b")
    bye = dialog.request("BYE")
    assert bye.uri == "sip:old@p1"
    assert bye.headers.get("route") == ["<sip:new@p2;lr>", "<sip:alice@192.0.2.1:5070>"]


def test_requests_out_of_order_are_refused() -> None:
    dialog = Dialog.of_request(invite(), "b")
    peer = Dialog.of_response(invite(), ok(invite()))
    first, second = peer.request("INFO"), peer.request("INFO")
    dialog.take(second)
    with pytest.raises(OutOfOrderError):
        dialog.take(first)


def test_only_some_requests_move_the_target() -> None:
    dialog = Dialog.of_request(invite(), "b")
    peer = Dialog.of_response(invite(), ok(invite()))
    for method, target in (("INFO", "192.0.2.1:5070"), ("UPDATE", "198.51.100.1")):
        request = peer.request(method)
        request.set_header("Contact", "<sip:alice@198.51.100.1>")
        dialog.take(request)
        assert dialog.target == f"sip:alice@{target}"
    lost = peer.request("INVITE")
    lost.set_header("Contact", "rubbish <")
    dialog.take(lost)
    assert dialog.target == "sip:alice@198.51.100.1"


@pytest.mark.parametrize(
    "request_",
    [
        invite(contact=""),
        invite(contact="<mailto:x@y>"),
        invite(*["<sip:p;lr>"] * (MAX_ROUTES + 1)),
        invite("<sip:"),
    ],
)
def test_what_opens_no_dialog(request_: SipRequest) -> None:
    with pytest.raises(ValueError):
        Dialog.of_request(request_, "b")


@given(st.text(max_size=40), st.text(max_size=40))
def test_nothing_but_value_error(contact: str, route: str) -> None:
    request = invite(contact="")
    try:
        request.set_header("Contact", contact)
        request.set_header("Record-Route", route)
    except ValueError:
        return  # a line break: not possible on the wire
    with contextlib.suppress(ValueError):
        Dialog.of_request(request, "b").request("BYE")
