"""SIP messages from the wire: read and checked once, at the door.

Of ``aiosipua`` the message classes are used, not ``SipMessage.parse``: that takes a request with
two Call-IDs, a negative Content-Length or ``SIP/7.0`` for good, and leaves the rest to properties
that raise later.
"""

from __future__ import annotations

import re

from aiosipua.headers import COMPACT_HEADERS, CaseInsensitiveDict
from aiosipua.message import SipRequest, SipResponse

from voicebot.telephony.sip.sip_headers import (
    TOKEN,
    UnknownSchemeError,
    parse_uri,
    parse_via,
    split_outside,
)
from voicebot.telephony.sip.sip_messages import contacts_of, cseq_of, from_of, to_of, top_via

MAX_LINES = 256
MAX_VALUES = 512
"""of one message: header lines, and values in them"""

_COMPACT = {
    **COMPACT_HEADERS,
    "a": "accept-contact",
    "b": "referred-by",
    "d": "request-disposition",
    "j": "reject-contact",
    "o": "event",
    "r": "refer-to",
    "u": "allow-events",
    "x": "session-expires",
    "y": "identity",
}
_LISTS = frozenset(
    (
        *("accept", "accept-encoding", "accept-language", "allow", "allow-events", "contact"),
        *("path", "proxy-require", "record-route", "require", "route", "supported"),
        *("unsupported", "via"),
    )
)
_ONCE = ("via", "from", "to", "call-id", "cseq")
_SINGLE = (*_ONCE[1:], "content-length", "content-type", "max-forwards")
_NAME = re.compile(TOKEN)
_STATUS = re.compile(r"SIP/2\.0[ \t]+([1-6][0-9]{2})(?:[ \t]([^\r]*))?", re.IGNORECASE)
_VERSION = re.compile(r"SIP/[0-9]+\.[0-9]+", re.IGNORECASE)


class MalformedError(ValueError):
    """A message breaks the rules of RFC 3261.

    Args:
        what: What is wrong, without personal data.
        request: As far as it could be read, if it is a request that can be answered.
        status: How to answer it: 400, 416 or 505.
    """

    def __init__(self, what: str, request: SipRequest | None = None, status: int = 400) -> None:
        super().__init__(what)
        self.request = request
        self.status = status


def parse(data: bytes) -> SipRequest | SipResponse:
    """Read a message and check it.

    Checked are the start line, the mandatory headers and that each comes once, every Via, From,
    To, CSeq and its method, Max-Forwards, Content-Length against the body, the Request-URI.
    What follows the body is dropped (18.3).  Work is linear in the length.

    Args:
        data: One datagram, or one message of a stream.

    Raises:
        MalformedError: Anything is wrong; nothing else is ever raised.
    """
    head, body = _halves(data.lstrip(b"\r\n"))
    lines = head.decode("utf-8", errors="replace").replace("\r\n", "\n").split("\n")
    if len(lines) > MAX_LINES:
        raise MalformedError("too many header lines")
    headers, fault = _headers(lines[1:])
    start = lines[0]
    if start[:4].upper() == "SIP/":
        match = _STATUS.fullmatch(start)
        if match is None or fault:
            raise MalformedError(fault or "status line")
        response = SipResponse(headers=headers, status_code=int(match[1]))
        response.reason_phrase = (match[2] or "").strip()
        fault = _check(response, body)
        if fault:
            raise MalformedError(fault)
        return response
    words = start.split()
    if len(words) < 3 or not _NAME.fullmatch(words[0]) or not _VERSION.fullmatch(words[-1]):
        raise MalformedError("request line")
    request = SipRequest(headers=headers, method=words[0], uri=words[1])
    if words[-1].upper() != "SIP/2.0":
        raise MalformedError("SIP version", _answerable(request), 505)
    if len(words) > 3:
        raise MalformedError("blanks in the Request-URI", _answerable(request))
    fault = fault or _check(request, body)
    if fault:
        raise MalformedError(fault, _answerable(request))
    try:
        if parse_uri(request.uri).headers:
            raise ValueError("headers in the Request-URI")
    except UnknownSchemeError as error:
        raise MalformedError(str(error), _answerable(request), 416) from error
    except ValueError as error:
        raise MalformedError(f"Request-URI: {error}", _answerable(request)) from error
    return request


def _halves(data: bytes) -> tuple[bytes, bytes]:
    for end in (b"\r\n\r\n", b"\n\n"):
        head, found, body = data.partition(end)
        if found:
            return head, body
    raise MalformedError("headers without an end")


def _headers(lines: list[str]) -> tuple[CaseInsensitiveDict, str]:
    """Unfold (7.3.1), expand compact names (7.3.3), split lists; the second is what is wrong."""
    headers, fault = CaseInsensitiveDict(), ""
    unfolded: list[list[str]] = []
    for line in lines:
        if line[:1] in (" ", "\t") and unfolded:
            unfolded[-1].append(line.strip())
        else:
            unfolded.append([line])
    count = 0
    for pieces in unfolded:
        name, colon, value = " ".join(pieces).partition(":")
        name, value = name.strip(), value.strip()
        if not colon or not _NAME.fullmatch(name) or "\r" in value:
            fault = fault or "a header line"
            continue
        lower = _COMPACT.get(name.lower(), name.lower())
        values = [value]
        if lower in _LISTS:
            try:
                values = split_outside(value, ",")
            except ValueError:
                fault = fault or f"{lower}: quotes or brackets"
            if lower != "via":
                values = [value for value in values if value]
        count += len(values)
        if count > MAX_VALUES:
            raise MalformedError("too many header values")
        for value in values:
            headers.append(name if lower == name.lower() else lower, value)
    return headers, fault


def _check(message: SipRequest | SipResponse, body: bytes) -> str:
    """Check what every message must have, and put its body there; say what is wrong."""
    headers = message.headers
    for name in _ONCE:
        if not headers.get_first(name):
            return f"no {name}"
    for name in _SINGLE:
        if len(headers.get(name)) > 1:
            return f"more than one {name}"
    try:
        for via in headers.get("via"):
            parse_via(via)
        cseq = cseq_of(message)
        from_of(message)
        to_of(message)
        contacts_of(message)
    except ValueError as error:
        return str(error)
    if isinstance(message, SipRequest):
        if cseq.method != message.method:
            return "the method of CSeq is another"
        hops = headers.get_first("max-forwards")
        if hops is not None and not (hops.isascii() and hops.isdigit() and int(hops[:9]) < 256):
            return "max-forwards"
    length = headers.get_first("content-length")
    if length is None:
        message.body = body
        return ""
    if not (length.isascii() and length.isdigit() and len(length) < 10):
        return "content-length"
    if int(length) > len(body):
        return "body shorter than content-length"
    message.body = body[: int(length)]
    return ""


def _answerable(request: SipRequest) -> SipRequest | None:
    """The request if its top Via tells where an answer goes; an ACK is never answered."""
    if request.method == "ACK":
        return None
    try:
        top_via(request)
    except ValueError:
        return None
    return request
