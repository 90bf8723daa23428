"""Reading RAck and RSeq; the exchange itself is tested with calls."""

from __future__ import annotations

import pytest
from aiosipua.message import SipRequest, SipResponse
from hypothesis import given
from hypothesis import strategies as st

from voicebot.telephony.sip.reliable import rack, rseq


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("1 2 INVITE", (1, 2, "INVITE")),
        (" 776656  1\tinvite ", (776656, 1, "INVITE")),
        ("1 2", None),
        ("-1 2 INVITE", None),
        ("99999999999 1 INVITE", None),
    ],
)
def test_rack(text: str, read: tuple[int, int, str] | None) -> None:
    request = SipRequest(method="PRACK", uri="sip:x@y")
    request.set_header("RAck", text)
    assert rack(request) == read


def test_no_rack() -> None:
    assert rack(SipRequest()) is None


@given(st.text(alphabet="0123456789 INVTE-", max_size=30))
def test_any_rack_is_borne(text: str) -> None:
    request = SipRequest()
    request.set_header("RAck", text)
    read = rack(request)
    assert read is None or read[0] >= 0


@pytest.mark.parametrize(
    ("status", "require", "number", "read"),
    [
        (180, "100rel", "7", 7),
        (183, "precondition, 100rel", "7", 7),
        (180, "", "7", None),
        (180, "100rel", "x", None),
        (200, "100rel", "7", None),
        (100, "100rel", "7", None),
    ],
)
def test_rseq(status: int, require: str, number: str, read: int | None) -> None:
    response = SipResponse(status_code=status)
    response.set_header("RSeq", number)
    if require:
        response.set_header("Require", require)
    assert rseq(response) == read
