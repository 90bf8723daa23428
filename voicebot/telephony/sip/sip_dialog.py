"""What two peers must remember of a dialog (RFC 3261 section 12); pure, no I/O.

A dialog is known by its Call-ID *and both tags*: two calls may well share a
Call-ID (a forked INVITE, a spiral through a PBX, or a careless peer).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Self

from aiosipua.headers import SipUri, stringify_uri
from aiosipua.message import SipRequest, SipResponse

from voicebot.telephony.sip.sip_headers import parse_address, parse_uri
from voicebot.telephony.sip.sip_messages import (
    call_id_of,
    contacts_of,
    cseq_of,
    from_tag,
    to_tag,
)
from voicebot.telephony.sip.sip_params import Hop

MAX_ROUTES: Final = 32
"""entries of a route set; more is a hostile peer"""


class DialogKey(NamedTuple):
    """How a dialog is found."""

    call_id: str
    local_tag: str
    remote_tag: str
    """empty for a peer of the time before tags (RFC 2543)"""


class OutOfOrderError(ValueError):
    """A request came after a later one: to be answered by 500 (12.2.2)."""


def key_of_request(request: SipRequest) -> DialogKey:
    """The dialog that a request which came in belongs to, seen from us."""
    return DialogKey(call_id_of(request), to_tag(request), from_tag(request))


@dataclass(slots=True)
class Dialog:
    """One dialog, as one side sees it."""

    call_id: str
    local_tag: str
    remote_tag: str
    local: str
    """our From header in requests, with its tag"""
    remote: str
    """our To header in requests, with its tag if it has one"""
    target: str
    """URI in the peer's Contact: the Request-URI of what we send"""
    routes: tuple[str, ...]
    """``<uri>`` values, nearest first"""
    local_seq: int
    """number of the last request that we sent"""
    remote_seq: int
    """number of the last request that the peer sent; -1 for none"""
    way: Hop | None = None
    """connection on which the peer's last request came: where nobody is in between, ours go back
    on it, since a caller by TCP or TLS need not listen at its Contact (RFC 5923)"""

    @classmethod
    def of_request(cls, request: SipRequest, local_tag: str) -> Self:
        """Open one as the side that answers an INVITE (12.1.1).

        Args:
            request: The INVITE.
            local_tag: The tag of our responses' To.

        Raises:
            ValueError: No usable Contact, or too long a route.
        """
        to = _required(request, "to")
        return cls(
            call_id=call_id_of(request),
            local_tag=local_tag,
            remote_tag=from_tag(request),
            local=f"{to};tag={local_tag}",
            remote=_required(request, "from"),
            target=_contact(request),
            routes=_routes(request.headers.get("record-route")),
            local_seq=0,
            remote_seq=cseq_of(request).seq,
        )

    @classmethod
    def of_response(cls, request: SipRequest, response: SipResponse) -> Self:
        """Open one as the side that sent the INVITE (12.1.2).

        Args:
            request: The INVITE as sent.
            response: A provisional or final response with a To-tag.

        Raises:
            ValueError: No usable Contact, or too long a route.
        """
        return cls(
            call_id=call_id_of(request),
            local_tag=from_tag(request),
            remote_tag=to_tag(response),
            local=_required(request, "from"),
            remote=_required(response, "to"),
            target=_contact(response),
            routes=_routes(list(reversed(response.headers.get("record-route")))),
            local_seq=cseq_of(request).seq,
            remote_seq=-1,
        )

    @property
    def key(self) -> DialogKey:
        """How this dialog is found."""
        return DialogKey(self.call_id, self.local_tag, self.remote_tag)

    @property
    def next_hop(self) -> SipUri:
        """Where our requests go: the first route, else the peer's Contact.

        Raises:
            ValueError: It is no SIP URI.
        """
        return parse_address(self.routes[0]).uri if self.routes else parse_uri(self.target)

    def request(self, method: str) -> SipRequest:
        """Make the next request, CSeq counted on (12.2.1.1); Contact and body are the caller's."""
        self.local_seq += 1
        return self._request(method, self.local_seq)

    def ack(self, seq: int) -> SipRequest:
        """Make the ACK for a 2xx to our INVITE of that number (13.2.2.4)."""
        return self._request("ACK", seq)

    def take(self, request: SipRequest, source: Hop | None = None) -> None:
        """Check the number of a request that came in, and take over its Contact if it may move us.

        Args:
            request: From the peer.
            source: Whence it came.

        Raises:
            OutOfOrderError: It is older than one that came before.
            ValueError: Its CSeq cannot be read.
        """
        seq = cseq_of(request).seq
        if seq < self.remote_seq:
            raise OutOfOrderError(f"CSeq {seq} after {self.remote_seq}")
        self.remote_seq = seq
        self.come_from(source)
        if request.method in ("INVITE", "UPDATE"):
            self.move(request)

    def come_from(self, source: Hop | None) -> None:
        """Note the connection that a request came by."""
        self.way = source if source is not None and source.reliable and not self.routes else None

    def move(self, message: SipRequest | SipResponse) -> None:
        """Take over the peer's Contact (target refresh, 12.2) if there is a usable one."""
        try:
            self.target = _contact(message)
        except ValueError:
            return

    def _request(self, method: str, seq: int) -> SipRequest:
        uri, routes = self.target, list(self.routes)
        if routes:
            first = parse_address(routes[0]).uri
            if "lr" not in first.params:  # a strict router: RFC 3261 section 12.2.1.1
                uri = stringify_uri(replace(first, headers={}))
                routes = [*routes[1:], f"<{self.target}>"]
        request = SipRequest(method=method, uri=uri)
        for route in routes:
            request.add_header("Route", route)
        request.set_header("From", self.local)
        request.set_header("To", self.remote)
        request.set_header("Call-ID", self.call_id)
        request.set_header("CSeq", f"{seq} {method}")
        request.set_header("Max-Forwards", "70")
        return request


def _required(message: SipRequest | SipResponse, name: str) -> str:
    value = message.get_header(name)
    if not value:
        raise ValueError(f"no {name} header")
    return value


def _contact(message: SipRequest | SipResponse) -> str:
    contacts = contacts_of(message)
    if not contacts:
        raise ValueError("no Contact")
    uri = contacts[0].uri
    text = stringify_uri(replace(uri, headers={}))
    parse_uri(text)
    return text


def _routes(values: list[str]) -> tuple[str, ...]:
    if len(values) > MAX_ROUTES:
        raise ValueError("too many Record-Route headers")
    for value in values:
        parse_address(value)
    return tuple(values)
