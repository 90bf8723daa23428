"""REFER and its NOTIFYs: what is written, what they mean, in any order."""

from __future__ import annotations

import pytest
from aiosipua.message import SipRequest, SipResponse
from hypothesis import given
from hypothesis import strategies as st

from voicebot.telephony.line import Briefing, Transferred, TransferResult
from voicebot.telephony.sip.refer import (
    ReferProgress,
    ReferState,
    briefing_headers,
    fill_refer,
    is_terminated,
    result_of_status,
    sipfrag_status,
    target_uri,
    transferred,
)
from voicebot.telephony.sip.sip_headers import parse_address, parse_uri

HOME = parse_uri("sip:caller@pbx.example:5070;transport=tcp;ob")
WHY = Briefing("a-1", "https://x.example/b?id=1&k=2", "rule\r\nX-Evil: 1")


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (200, TransferResult.DONE),
        (202, TransferResult.DONE),
        (486, TransferResult.BUSY),
        (600, TransferResult.BUSY),
        (603, TransferResult.DECLINED),
        (403, TransferResult.DECLINED),
        (488, TransferResult.DECLINED),
        (408, TransferResult.NO_ANSWER),
        (480, TransferResult.NO_ANSWER),
        (487, TransferResult.NO_ANSWER),
        (404, TransferResult.UNREACHABLE),
        (410, TransferResult.UNREACHABLE),
        (502, TransferResult.UNREACHABLE),
        (503, TransferResult.UNREACHABLE),
        (604, TransferResult.UNREACHABLE),
        (302, TransferResult.UNREACHABLE),
    ],
)
def test_every_answer_has_a_type(status: int, result: TransferResult) -> None:
    assert result_of_status(status) is result


def test_the_peers_words_are_kept() -> None:
    assert transferred(486, "Besetzt").detail == "486 Besetzt"
    assert transferred(486).detail == "486 Busy Here"


@pytest.mark.parametrize(
    ("target", "uri"),
    [
        ("200", "sip:200@pbx.example:5070;transport=tcp"),
        ("*97#", "sip:*97%23@pbx.example:5070;transport=tcp"),
        ("+49 30".replace(" ", ""), "sip:+4930@pbx.example:5070;transport=tcp"),
        ("tel:+49-30-(1)", "sip:+49301@pbx.example:5070;transport=tcp"),
        ("agents@desk.example", "sip:agents@desk.example"),
        ("sip:agents@desk.example;transport=tls", "sip:agents@desk.example;transport=tls"),
        ("sips:agents@desk.example", "sips:agents@desk.example"),
    ],
)
def test_targets(target: str, uri: str) -> None:
    from aiosipua.headers import stringify_uri

    assert stringify_uri(target_uri(target, HOME)) == uri


@pytest.mark.parametrize("target", ["", "a b", "http://x", "<sip:x@y>", "x\r\nVia: y", "sip:"])
def test_what_is_no_target(target: str) -> None:
    with pytest.raises(ValueError):
        target_uri(target, HOME)


def test_headers_of_a_briefing_are_one_line_each() -> None:
    headers = briefing_headers(WHY)
    assert headers["X-Voicebot-Reason"] == "rule  X-Evil: 1"
    assert "X-Voicebot-Briefing" not in briefing_headers(Briefing("a", "", "r"))


def test_a_refer_is_written_so_that_it_can_be_read() -> None:
    request = SipRequest(method="REFER", uri="sip:x@y")
    fill_refer(request, parse_uri("sip:200@pbx.example"), "<sip:us@here>", WHY, embed=True)
    address = parse_address(request.get_header("refer-to") or "")
    assert address.uri.user == "200"
    assert address.uri.headers["X-Voicebot-Alert-Id"] == "a-1"
    assert (
        address.uri.headers["X-Voicebot-Briefing"] == "https%3A%2F%2Fx.example%2Fb%3Fid%3D1%26k%3D2"
    )
    assert request.get_header("x-voicebot-briefing") == WHY.url
    assert request.get_header("referred-by") == "<sip:us@here>"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"SIP/2.0 200 OK\r\n", (200, "OK")),
        (b"SIP/2.0 180 Ringing", (180, "Ringing")),
        (b"SIP/2.0 503", (503, "")),
        (b"\r\nSIP/2.0 486 Busy Here\r\nTo: <sip:x@y>\r\n", (486, "Busy Here")),
        (b"", None),
        (b"SIP/2.0 999 x", None),
        (b"HTTP/1.1 200 OK", None),
    ],
)
def test_sipfrag(body: bytes, status: tuple[int, str] | None) -> None:
    assert sipfrag_status(body) == status


@given(st.binary(max_size=200))
def test_any_sipfrag_is_borne(body: bytes) -> None:
    said = sipfrag_status(body)
    assert said is None or 100 <= said[0] < 700


def notify(status: str, state: str = "active") -> SipRequest:
    made = SipRequest(method="NOTIFY", uri="sip:x@y", body=f"SIP/2.0 {status}\r\n".encode())
    made.set_header("Subscription-State", state)
    return made


def response(status: int, **headers: str) -> SipResponse:
    made = SipResponse(status_code=status, reason_phrase="x")
    for name, value in headers.items():
        made.set_header(name.replace("_", "-"), value)
    return made


def test_progress_to_the_end() -> None:
    progress = ReferProgress()
    states = []
    progress.responded(response(202))
    states.append(progress.state)
    for words in ("100 Trying", "180 Ringing"):
        progress.notified(notify(words))
        states.append(progress.state)
    progress.notified(notify("200 OK", "terminated;reason=noresource"))
    states.append(progress.state)
    assert states == ["accepted", "accepted", "ringing", "ended"]
    assert progress.result == Transferred(TransferResult.DONE, "200 OK")
    progress.notified(notify("486 Busy Here"))
    progress.end(Transferred(TransferResult.TIMEOUT))
    assert progress.result.result is TransferResult.DONE, "the first final word stands"


def test_progress_in_the_wrong_order() -> None:
    progress = ReferProgress()
    progress.notified(notify("180 Ringing"))
    progress.responded(response(202))
    assert progress.state is ReferState.RINGING
    progress.notified(notify("603 Decline"))
    progress.responded(response(202))
    assert progress.result is not None
    assert progress.result.result is TransferResult.DECLINED


def test_a_refer_that_is_refused() -> None:
    progress = ReferProgress()
    progress.responded(response(405))
    assert progress.state is ReferState.REFUSED


@pytest.mark.parametrize("blind", ["norefersub", "terminated"])
def test_a_refer_that_nobody_reports_on(blind: str) -> None:
    progress = ReferProgress()
    if blind == "norefersub":
        progress.responded(response(200, Refer_Sub="false"))
    else:
        progress.responded(response(202))
        progress.notified(notify("100 Trying", "terminated;reason=noresource"))
    assert progress.state is ReferState.BLIND


def test_terminated() -> None:
    assert is_terminated(notify("200 OK", " Terminated ; reason=x"))
    assert not is_terminated(notify("200 OK", "active;expires=3"))
    assert not is_terminated(SipRequest())
