"""RTCP (RFC 3550 section 6): what we report to the peer, and what it reports to us."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

_SENDER, _RECEIVER, _DESCRIPTION, _BYE = 200, 201, 202, 203
_VERSION: Final = 0x80
_EPOCH: Final = 2208988800
"""s from 1900, where NTP begins, to 1970"""
_BLOCK: Final = struct.Struct(">IIIIII")
_MOST_PACKETS: Final = 32


@dataclass(frozen=True, slots=True)
class Reception:
    """How well one side hears the other: one report block."""

    ssrc: int
    """of the source that is heard"""
    fraction_lost: float
    """0-1, since the last report"""
    lost: int
    """since the beginning; negative where duplicates count"""
    highest: int
    """extended highest sequence number"""
    jitter: int
    """timestamp units"""
    last_report: int = 0
    """middle 32 bits of the NTP time in the last sender report; 0 if none came"""
    delay: float = 0.0
    """s since that came"""


@dataclass(frozen=True, slots=True)
class Sending:
    """What a sender report says of its sender."""

    ntp: int
    """64 bits"""
    timestamp: int
    packets: int
    octets: int


@dataclass(frozen=True, slots=True)
class RtcpReport:
    """A compound packet, as far as it matters here."""

    ssrc: int
    sending: Sending | None
    blocks: tuple[Reception, ...]
    bye: bool


def ntp_time(unix: float) -> int:
    """NTP time, 64 bits, of a Unix time in s."""
    return (int((unix + _EPOCH) * 65536) << 16) & 0xFFFFFFFFFFFFFFFF


def middle(ntp: int) -> int:
    """The middle 32 bits of an NTP time."""
    return (ntp >> 16) & 0xFFFFFFFF


def round_trip(block: Reception, now_ntp: int) -> float | None:
    """Seconds there and back (RFC 3550 section 6.4.1, figure 2); None if it cannot be told."""
    if not block.last_report:
        return None
    units = (middle(now_ntp) - block.last_report) & 0xFFFFFFFF
    seconds = units / 65536 - block.delay
    return seconds if 0.0 <= seconds < 60.0 else None


def build_rtcp(
    ssrc: int,
    name: str,
    sending: Sending | None,
    blocks: tuple[Reception, ...],
    *,
    bye: bool = False,
) -> bytes:
    """Write a compound packet: a report, our name, and goodbye if it is the last.

    Args:
        ssrc: Ours.
        name: CNAME: random, the same for the whole session (RFC 7022).
        sending: What we sent; None if nothing since the last report.
        blocks: What we heard; at most 31.
        bye: Whether we leave.
    """
    body = struct.pack(">I", ssrc)
    if sending is not None:
        body += struct.pack(
            ">QIII",
            sending.ntp,
            sending.timestamp & 0xFFFFFFFF,
            sending.packets & 0xFFFFFFFF,
            sending.octets & 0xFFFFFFFF,
        )
    for block in blocks:
        lost = max(-0x800000, min(block.lost, 0x7FFFFF)) & 0xFFFFFF
        fraction = max(0, min(int(block.fraction_lost * 256), 255))
        body += _BLOCK.pack(
            block.ssrc,
            fraction << 24 | lost,
            block.highest & 0xFFFFFFFF,
            min(block.jitter, 0xFFFFFFFF),
            block.last_report,
            max(0, min(int(block.delay * 65536), 0xFFFFFFFF)),
        )
    packets = _packet(_RECEIVER if sending is None else _SENDER, len(blocks), body)
    encoded = name.encode("utf-8")[:255]
    item = struct.pack(">IBB", ssrc, 1, len(encoded)) + encoded + b"\0"
    packets += _packet(_DESCRIPTION, 1, item + b"\0" * (-len(item) % 4))
    if bye:
        packets += _packet(_BYE, 1, struct.pack(">I", ssrc))
    return packets


def parse_rtcp(data: bytes) -> RtcpReport | None:
    """Read a compound packet; None if it is malformed.

    Packets of other kinds are passed over, as is a first one that is no report: some peers send
    BYE alone.
    """
    place = 0
    ssrc: int | None = None
    sending: Sending | None = None
    blocks: list[Reception] = []
    bye = False
    for _ in range(_MOST_PACKETS):
        if place == len(data):
            break
        if place + 8 > len(data):
            return None
        first, kind, words = struct.unpack_from(">BBH", data, place)
        end = place + 4 + 4 * words
        if first & 0xC0 != _VERSION or end > len(data):
            return None
        count, start = first & 0x1F, place + 4
        if kind in (_SENDER, _RECEIVER):
            after = start + (24 if kind == _SENDER else 4)
            if after + count * _BLOCK.size > end:
                return None
            ssrc = int(struct.unpack_from(">I", data, start)[0])
            if kind == _SENDER:
                sending = Sending(*struct.unpack_from(">QIII", data, start + 4))
            for number in range(count):
                blocks.append(_block(data, after + number * _BLOCK.size))
        elif kind == _BYE and count and end >= start + 4:
            bye = True
            if ssrc is None:
                ssrc = int(struct.unpack_from(">I", data, start)[0])
        place = end
    if ssrc is None:
        return None
    return RtcpReport(ssrc, sending, tuple(blocks), bye)


def _block(data: bytes, place: int) -> Reception:
    ssrc, loss, highest, jitter, last, delay = _BLOCK.unpack_from(data, place)
    lost = loss & 0xFFFFFF
    return Reception(
        ssrc=ssrc,
        fraction_lost=(loss >> 24) / 256,
        lost=lost - 0x1000000 if lost & 0x800000 else lost,
        highest=highest,
        jitter=jitter,
        last_report=last,
        delay=delay / 65536,
    )


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return struct.pack(">BBH", _VERSION | count, kind, len(body) // 4) + body
