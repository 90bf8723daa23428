from __future__ import annotations

import pytest
from aiosipua.message import SipRequest, SipResponse

from tests.telephony.sip_help import make
from voicebot.telephony.sip.sip_messages import (
    call_id_of,
    copy_request,
    cseq_of,
    from_of,
    from_tag,
    new_branch,
    put_to_tag,
    reason_of,
    response_to,
    serialise,
    to_of,
    to_tag,
    top_via,
)
from voicebot.telephony.sip.sip_parse import parse


def response(status: int = 200, reason: str = "") -> SipResponse:
    request = make("INVITE", Record_Route="<sip:p@h;lr>", Via="SIP/2.0/UDP h;branch=z9hG4bK1")
    return response_to(request, status, reason)


def test_responses_take_over_what_they_must() -> None:
    made = response(180)
    assert made.reason_phrase == "Ringing"
    assert made.headers.get("Record-Route") == ["<sip:p@h;lr>"]
    assert made.headers.get("via") == ["SIP/2.0/UDP h;branch=z9hG4bK1"]
    assert "Record-Route" not in response(404).headers
    put_to_tag(made, "9")
    put_to_tag(made, "10")
    assert to_tag(made) == "9"
    assert parse(serialise(made)).headers.get_first("to") == made.headers.get_first("to")


def test_line_breaks_cannot_be_smuggled_in() -> None:
    with pytest.raises(ValueError, match="line break"):
        serialise(response(486, "Busy\r\nX: y"))
    with pytest.raises(ValueError, match="line breaks"):
        response().set_header("X", "a\r\nb: c")


def test_phrases() -> None:
    assert reason_of(487) == "Request Terminated"
    assert reason_of(415) == "Unsupported Media Type"
    assert reason_of(299) == "Unknown"


def test_a_copy_is_apart() -> None:
    request = make("BYE")
    copy_request(request).set_header("To", "<sip:other@h>")
    assert to_of(request).uri.user == "bob"


def test_accessors_without_headers() -> None:
    bare = SipRequest(method="BYE", uri="sip:a@h")
    assert (from_tag(bare), to_tag(bare), call_id_of(bare)) == ("", "", "")
    for value in (top_via, cseq_of, from_of, to_of):
        with pytest.raises(ValueError, match="no "):
            value(bare)


def test_branches_differ() -> None:
    assert len({new_branch() for _ in range(100)}) == 100
