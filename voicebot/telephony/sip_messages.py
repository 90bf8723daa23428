"""SIP messages: parsing that bears anything, checks, and the messages that we make."""

from __future__ import annotations

from aiosipua.headers import Address, CSeq, SipUri, Via
from aiosipua.message import SipRequest, SipResponse


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
    """Read a message and check it (mandatory headers, CSeq, Content-Length, Request-URI, ...).

    Raises:
        MalformedError: anything is wrong; nothing else is ever raised.
    """
    raise NotImplementedError


def serialise(message: SipRequest | SipResponse) -> bytes:
    """Bytes for the wire, with the right Content-Length."""
    raise NotImplementedError


def response_to(
    request: SipRequest, status: int, reason: str = "", to_tag: str | None = None
) -> SipResponse:
    """Make a response: Via, From, To, Call-ID, CSeq (and Record-Route) taken over (8.2.6.2).

    Args:
        request: What is answered.
        status: 100-699.
        reason: Phrase; by default that of RFC 3261 section 21.
        to_tag: Put into To if that has none yet; None leaves To alone, then
            :meth:`ServerTransaction.respond` puts the transaction's own tag there.
    """
    raise NotImplementedError


def new_branch() -> str:
    """A fresh branch with the magic cookie (8.1.1.7)."""
    raise NotImplementedError


def new_tag() -> str:
    """A fresh tag for From or To, 64 random bits (19.3)."""
    raise NotImplementedError


def new_call_id(host: str = "") -> str:
    """A fresh Call-ID."""
    raise NotImplementedError


def top_via(message: SipRequest | SipResponse) -> Via:
    """The topmost Via.  Raises ValueError if there is none or it is malformed."""
    raise NotImplementedError


def cseq_of(message: SipRequest | SipResponse) -> CSeq:
    """CSeq.  Raises ValueError."""
    raise NotImplementedError


def from_of(message: SipRequest | SipResponse) -> Address:
    """From.  Raises ValueError."""
    raise NotImplementedError


def to_of(message: SipRequest | SipResponse) -> Address:
    """To.  Raises ValueError."""
    raise NotImplementedError


def contacts_of(message: SipRequest | SipResponse) -> list[Address]:
    """Every Contact, without ``*``.  Raises ValueError."""
    raise NotImplementedError


def from_tag(message: SipRequest | SipResponse) -> str:
    """Tag of From, empty if there is none."""
    raise NotImplementedError


def to_tag(message: SipRequest | SipResponse) -> str:
    """Tag of To, empty if there is none."""
    raise NotImplementedError


def call_id_of(message: SipRequest | SipResponse) -> str:
    """Call-ID, empty if there is none."""
    raise NotImplementedError


def parse_uri(text: str) -> SipUri:
    """Read a SIP or SIPS URI (19.1).  Raises ValueError."""
    raise NotImplementedError


def parse_address(text: str) -> Address:
    """Read a name-addr or addr-spec with its parameters.  Raises ValueError."""
    raise NotImplementedError
