from __future__ import annotations

import contextlib
import time

import pytest
from aiosipua.message import SipMessage, SipRequest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.telephony.torture import MESSAGES
from voicebot.telephony.sip.sip_messages import (
    contacts_of,
    cseq_of,
    from_of,
    from_tag,
    serialise,
    to_of,
    to_tag,
    top_via,
)
from voicebot.telephony.sip.sip_parse import MAX_LINES, MalformedError, parse

REFUSED = {
    "badinv01": 400,
    "badvers": 505,
    "bigcode": 400,
    "clerr": 400,
    "escruri": 400,
    "insuf": 400,
    "ltgtruri": 400,
    "lwsruri": 400,
    "mcl01": 400,
    "mismatch01": 400,
    "mismatch02": 400,
    "multi01": 400,
    "ncl": 400,
    "novelsc": 416,
    "quotbal": 400,
    "regbadct": 400,
    "scalar02": 400,
    "scalarlg": 400,
    "unkscm": 416,
}
"""RFC 4475: invalid messages and the answer; the others are valid, or may be borne with."""
SILENT = {"badinv01", "bigcode", "scalarlg"}
"""of those the ones that are not answered: responses, and one without a Via that can be read"""


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_invalid_messages_of_rfc_4475(name: str) -> None:
    with pytest.raises(MalformedError) as caught:
        parse(MESSAGES[name])
    assert caught.value.status == REFUSED[name]
    assert (caught.value.request is None) == (name in SILENT)


@pytest.mark.parametrize("name", sorted(MESSAGES.keys() - REFUSED.keys()))
def test_valid_messages_of_rfc_4475(name: str) -> None:
    message = parse(MESSAGES[name])
    again = parse(serialise(message))
    assert again.body == message.body
    for name, values in message.headers.items():
        if name.lower() != "content-length":
            assert again.headers.get(name) == values
    for value in (top_via, cseq_of, from_of, to_of, contacts_of):
        assert value(again) == value(message)


def test_short_tortuous_invite() -> None:
    invite = parse(MESSAGES["wsinv"])
    assert isinstance(invite, SipRequest)
    assert [via.split(";")[0].split()[-1] for via in invite.headers.get("via")] == [
        "192.0.2.2",
        "spindle.example.com",
        "192.168.255.111",
    ]
    assert from_of(invite).display_name == 'J Rosenberg \\"'
    assert (from_tag(invite), to_tag(invite)) == ("98asjd8", "1918181833n")
    assert cseq_of(invite).seq == 9
    assert invite.headers.get("NewFangledHeader") == ["newfangled value continued newfangled value"]
    assert contacts_of(invite)[0].params == {
        "newparam": "newvalue",
        "secondparam": None,
        "q": "0.33",
    }
    assert invite.body.startswith(b"v=0")


def test_aiosipua_alone_would_take_these() -> None:
    """Why we do not use its parser: it accepts what RFC 4475 calls invalid."""
    for name in ("badvers", "mcl01", "multi01", "ncl", "clerr", "mismatch01"):
        SipMessage.parse(MESSAGES[name])
        with pytest.raises(MalformedError):
            parse(MESSAGES[name])


def test_the_second_message_of_a_datagram_is_dropped() -> None:
    message = parse(MESSAGES["dblreq"])
    assert isinstance(message, SipRequest)
    assert (message.method, message.body) == ("REGISTER", b"")


def test_compact_names() -> None:
    raw = (
        b"REFER sip:a@h SIP/2.0\r\nv: SIP/2.0/UDP h;branch=z9hG4bK1\r\nf: <sip:b@h>;tag=1\r\n"
        b"t: <sip:a@h>\r\ni: x\r\nCSeq: 1 REFER\r\nr: <sip:c@h>\r\nb: <sip:b@h>\r\nx: 90\r\n\r\n"
    )
    message = parse(raw)
    assert message.get_header("Refer-To") == "<sip:c@h>"
    assert message.get_header("Referred-By") == "<sip:b@h>"
    assert message.get_header("Session-Expires") == "90"


def test_a_list_may_stand_in_one_line_or_many() -> None:
    raw = MESSAGES["semiuri"].replace(b"l: 0", b"Supported: timer,, 100rel\r\nk: path\r\nl: 0")
    assert parse(raw).headers.get("supported") == ["timer", "100rel", "path"]


def test_too_many_lines_and_values() -> None:
    start = MESSAGES["semiuri"].removesuffix(b"\r\n")
    with pytest.raises(MalformedError, match="lines"):
        parse(start + b"X: y\r\n" * MAX_LINES + b"\r\n")
    with pytest.raises(MalformedError, match="values"):
        parse(start + b"Supported: " + b"a," * 5000 + b"a\r\n\r\n")


@pytest.mark.parametrize(
    "filler",
    [
        b"X: " + b'"\\"' * 20_000,
        b"Contact: " + b'"\\"' * 20_000,
        b"Contact: " + b"<" * 60_000,
        b"Via: " + b" /" * 30_000,
        b"X: y" + b"\r\n z" * 200,
        b"To: " + b";" * 60_000,
        b"Contact: <sip:a@h>" + b";a=" * 20_000,
        b"CSeq: " + b"9" * 60_000 + b" OPTIONS",
    ],
)
def test_work_is_bounded(filler: bytes) -> None:
    data = MESSAGES["semiuri"].replace(b"l: 0", filler)
    begun = time.process_time()
    with contextlib.suppress(MalformedError):
        parse(data)
    assert time.process_time() - begun < 0.25


VALID = [MESSAGES[name] for name in sorted(MESSAGES.keys() - REFUSED.keys())]
HUGE = b"9" * 40


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid message with some harm done to it."""
    data = bytearray(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.integers(0, 4))
        at = draw(st.integers(0, max(0, len(data) - 1)))
        if kind == 0 and data:
            data[at] = draw(st.integers(0, 255))
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            lines = bytes(data).split(b"\r\n")
            line = draw(st.sampled_from(lines))
            lines.insert(draw(st.integers(0, len(lines))), line)
            data = bytearray(b"\r\n".join(lines))
        elif kind == 3:
            for digit in b"123456789":
                data = data.replace(bytes([digit]), HUGE, 1)
        else:
            data[at:at] = draw(st.binary(max_size=20))
    return bytes(data)


@settings(max_examples=400, deadline=None)
@given(mutated())
@example(
    b"SIP/2.0 200 a\rb\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\n"
    b"To: <sip:b@h>;tag=2\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n"
)
def test_harmed_messages_are_read_or_refused(data: bytes) -> None:
    try:
        message = parse(data)
    except MalformedError:
        return
    # What was read can be used: nothing raises later.
    parse(serialise(message))
    top_via(message), cseq_of(message), from_of(message), to_of(message), contacts_of(message)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_anything_is_read_or_refused(data: bytes) -> None:
    try:
        parse(data)
    except MalformedError:
        return
