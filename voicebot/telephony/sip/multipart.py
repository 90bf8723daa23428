"""Bodies of several parts in SIP messages, as RFC 2046 section 5.1 and RFC 5621 have them.

Peers are lenient with the grammar, so this is too: line ends may be CRLF or LF,
``Content-Type:application/sdp`` may lack its space (BroadWorks), and the closing
boundary may be missing (Cisco).  What a hostile peer could blow up is bounded:
size, number of parts, headers of a part and depth of nesting.
"""

from __future__ import annotations

import binascii
import quopri
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

MAX_SIZE: Final = 256 * 1024
"""bytes of a whole body; a SIPREC offer has a few thousand"""
MAX_PARTS: Final = 16
"""parts in all, nested ones included"""
MAX_DEPTH: Final = 3
"""levels of multipart in multipart"""
MAX_HEADERS: Final = 32
"""headers of one part"""
MAX_BOUNDARY: Final = 200
"""characters; RFC 2046 section 5.1.1 allows 70"""

_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MEDIA_TYPE: Final = re.compile(rf"\s*({_TOKEN})\s*/\s*({_TOKEN})\s*")
_PARAMETER: Final = re.compile(rf';\s*(?:({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;"\s]*))\s*)?')
_LINE_END: Final = re.compile(rb"\r?\n")
_BLANK_LINE: Final = re.compile(rb"\r?\n[ \t]*\r?\n")
_PLAIN: Final = "text/plain"
"""what a part without Content-Type is, RFC 2046 section 5.1"""


class MultipartError(ValueError):
    """A body is not what its Content-Type says, or goes beyond a limit."""


@dataclass(frozen=True, slots=True)
class MediaType:
    """A Content-Type taken apart."""

    kind: str
    """type and subtype in lower case: ``application/sdp``"""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """names in lower case, values unquoted"""

    @property
    def multipart(self) -> bool:
        """Whether a body of this type has parts."""
        return self.kind.startswith("multipart/")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a body."""

    kind: str
    """as :attr:`MediaType.kind`"""
    body: bytes
    """decoded, where a Content-Transfer-Encoding was given"""
    headers: Mapping[str, str] = field(default_factory=dict)
    """names in lower case; the first one of each name"""

    @property
    def disposition(self) -> str:
        """``session``, ``recording-session``, ... in lower case; empty if not said."""
        return self.headers.get("content-disposition", "").partition(";")[0].strip().lower()


def parse_media_type(value: str) -> MediaType:
    """Take a Content-Type value apart.

    Raises:
        MultipartError: it does not begin with ``type/subtype``.
    """
    head = _MEDIA_TYPE.match(value)
    if head is None:
        raise MultipartError("Content-Type without type/subtype")
    parameters: dict[str, str] = {}
    at = head.end()
    while (found := _PARAMETER.match(value, at)) is not None:
        name, quoted, bare = found.groups()
        at = found.end()
        if name is not None:
            text = bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            parameters.setdefault(name.lower(), text)
    return MediaType(f"{head[1]}/{head[2]}".lower(), parameters)


def split(content_type: str, body: bytes) -> tuple[Part, ...]:
    """Take a body apart; nested multiparts are flattened, in order.

    Args:
        content_type: The value of the message's Content-Type.  If that is no
            multipart, the body is the one part.
        body: As received.

    Raises:
        MultipartError: no boundary, no parts, or one of the limits is passed.
    """
    media_type = parse_media_type(content_type)
    if len(body) > MAX_SIZE:
        raise MultipartError(f"body of {len(body)} bytes, at most {MAX_SIZE}")
    if not media_type.multipart:
        return (Part(media_type.kind, body, {"content-type": content_type}),)
    parts: list[Part] = []
    _collect(media_type, body, 1, parts)
    return tuple(parts)


def first(parts: Iterable[Part], *kinds: str) -> Part | None:
    """The first part of one of these kinds, if any."""
    return next((part for part in parts if part.kind in kinds), None)


def build(parts: Sequence[Part], boundary: str) -> tuple[str, bytes]:
    """Put a multipart/mixed body together.

    Args:
        parts: Their headers are written too, except for Content-Type.
        boundary: Must not occur in any part; 1-70 characters of RFC 2046's ``bchars``.

    Returns:
        Value of Content-Type, and the body.

    Raises:
        MultipartError: the boundary occurs in a part.
    """
    delimiter = b"--" + boundary.encode("ascii")
    out = bytearray()
    for part in parts:
        if delimiter in part.body:
            raise MultipartError("the boundary occurs in a part")
        out += delimiter + f"\r\nContent-Type: {part.kind}\r\n".encode()
        for name, value in part.headers.items():
            if name.lower() != "content-type":
                out += f"{name.title()}: {value}\r\n".encode()
        out += b"\r\n" + part.body + b"\r\n"
    out += delimiter + b"--\r\n"
    return f'multipart/mixed;boundary="{boundary}"', bytes(out)


def _collect(media_type: MediaType, body: bytes, depth: int, parts: list[Part]) -> None:
    """Append the parts of one level and of those below it."""
    for chunk in _chunks(media_type, body):
        headers, content = _headers(chunk)
        try:
            inner = parse_media_type(headers.get("content-type", _PLAIN))
        except MultipartError:
            inner = MediaType("application/octet-stream")  # RFC 2046 section 5.2.4: unknown
        if inner.multipart:
            if depth >= MAX_DEPTH:
                raise MultipartError(f"more than {MAX_DEPTH} levels of parts")
            _collect(inner, content, depth + 1, parts)
            continue
        if len(parts) >= MAX_PARTS:
            raise MultipartError(f"more than {MAX_PARTS} parts")
        encoding = headers.get("content-transfer-encoding", "")
        parts.append(Part(inner.kind, _decode(content, encoding), headers))


def _chunks(media_type: MediaType, body: bytes) -> Iterable[bytes]:
    """What lies between the boundaries of one level, without the line ends that are theirs."""
    boundary = media_type.parameters.get("boundary", "").rstrip()
    if not 0 < len(boundary) <= MAX_BOUNDARY:
        raise MultipartError("multipart without a usable boundary")
    delimiter = re.compile(
        rb"(?:\A|\r?\n)--" + re.escape(boundary.encode("utf-8")) + rb"(--)?[ \t]*(?=\r?\n|\Z)"
    )
    begin: int | None = None
    for count, found in enumerate(delimiter.finditer(body)):
        if count > MAX_PARTS:
            raise MultipartError(f"more than {MAX_PARTS} parts")
        if begin is not None:
            yield body[begin : found.start()]
        begin = found.end()
        if found[1]:
            return
    if begin is None:
        raise MultipartError("the boundary occurs nowhere in the body")
    yield body[begin:]  # no closing boundary: the last part ends where the body does


def _headers(chunk: bytes) -> tuple[dict[str, str], bytes]:
    """Headers and content of one part; ``chunk`` begins with the boundary's line end."""
    blank = _BLANK_LINE.search(chunk)
    block = chunk if blank is None else chunk[: blank.start()]
    content = b"" if blank is None else chunk[blank.end() :]
    lines: list[str] = []
    for line in _LINE_END.split(block):
        if line[:1] in (b" ", b"\t") and lines:
            lines[-1] += " " + line.decode("utf-8", "replace").strip()
        elif line.strip():
            lines.append(line.decode("utf-8", "replace"))
        if len(lines) > MAX_HEADERS:
            raise MultipartError(f"more than {MAX_HEADERS} headers in a part")
    headers: dict[str, str] = {}
    for text in lines:
        name, colon, value = text.partition(":")
        if colon:
            headers.setdefault(name.strip().lower(), value.strip())
    return headers, content


def _decode(content: bytes, encoding: str) -> bytes:
    """Undo a Content-Transfer-Encoding; identity for ``binary`` and unknown ones."""
    match encoding.lower():
        case "base64":
            try:
                return binascii.a2b_base64(content)
            except binascii.Error as error:
                raise MultipartError("a part is no base64") from error
        case "quoted-printable":
            return quopri.decodestring(content)
        case _:
            return content
