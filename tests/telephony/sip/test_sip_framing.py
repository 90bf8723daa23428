from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.telephony.torture import MESSAGES
from voicebot.telephony.sip.sip_framing import PING, Framer, FramingError

INVITE = b"INVITE sip:a@h SIP/2.0\r\nl: 5\r\n\r\nhello"
BYE = b"BYE sip:a@h SIP/2.0\r\nContent-Length:\r\n 0\r\n\r\n"


def framer() -> Framer:
    return Framer(1024, 4096)


def test_messages_in_one_read() -> None:
    assert framer().feed(INVITE + BYE + INVITE) == [INVITE, BYE, INVITE]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([INVITE, BYE, PING, b"\r\n" + BYE]), max_size=6), st.data())
def test_cuts_anywhere_change_nothing(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts)
    whole = framer().feed(stream)
    size = data.draw(st.integers(1, max(1, len(stream))))
    cut = framer()
    found = [m for i in range(0, len(stream), size) for m in cut.feed(stream[i : i + size])]
    assert [m for m in found if m is not PING] == [m for m in whole if m is not PING]
    assert [m for m in found if m is not PING] == [
        BYE if part == b"\r\n" + BYE else part for part in parts if part != PING
    ]


def test_keepalives_are_told() -> None:
    cutter = framer()
    assert cutter.feed(PING) == [PING]
    assert not cutter.partial
    assert cutter.feed(b"\r\n") == []
    assert cutter.feed(BYE) == [BYE]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"A" * 2000, "headers too long"),
        (b"INVITE x SIP/2.0\r\nA: " + b"b" * 2000 + b"\r\nl: 0\r\n\r\n", "headers too long"),
        (b"INVITE x SIP/2.0\r\nl: 5000\r\n\r\n", "body too long"),
        (b"INVITE x SIP/2.0\r\n\r\n", "no content-length"),
        (b"INVITE x SIP/2.0\r\nl: 1\r\nContent-Length: 2\r\n\r\nab", "several"),
        (MESSAGES["ncl"], "no content-length"),
        (MESSAGES["mcl01"], "several"),
    ],
)
def test_streams_that_cannot_be_followed(data: bytes, what: str) -> None:
    with pytest.raises(FramingError, match=what):
        framer().feed(data)


def test_headers_are_searched_once() -> None:
    """Byte by byte a long header must not be searched from its start each time."""
    cutter = Framer(1 << 20, 10)
    for _ in range(300):
        cutter.feed(b"x" * 1000)
    assert cutter._searched >= 299_000
