"""SIP transactions (RFC 3261 section 17, RFC 6026): what makes SIP reliable over UDP.

What is heard arrives at ``on_request`` as a :class:`ServerTransaction`, once however often it was
sent; what is asked goes out by :meth:`SipLayer.request` and is repeated until it is answered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from enum import StrEnum

from aiosipua.headers import SipUri
from aiosipua.message import SipRequest, SipResponse

from voicebot.telephony.sip_transport import Hop


class TransactionState(StrEnum):
    """Where a transaction is; the states of RFC 3261 section 17 and RFC 6026."""

    CALLING = "calling"
    """INVITE client: sent, nothing heard"""
    TRYING = "trying"
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    ACCEPTED = "accepted"
    """INVITE, after a 2xx"""
    TERMINATED = "terminated"


class ServerTransaction:
    """A request that came in.  Retransmissions, CANCEL's answer and timers are seen to.

    Attributes:
        request: As it came, ``received`` and ``rport`` filled into the top Via.
        source: Whence it came; a request of ours inside the dialog may go there.
        to_tag: The tag that :meth:`respond` puts into To where there is none.
        on_cancel: Called once if the peer cancels an INVITE that has no final response; then
            answer 487.  If it is None the layer answers 487.
        on_ack_timeout: Called if nobody acknowledges our final response to an INVITE within
            64*T1 (after a 2xx: the dialog must be ended by BYE, 13.3.1.4).
    """

    request: SipRequest
    source: Hop
    to_tag: str
    state: TransactionState
    on_cancel: Callable[[], None] | None
    on_ack_timeout: Callable[[], None] | None

    def respond(self, response: SipResponse) -> None:
        """Send a response; dropped and counted once a final one was sent.

        A 2xx to an INVITE is repeated until the ACK comes (13.3.1.4), whatever the transport.
        """
        raise NotImplementedError

    def acked(self) -> None:
        """The ACK for our 2xx came: stop repeating it.

        The layer calls this itself when an ACK with the same Call-ID, tags and CSeq number comes;
        calling it again does no harm.
        """
        raise NotImplementedError


class ClientTransaction:
    """A request that we sent.

    Attributes:
        request: As sent, with its Via.
        hop: Where to.
    """

    request: SipRequest
    hop: Hop
    state: TransactionState


class SipLayer:
    """All transactions over all transports of one endpoint.

    Args:
        params: Listeners, limits and timers.
        on_request: A new request came (anything but ACK and CANCEL).  Answer by
            :meth:`ServerTransaction.respond`, now or later.  An INVITE that is not answered within
            200 ms gets 100 Trying by itself.
        on_ack: An ACK for a 2xx came (each time it comes).
    """

    def __init__(
        self,
        params: object,
        on_request: Callable[[ServerTransaction], None],
        on_ack: Callable[[SipRequest, Hop], None],
    ) -> None:
        self.counters: Counter[str] = Counter()

    @property
    def listeners(self) -> tuple[Hop, ...]:
        """What is listened at, with the ports that were really taken."""
        raise NotImplementedError

    async def start(self) -> None:
        """Open the listeners.

        Raises:
            LineError: a port is taken, a certificate cannot be read, ...
        """
        raise NotImplementedError

    async def close(self) -> None:
        """Close everything; transactions end silently.  May be called twice."""
        raise NotImplementedError

    def request(
        self,
        request: SipRequest,
        hop: Hop,
        on_response: Callable[[SipResponse], None],
        on_failure: Callable[[str], None],
    ) -> ClientTransaction:
        """Send a request other than ACK and CANCEL, without Via (it is put there, in a copy).

        Args:
            request: From, To, Call-ID and CSeq set; Max-Forwards is added where it lacks.
            hop: Where to; over UDP a request above 1300 bytes tries TCP first (18.1.1).
            on_response: Each response: provisional ones, the final one, and for an INVITE every
                2xx again (each wants :meth:`send_ack`).  The ACK for 300-699 is sent already.
            on_failure: At most once, and no final response after it: ``timeout`` (timer B or F)
                or ``unreachable``.  Never called from inside ``request``.
        """
        raise NotImplementedError

    def cancel(self, transaction: ClientTransaction) -> None:
        """Cancel an INVITE of ours; waits for a provisional response first (9.1).

        The final response (487, or a 2xx that crossed it) comes by ``on_response``, or
        ``on_failure("timeout")``.  No effect after a final response.
        """
        raise NotImplementedError

    def send_ack(self, request: SipRequest, hop: Hop) -> None:
        """Send the ACK for a 2xx.  A Via with a branch of its own is added to ``request`` itself,
        unless it has one: sending the same object again repeats the same ACK.
        """
        raise NotImplementedError

    def contact(self, hop: Hop, user: str = "") -> str:
        """Our Contact towards a hop, such as ``<sip:voicebot@192.0.2.7:5061;transport=tls>``."""
        raise NotImplementedError

    async def resolve(self, uri: SipUri) -> Hop:
        """Find where a request for a URI goes: maddr, port, transport; ``sips`` means TLS.

        Names by the system's resolver; no NAPTR or SRV records.

        Raises:
            LineError: no such host, or a transport that we do not speak.
        """
        raise NotImplementedError
