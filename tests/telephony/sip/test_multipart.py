"""Bodies of several parts: what peers send, and what they had better not send."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.telephony.sip.multipart import (
    MAX_HEADERS,
    MAX_PARTS,
    MAX_SIZE,
    MultipartError,
    Part,
    build,
    first,
    parse_media_type,
    split,
)

SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\n"
XML = b"<?xml version='1.0'?>\n<recording/>"
TYPE = "multipart/mixed;boundary=foo"


def body(
    *parts: bytes, boundary: bytes = b"foo", end: bytes = b"--", eol: bytes = b"\r\n"
) -> bytes:
    joined = eol.join(b"--" + boundary + eol + part for part in parts)
    return joined + eol + b"--" + boundary + end + eol


def test_two_parts_as_siprec_sends_them() -> None:
    parts = split(
        "multipart/mixed; boundary=foo",
        body(
            b"Content-Type: application/sdp\r\n\r\n" + SDP,
            b"Content-Type: application/rs-metadata+xml\r\n"
            b"Content-Disposition: Recording-Session;handling=optional\r\n\r\n" + XML,
        ),
    )
    assert [part.kind for part in parts] == ["application/sdp", "application/rs-metadata+xml"]
    assert [part.body for part in parts] == [SDP, XML]
    assert [part.disposition for part in parts] == ["", "recording-session"]
    assert first(parts, "application/rs-metadata", "application/rs-metadata+xml") is parts[1]
    assert first(parts, "text/html") is None


def test_broadworks_sends_no_space_after_the_colon() -> None:
    (part,) = split(TYPE, body(b"Content-Type:application/sdp\r\nContent-Length:9\r\n\r\n" + SDP))
    assert part == Part(
        "application/sdp", SDP, {"content-type": "application/sdp", "content-length": "9"}
    )


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/mixed;boundary="a b:c/=?"',
        'MULTIPART/Mixed ; Boundary = "a b:c/=?" ; charset=utf-8',
        'multipart/mixed; charset="x;boundary=no"; boundary="a\\ b:c/=?"',
        'multipart/mixed;;boundary="a b:c/=?";',
    ],
)
def test_a_quoted_boundary(content_type: str) -> None:
    content = body(b"Content-Type: application/sdp\r\n\r\n" + SDP, boundary=b"a b:c/=?")
    assert [part.body for part in split(content_type, content)] == [SDP]


def test_preamble_and_epilogue_are_no_parts() -> None:
    content = (
        b"For old readers\r\n" + body(b"\r\nhello") + b"ignore\r\n--foo\r\n\r\nthis\r\n--foo--"
    )
    assert [part.body for part in split(TYPE, content)] == [b"hello"]


def test_cisco_sends_no_closing_boundary() -> None:
    content = body(b"Content-Type: application/sdp\r\n\r\n" + SDP)[: -len(b"\r\n--foo--\r\n")]
    assert [part.body for part in split(TYPE, content)] == [SDP]


def test_line_feeds_alone() -> None:
    content = body(
        b"Content-Type: application/sdp\n\nv=0\n", b"Content-Type: text/xml\n\n<a/>", eol=b"\n"
    )
    assert [(part.kind, part.body) for part in split(TYPE, content)] == [
        ("application/sdp", b"v=0\n"),
        ("text/xml", b"<a/>"),
    ]


def test_a_boundary_inside_a_line_or_a_longer_one_is_content() -> None:
    content = b"a --foo b\r\n--foobar\r\n--foo-"
    assert [part.body for part in split(TYPE, body(b"\r\n" + content))] == [content]


def test_a_part_without_headers_or_content() -> None:
    parts = split(
        TYPE, body(b"\r\n", b"Content-Type: application/sdp", b"Content-Type: ;;\r\n\r\nx")
    )
    assert [(part.kind, part.body) for part in parts] == [
        ("text/plain", b""),
        ("application/sdp", b""),
        ("application/octet-stream", b"x"),
    ]


def test_a_folded_header() -> None:
    (part,) = split(TYPE, body(b"Content-Type: application/sdp;\r\n\tcharset=x\r\n\r\nv=0"))
    assert part.headers["content-type"] == "application/sdp; charset=x"


def test_transfer_encodings() -> None:
    parts = split(
        TYPE,
        body(
            b"Content-Transfer-Encoding: binary\r\n\r\n\x00\xff",
            b"Content-Transfer-Encoding: base64\r\n\r\ndj0w\r\nDQo=",
            b"Content-Transfer-Encoding: Quoted-Printable\r\n\r\nv=3D0",
        ),
    )
    assert [part.body for part in parts] == [b"\x00\xff", b"v=0\r\n", b"v=0"]
    with pytest.raises(MultipartError, match="base64"):
        split(TYPE, body(b"Content-Transfer-Encoding: base64\r\n\r\na"))


def test_nested_parts_are_flattened() -> None:
    inner = body(b"\r\none", b"\r\ntwo", boundary=b"in")
    parts = split(
        TYPE, body(b"Content-Type: multipart/x;boundary=in\r\n\r\n" + inner, b"\r\nthree")
    )
    assert [part.body for part in parts] == [b"one", b"two", b"three"]


def test_a_body_of_one_part() -> None:
    assert split("application/sdp", SDP) == (
        Part("application/sdp", SDP, {"content-type": "application/sdp"}),
    )


def deep(levels: int) -> bytes:
    content = b"\r\nx"
    for level in range(levels):
        name = b"b%d" % level
        content = b"Content-Type: multipart/mixed;boundary=%s\r\n\r\n" % name + body(
            content, boundary=name
        )
    return body(content)


@pytest.mark.parametrize(
    ("content_type", "content", "match"),
    [
        ("multipart/mixed", body(b"\r\nx"), "boundary"),
        ("multipart/mixed;boundary=", body(b"\r\nx"), "boundary"),
        ("multipart/mixed;boundary=" + "x" * 300, b"", "boundary"),
        ("multipart/mixed;boundary=bar", body(b"\r\nx"), "nowhere"),
        (TYPE, b"", "nowhere"),
        (TYPE, body(*[b"\r\nx"] * (MAX_PARTS + 2)), "parts"),
        (TYPE, body(b"a: b\r\n" * (MAX_HEADERS + 1) + b"\r\nx"), "headers"),
        (TYPE, b"x" * (MAX_SIZE + 1), "bytes"),
        (TYPE, deep(4), "levels"),
        ("", b"", "type/subtype"),
        ("multipart", b"", "type/subtype"),
    ],
)
def test_refused(content_type: str, content: bytes, match: str) -> None:
    with pytest.raises(MultipartError, match=match):
        split(content_type, content)


def test_parts_of_all_levels_count() -> None:
    inner = body(*[b"\r\nx"] * 9, boundary=b"in")
    part = b"Content-Type: multipart/mixed;boundary=in\r\n\r\n" + inner
    with pytest.raises(MultipartError, match="parts"):
        split(TYPE, body(part, part))


def test_what_is_built_can_be_split() -> None:
    parts = (
        Part("application/sdp", SDP),
        Part("application/rs-metadata+xml", XML, {"content-disposition": "recording-session"}),
    )
    content_type, content = build(parts, "x:y z")
    again = split(content_type, content)
    assert [(part.kind, part.body, part.disposition) for part in again] == [
        ("application/sdp", SDP, ""),
        ("application/rs-metadata+xml", XML, "recording-session"),
    ]
    with pytest.raises(MultipartError, match="boundary"):
        build((Part("text/plain", b"a--b"),), "b")


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=MAX_PARTS))
def test_any_content_comes_back(contents: list[bytes]) -> None:
    content_type, content = build(
        [Part("application/x", b"|" + text) for text in contents], "not-in-short-random-bytes"
    )
    assert [part.body for part in split(content_type, content)] == [
        b"|" + text for text in contents
    ]


PIECES = st.sampled_from(
    [b"--foo", b"--foo--", b"\r\n", b"\n", b"\r", b":", b"Content-Type", b"multipart/mixed",
     b";boundary=foo", b'"', b"\\", b" ", b"\x00", b"\xff", b"x", b"--"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=60).map(b"".join), st.lists(PIECES, max_size=12).map(b"".join))
def test_nothing_but_multipart_errors_is_raised(content: bytes, kind: bytes) -> None:
    for content_type in (TYPE, "multipart/" + kind.decode("latin-1"), kind.decode("latin-1")):
        try:
            parts = split(content_type, content)
        except MultipartError:
            continue
        assert len(parts) <= MAX_PARTS
        assert sum(len(part.body) for part in parts) <= len(content)


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        (TYPE, b"\r\n" * (MAX_SIZE // 2)),
        (TYPE, b"--foo" + b" " * (MAX_SIZE - 5)),
        (TYPE, (b"\n--foo" + b" " * 50 + b"x") * (MAX_SIZE // 60)),
        ('multipart/mixed;boundary="' + "\\" * 60_000, b""),
        ("multipart/mixed" + ";" * 60_000, b""),
        ("multipart/mixed" + "; " * 30_000 + "a=", b""),
    ],
)
def test_the_worst_bodies_take_no_time(content_type: str, content: bytes) -> None:
    began = time.perf_counter()
    with contextlib.suppress(MultipartError):
        split(content_type, content)
    assert time.perf_counter() - began < 0.5


def test_media_type() -> None:
    media_type = parse_media_type(' Application/SDP;a=1;A=2; b="x\\"y" ')
    assert media_type.kind == "application/sdp"
    assert media_type.parameters == {"a": "1", "b": 'x"y'}
    assert not media_type.multipart
