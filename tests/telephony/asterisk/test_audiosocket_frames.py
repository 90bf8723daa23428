from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.telephony.asterisk.audiosocket_frames import (
    FrameError,
    FrameParser,
    Kind,
    SocketFrame,
    write_frame,
)


@given(
    st.lists(
        st.one_of(
            st.binary(min_size=16, max_size=16).map(lambda b: SocketFrame(Kind.UUID, b)),
            st.sampled_from("019*#").map(lambda d: SocketFrame(Kind.DTMF, d.encode())),
            st.binary(max_size=200).map(lambda b: SocketFrame(Kind.SLIN, b + b)),
            st.binary(max_size=200).map(lambda b: SocketFrame(Kind.SLIN16, b + b)),
        ),
        max_size=8,
    ),
    st.lists(st.integers(1, 50), min_size=1, max_size=5),
)
def test_frames_survive_any_cutting(frames: list[SocketFrame], cuts: list[int]) -> None:
    data = b"".join(write_frame(frame.kind, frame.payload) for frame in frames)
    parser, got, at, turn = FrameParser(), list[SocketFrame](), 0, 0
    while at < len(data):
        step = cuts[turn % len(cuts)]
        got += parser.feed(data[at : at + step])
        at, turn = at + step, turn + 1
    assert got == frames
    assert not parser.in_frame


@given(st.lists(st.binary(max_size=100), max_size=30))
def test_no_garbage_breaks_the_parser_or_makes_it_hoard(chunks: list[bytes]) -> None:
    parser = FrameParser()
    with suppress(FrameError):
        for chunk in chunks:
            list(parser.feed(chunk))
    assert len(parser._buffer) <= 32_003 + 100


@pytest.mark.parametrize(
    ("data", "counter"),
    [
        (b"\x02\x00\x00", "audiosocket_unknown_kind"),
        (b"\x11\x00\x02ab", "audiosocket_rate_refused"),
        (b"\x18\x00\x02ab", "audiosocket_rate_refused"),
        (b"\x10\x00\x03abc", "audiosocket_odd_length"),
        (b"\x10\xff\xfe", "audiosocket_huge_frame"),
        (b"\x01\x00\x0fabcdefghijklmno", "audiosocket_bad_length"),
        (b"\x03\x00\x0212", "audiosocket_bad_length"),
    ],
)
def test_what_is_no_frame_is_named(data: bytes, counter: str) -> None:
    with pytest.raises(FrameError) as caught:
        list(FrameParser().feed(data))
    assert caught.value.counter == counter
