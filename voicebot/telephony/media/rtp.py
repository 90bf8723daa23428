"""RTP packets (RFC 3550 section 5): read with every length checked, and written."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

_HEADER: Final = struct.Struct(">BBHII")
_EXTENSION: Final = struct.Struct(">HH")
_FIXED: Final = 12
_VERSION: Final = 2


class RtpPacket(NamedTuple):
    """One packet.  A tuple, because one is made fifty times a second for each leg."""

    payload_type: int
    marker: bool
    sequence: int
    """16 bits"""
    timestamp: int
    """32 bits"""
    ssrc: int
    payload: bytes


def parse_rtp(data: bytes) -> RtpPacket | None:
    """Read a packet; None if it is none: too short, wrong version, lengths that do not fit."""
    size = len(data)
    if size < _FIXED:
        return None
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    if first == 0x80:  # no padding, no extension, no CSRC: nearly always
        return RtpPacket(second & 0x7F, second > 0x7F, sequence, timestamp, ssrc, data[_FIXED:])
    if first >> 6 != _VERSION:
        return None
    start = _FIXED + 4 * (first & 0x0F)
    if first & 0x10:
        if size < start + 4:
            return None
        start += 4 + 4 * int(_EXTENSION.unpack_from(data, start)[1])
    end = size
    if first & 0x20:
        padding = data[-1]
        if padding == 0:
            return None
        end -= padding
    if start > end:
        return None
    return RtpPacket(second & 0x7F, second > 0x7F, sequence, timestamp, ssrc, data[start:end])


def build_rtp(
    payload_type: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, marker: bool
) -> bytes:
    """Write a packet; sequence and timestamp are cut to their 16 and 32 bits."""
    return (
        _HEADER.pack(
            0x80,
            payload_type | (0x80 if marker else 0),
            sequence & 0xFFFF,
            timestamp & 0xFFFFFFFF,
            ssrc,
        )
        + payload
    )


def is_rtcp(data: bytes) -> bool:
    """Whether a datagram on a shared port is RTCP (RFC 5761 section 4): types 192-223."""
    return len(data) >= 8 and data[0] >> 6 == _VERSION and 192 <= data[1] <= 223
