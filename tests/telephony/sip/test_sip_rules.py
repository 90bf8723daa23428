"""Which requests can be taken, and how the others are answered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.telephony.sip_help import make
from voicebot.errors import VoicebotError
from voicebot.telephony.line import RefusedError
from voicebot.telephony.media.ports import NoPortError
from voicebot.telephony.media.sdp_types import NoCommonCodecError, SdpError
from voicebot.telephony.sip.call_media import BodyError
from voicebot.telephony.sip.session_timer import TooShortError
from voicebot.telephony.sip.sip_rules import (
    capabilities,
    dtmf_of,
    refusal,
    refuse_body,
    refuse_extensions,
    refuse_method,
    tags,
)


@pytest.mark.parametrize(
    ("method", "status"),
    [("INVITE", 0), ("REFER", 603), ("SUBSCRIBE", 405), ("PUBLISH", 405), ("invite", 501)],
)
def test_methods(method: str, status: int) -> None:
    refused = refuse_method(make(method))
    assert (refused.status_code if refused else 0) == status


def test_unknown_extensions_are_named() -> None:
    request = make("INVITE", Require="timer, Replaces, siprec")
    refused = refuse_extensions(request)
    assert refused is not None
    assert refused.status_code == 420
    assert tags(refused, "unsupported") == {"replaces", "siprec"}
    assert refuse_extensions(make("INVITE", Require="siprec"), ("siprec",)) is None


@pytest.mark.parametrize(
    ("accept", "refused"),
    [
        ("application/sdp, text/plain", False),
        ("application/sdp;level=1", False),
        ("*/*", False),
        ("application/*", False),
        ("text/plain", True),
    ],
)
def test_accept(accept: str, refused: bool) -> None:
    answer = refuse_body(make("INVITE", Accept=accept))
    assert (answer is not None and answer.status_code == 406) == refused


def test_options_say_what_we_can() -> None:
    answer = capabilities(make("OPTIONS"), ("siprec",))
    assert answer.status_code == 200
    assert {"invite", "prack", "update", "info"} <= tags(answer, "allow")
    assert "application/sdp" in tags(answer, "accept")
    assert tags(answer, "supported") == {"100rel", "timer", "siprec"}


@pytest.mark.parametrize(
    ("error", "status", "header"),
    [
        (RefusedError("at capacity", 7.4), 503, ("retry-after", "7")),
        (NoPortError("none", ""), 503, ("retry-after", "5")),
        (NoCommonCodecError("x"), 488, None),
        (SdpError("x"), 400, None),
        (BodyError("x"), 415, ("accept", "application/sdp, multipart/mixed")),
        (TooShortError(90), 422, ("min-se", "90")),
        (VoicebotError("x"), 503, None),
        (ZeroDivisionError(), 500, None),
    ],
)
def test_every_fault_has_an_answer(
    error: Exception, status: int, header: tuple[str, str] | None
) -> None:
    answer = refusal(make("INVITE"), error)
    assert answer.status_code == status
    if header:
        assert answer.get_header(header[0]) == header[1]


@pytest.mark.parametrize(
    ("kind", "body", "digit"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", ("5", 0.16)),
        ("application/dtmf-relay", b"Signal= *\nDuration= 90", ("*", 0.09)),
        ("application/dtmf-relay;x=y", b"signal=11", ("#", 0.16)),
        ("application/dtmf-relay", b"Signal=d", ("D", 0.16)),
        ("application/dtmf", b"7\r\n", ("7", 0.16)),
        ("application/dtmf-relay", b"Signal=E", None),
        ("application/dtmf-relay", b"", None),
        ("text/plain", b"5", None),
    ],
)
def test_digits(kind: str, body: bytes, digit: tuple[str, float] | None) -> None:
    request = make("INFO", Content_Type=kind)
    request.body = body
    assert dtmf_of(request) == digit


@given(st.binary(max_size=300))
def test_any_digit_body_is_borne(body: bytes) -> None:
    request = make("INFO", Content_Type="application/dtmf-relay")
    request.body = body
    said = dtmf_of(request)
    assert said is None or (said[0] in "0123456789*#ABCD" and said[1] <= 60.0)
