"""SIP messages: parsing that bears anything, checks, and the messages that we make.

Of ``aiosipua`` the message classes are used, not ``SipMessage.parse``: that takes a request with
two Call-IDs, a negative Content-Length or ``SIP/7.0`` for good, and leaves the rest to properties
that raise later.  Here a message is read and checked once, at the door.
"""

from __future__ import annotations

import re
import secrets
from http import HTTPStatus

from aiosipua.headers import COMPACT_HEADERS, Address, CaseInsensitiveDict, CSeq, Via
from aiosipua.message import SipRequest, SipResponse

from voicebot.telephony.sip_headers import (
    TOKEN,
    UnknownSchemeError,
    parse_address,
    parse_cseq,
    parse_uri,
    parse_via,
    split_outside,
)

COOKIE = "z9hG4bK"
"""Begins every branch that is unique (8.1.1.7)."""
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
_STATUS = re.compile(r"SIP/2\.0[ \t]+([1-6][0-9]{2})(?:[ \t](.*))?", re.IGNORECASE | re.DOTALL)
_VERSION = re.compile(r"SIP/[0-9]+\.[0-9]+", re.IGNORECASE)

_REASONS = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    202: "Accepted",
    402: "Payment Required",
    404: "Not Found",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    413: "Request Entity Too Large",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    485: "Ambiguous",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    493: "Undecipherable",
    500: "Server Internal Error",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
}


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


def serialise(message: SipRequest | SipResponse) -> bytes:
    """Bytes for the wire, with the right Content-Length.

    Raises:
        ValueError: The start line holds a line break, or text that is not Unicode.
    """
    start = message.uri if isinstance(message, SipRequest) else message.reason_phrase
    if "\r" in start or "\n" in start:
        raise ValueError("a line break in the start line")
    return bytes(message)


def copy_request(request: SipRequest) -> SipRequest:
    """A copy whose headers may be changed without changing the original."""
    return SipRequest(
        headers=request.headers.copy(), body=request.body, method=request.method, uri=request.uri
    )


def reason_of(status: int) -> str:
    """The usual phrase for a status (section 21)."""
    if status in _REASONS:
        return _REASONS[status]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def response_to(
    request: SipRequest, status: int, reason: str = "", to_tag: str | None = None
) -> SipResponse:
    """Make a response: Via, From, To, Call-ID, CSeq (8.2.6.2) and Record-Route (12.1.1) as asked.

    Args:
        request: What is answered.
        status: 100-699.
        reason: Phrase; by default that of RFC 3261 section 21.
        to_tag: Put into To if that has none yet; None leaves To alone, then
            ``ServerTransaction.respond`` puts the transaction's own tag there.
    """
    response = SipResponse(status_code=status, reason_phrase=reason or reason_of(status))
    for name in ("Via", "From", "To", "Call-ID", "CSeq"):
        for value in request.headers.get(name):
            response.headers.append(name, value)
    if 100 < status < 300:
        for value in request.headers.get("Record-Route"):
            response.headers.append("Record-Route", value)
    if status == 100 and request.headers.get("Timestamp"):
        response.headers.append("Timestamp", request.headers.get("Timestamp")[0])
    if to_tag is not None:
        put_to_tag(response, to_tag)
    return response


def put_to_tag(message: SipRequest | SipResponse, tag: str) -> None:
    """Put a tag into To unless one is there; a To that cannot be read is left alone."""
    value = message.headers.get_first("to")
    if not value:
        return
    try:
        if parse_address(value).params.get("tag"):
            return
    except ValueError:
        return
    message.headers.set_single("To", f"{value};tag={tag}")


def new_branch() -> str:
    """A fresh branch with the magic cookie (8.1.1.7), 96 random bits."""
    return COOKIE + secrets.token_hex(12)


def new_tag() -> str:
    """A fresh tag for From or To, 64 random bits (19.3)."""
    return secrets.token_hex(8)


def new_call_id(host: str = "") -> str:
    """A fresh Call-ID, 128 random bits."""
    return secrets.token_hex(16) + (f"@{host}" if host else "")


def _first(message: SipRequest | SipResponse, name: str) -> str:
    value = message.headers.get_first(name)
    if not value:
        raise ValueError(f"no {name}")
    return value


def top_via(message: SipRequest | SipResponse) -> Via:
    """The topmost Via.

    Raises:
        ValueError: There is none, or it is malformed.
    """
    return parse_via(_first(message, "via"))


def cseq_of(message: SipRequest | SipResponse) -> CSeq:
    """CSeq.

    Raises:
        ValueError: There is none, or it is malformed.
    """
    return parse_cseq(_first(message, "cseq"))


def from_of(message: SipRequest | SipResponse) -> Address:
    """From.

    Raises:
        ValueError: There is none, or it is malformed.
    """
    return _address(message, "from")


def to_of(message: SipRequest | SipResponse) -> Address:
    """To.

    Raises:
        ValueError: There is none, or it is malformed.
    """
    return _address(message, "to")


def _address(message: SipRequest | SipResponse, name: str) -> Address:
    try:
        return parse_address(_first(message, name))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def contacts_of(message: SipRequest | SipResponse) -> list[Address]:
    """Every Contact, without ``*``.

    Raises:
        ValueError: One is malformed.
    """
    return [parse_address(value) for value in message.headers.get("contact") if value != "*"]


def from_tag(message: SipRequest | SipResponse) -> str:
    """Tag of From, empty if there is none."""
    return _tag(message, "from")


def to_tag(message: SipRequest | SipResponse) -> str:
    """Tag of To, empty if there is none."""
    return _tag(message, "to")


def _tag(message: SipRequest | SipResponse, name: str) -> str:
    try:
        return _address(message, name).params.get("tag") or ""
    except ValueError:
        return ""


def call_id_of(message: SipRequest | SipResponse) -> str:
    """Call-ID, empty if there is none."""
    return message.headers.get_first("call-id") or ""
