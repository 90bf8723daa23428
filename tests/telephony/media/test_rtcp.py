from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.telephony.media.rtcp import (
    Reception,
    Sending,
    build_rtcp,
    middle,
    ntp_time,
    parse_rtcp,
    round_trip,
)

BLOCK = Reception(
    ssrc=7,
    fraction_lost=0.25,
    lost=-3,
    highest=0x10005,
    jitter=12,
    last_report=0x11112222,
    delay=1.5,
)


@pytest.mark.parametrize("sending", [None, Sending(1 << 40, 160, 5, 800)])
@pytest.mark.parametrize("blocks", [(), (BLOCK,), (BLOCK, BLOCK)])
@pytest.mark.parametrize("bye", [False, True])
def test_what_is_written_is_read(
    sending: Sending | None, blocks: tuple[Reception, ...], bye: bool
) -> None:
    data = build_rtcp(99, "name", sending, blocks, bye=bye)
    assert len(data) % 4 == 0
    report = parse_rtcp(data)
    assert report is not None
    assert (report.ssrc, report.sending, report.blocks, report.bye) == (99, sending, blocks, bye)


def test_values_beyond_their_fields_are_cut() -> None:
    huge = Reception(1, 3.0, 10**9, 2**40, 2**40, 0, 1e9)
    report = parse_rtcp(build_rtcp(1, "x" * 300, None, (huge,)))
    assert report is not None
    block = report.blocks[0]
    assert (block.lost, block.jitter, block.fraction_lost) == (0x7FFFFF, 2**32 - 1, 255 / 256)


def test_the_round_trip_of_the_standard() -> None:
    # RFC 3550 figure 2: A = b710:8000, LSR = b705:2000, DLSR = 0005:4000, so 6.125 s.
    block = Reception(1, 0.0, 0, 0, 0, 0xB7052000, 0x00054000 / 65536)
    assert round_trip(block, 0xB44D_B710_8000_0000) == pytest.approx(6.125)
    assert round_trip(Reception(1, 0.0, 0, 0, 0), 5) is None
    assert round_trip(block, 0xB44D_B700_0000_0000) is None  # before it was sent


def test_ntp_time() -> None:
    assert ntp_time(0.5) == 2208988800 << 32 | 1 << 31
    assert middle(0x1111222233334444) == 0x22223333


@pytest.mark.parametrize(
    "data",
    [
        "",
        "80c9",
        "80c9000100000001ff",  # a rest
        "00c9000100000001",  # version 0
        "80c9000900000001",  # longer than the datagram
        "81c9000100000001",  # a block that is not there
        "80c8000100000001",  # a sender report without its fields
        "81ca000100000001",  # no report at all
    ],
)
def test_malformed_packets_are_refused(data: str) -> None:
    assert parse_rtcp(bytes.fromhex(data)) is None


def test_goodbye_alone_and_unknown_kinds() -> None:
    report = parse_rtcp(bytes.fromhex("81cb000100000009" + "80cd000200000001" + "00000002"))
    assert report is not None and report.bye and report.ssrc == 9


@given(st.binary(max_size=120))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    parse_rtcp(data)
    parse_rtcp(b"\x81\xc8" + data)
