"""Bodies of SIP messages: where the session description is, and what a recording session is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.telephony.sip_help import make
from voicebot.telephony.sip.call_media import Body, BodyError, is_siprec, sdp_of

PARTS = (
    b"--x\r\nContent-Type:application/rs-metadata+xml\r\n\r\n<r/>\r\n"
    b"--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--x--\r\n"
)


def test_descriptions_are_found() -> None:
    request = make("INVITE")
    assert sdp_of(request) is None
    Body(b"v=0\r\n").put(request)
    assert sdp_of(request) == "v=0\r\n"
    Body(PARTS, "multipart/mixed; boundary=x").put(request)
    assert sdp_of(request) == "v=0"


@pytest.mark.parametrize(
    "kind", ["text/plain", "", "multipart/mixed", "multipart/mixed;boundary=y"]
)
def test_other_bodies_are_no_descriptions(kind: str) -> None:
    request = make("INVITE", Content_Type=kind)
    request.body = PARTS
    with pytest.raises(BodyError):
        sdp_of(request)


@pytest.mark.parametrize(
    ("headers", "body", "recording"),
    [
        ({"Require": "timer, siprec"}, b"", True),
        ({"Require": "timer"}, b"", False),
        ({"Content_Type": "multipart/mixed;boundary=x"}, PARTS, True),
        ({"Content_Type": "application/sdp"}, b"v=0", False),
        ({"Content_Type": "multipart/mixed"}, PARTS, False),
    ],
)
def test_recording_sessions(headers: dict[str, str], body: bytes, recording: bool) -> None:
    request = make("INVITE", call_id="", seq=1, to="", **headers)
    request.body = body
    assert is_siprec(request) is recording


@given(st.text(max_size=60), st.binary(max_size=200))
def test_any_body_is_borne(kind: str, body: bytes) -> None:
    request = make("INVITE")
    try:
        request.set_header("Content-Type", kind)
    except ValueError:
        return
    request.body = body
    is_siprec(request)
    try:
        assert sdp_of(request) is None or body
    except BodyError:
        assert body
