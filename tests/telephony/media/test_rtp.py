from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.telephony.media.rtp import RtpPacket, build_rtp, is_rtcp, parse_rtp


@given(
    st.integers(0, 127),
    st.integers(0, 2**20),
    st.integers(0, 2**40),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=200),
    st.booleans(),
)
def test_what_is_written_is_read(
    kind: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, marker: bool
) -> None:
    data = build_rtp(kind, sequence, timestamp, ssrc, payload, marker)
    assert parse_rtp(data) == RtpPacket(
        kind, marker, sequence % 2**16, timestamp % 2**32, ssrc, payload
    )


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    packet = parse_rtp(data)
    assert packet is None or len(packet.payload) <= len(data) - 12


HEADER = bytes.fromhex("00010000000200000003")


@pytest.mark.parametrize(
    ("data", "payload"),
    [
        (b"\x80\x00" + HEADER, b""),
        (b"\x81\x00" + HEADER + b"CSRC" + b"abc", b"abc"),
        (b"\x90\x00" + HEADER + b"\xbe\xde\x00\x01" + b"xxxx" + b"abc", b"abc"),
        (b"\x91\x00" + HEADER + b"CSRC" + b"\xbe\xde\x00\x00" + b"abc", b"abc"),
        (b"\xa0\x00" + HEADER + b"abc\0\0\3", b"abc"),
        (b"\xa0\x00" + HEADER + b"\1", b""),
        (b"\xa0\x00" + HEADER + b"abc\0", None),  # padding of nothing
        (b"\xa0\x00" + HEADER + b"abc\7", None),  # padding longer than the payload
        (b"\xa0\x00" + HEADER, None),  # the last octet is that of the header: 3 of 0
        (b"\x8f\x00" + HEADER + b"CSRC", None),
        (b"\x90\x00" + HEADER + b"\xbe", None),
        (b"\x90\x00" + HEADER + b"\xbe\xde\x00\x02" + b"xxxx", None),
        (b"\x40\x00" + HEADER + b"abc", None),  # version 1
        (b"\xc0\x00" + HEADER + b"abc", None),
        (b"\x80\x00" + HEADER[:-1], None),
        (b"", None),
    ],
)
def test_lengths_are_checked(data: bytes, payload: bytes | None) -> None:
    packet = parse_rtp(data)
    assert (packet.payload if packet else None) == payload


def test_rtcp_is_told_from_rtp() -> None:
    assert is_rtcp(bytes.fromhex("80c8000600000001"))
    assert not is_rtcp(build_rtp(0, 1, 2, 3, b"", False))
    assert not is_rtcp(build_rtp(101, 1, 2, 3, b"", True))
    assert not is_rtcp(b"\x80\xc8")
