"""SIP messages: what is in them, without surprises, and the ones that we make."""

from __future__ import annotations

import secrets
from http import HTTPStatus

from aiosipua.headers import Address, CSeq, Via
from aiosipua.message import SipRequest, SipResponse

from voicebot.telephony.sip.sip_headers import parse_address, parse_cseq, parse_via

COOKIE = "z9hG4bK"
"""Begins every branch that is unique (8.1.1.7)."""
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
