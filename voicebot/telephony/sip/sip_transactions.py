"""SIP transactions (RFC 3261 section 17, RFC 6026): what makes SIP reliable over UDP.

What is heard arrives at ``on_request`` as a :class:`ServerTransaction`, once however often it was
sent; what is asked goes out by :meth:`SipLayer.request` and is repeated until it is answered.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import TypeVar

import structlog
from aiosipua.headers import SipUri, Via, stringify_via
from aiosipua.message import SipRequest, SipResponse

from voicebot.telephony.faults import Faults
from voicebot.telephony.sip.sip_client_transaction import ClientTransaction, follow_up
from voicebot.telephony.sip.sip_flood import Gate
from voicebot.telephony.sip.sip_matching import Key, dialog_key, merged_key, server_key
from voicebot.telephony.sip.sip_messages import (
    call_id_of,
    copy_request,
    cseq_of,
    new_branch,
    put_to_tag,
    response_to,
    serialise,
    to_tag,
    top_via,
)
from voicebot.telephony.sip.sip_params import Hop, SipParams
from voicebot.telephony.sip.sip_parse import MalformedError, parse
from voicebot.telephony.sip.sip_resolve import resolve
from voicebot.telephony.sip.sip_server_transaction import ServerTransaction
from voicebot.telephony.sip.sip_timers import Times, TransactionState, where
from voicebot.telephony.sip.sip_transport import Carrier, Flow, SipTransport

__all__ = [
    "ClientTransaction",
    "Hop",
    "ServerTransaction",
    "SipLayer",
    "SipParams",
    "TransactionState",
]

log = structlog.get_logger()

LARGEST_DATAGRAM = 1300
"""bytes of a request over UDP where the path's MTU is unknown (18.1.1)"""

T = TypeVar("T")


class SipLayer:
    """All transactions over all transports of one endpoint.

    Args:
        params: Listeners, limits and timers.
        on_request: A new request came (anything but ACK and CANCEL).  Answer by
            :meth:`ServerTransaction.respond`, now or later.  An INVITE that is not answered within
            200 ms gets 100 Trying by itself.
        on_ack: An ACK for a 2xx came (each time it comes), from a hop.
        carrier: Makes what carries the messages, given where it delivers them; else sockets do.
    """

    def __init__(
        self,
        params: SipParams,
        on_request: Callable[[ServerTransaction], None],
        on_ack: Callable[[SipRequest, Hop], None],
        carrier: Callable[[Callable[[bytes, Flow], None]], Carrier] | None = None,
    ) -> None:
        self._faults = Faults("sip")
        self.counters = self._faults.counters
        self._params = params
        self._on_request = on_request
        self._on_ack = on_ack
        self._times = Times(params.t1_seconds, params.t2_seconds, params.t4_seconds)
        self._gate = Gate(
            params.allow,
            params.max_requests_per_second,
            params.max_requests_per_second_in_all,
            self.counters,
        )
        self._carrier: Carrier = (
            SipTransport(params, self.receive, self._gate, self.counters)
            if carrier is None
            else carrier(self.receive)
        )
        self._servers: dict[Key, ServerTransaction] = {}
        self._server_keys: dict[ServerTransaction, list[Key]] = {}
        self._begun: dict[Key, ServerTransaction] = {}
        """by From tag, Call-ID and CSeq, for requests outside of dialogs: finds merged ones"""
        self._accepted: dict[Key, ServerTransaction] = {}
        """INVITEs whose 2xx waits for its ACK"""
        self._clients: dict[Key, ClientTransaction] = {}

    @property
    def listeners(self) -> tuple[Hop, ...]:
        """What is listened at, with the ports that were really taken."""
        return self._carrier.listeners

    @property
    def transactions(self) -> int:
        """How many transactions there are, at both sides; those that wait for timers included."""
        return len(self._servers) + len(self._clients)

    async def start(self) -> None:
        """Open the listeners.

        Raises:
            LineError: A port is taken, a certificate cannot be read, ...
        """
        await self._carrier.start()

    async def close(self) -> None:
        """Close everything; transactions end silently.  May be called twice."""
        for server in tuple(self._servers.values()):
            server.close()
        for client in tuple(self._clients.values()):
            client.close()
        for table in (self._servers, self._begun, self._accepted, self._clients):
            table.clear()
        self._server_keys.clear()
        await self._carrier.close()

    # --- what comes in ---

    def receive(self, data: bytes, flow: Flow) -> None:
        """Take a datagram, or a message of a stream; never raises."""
        try:
            self._receive(data, flow)
        except Exception as error:
            # Not reached by anything known; a peer must not be able to stop the loop.
            self._faults.count("sip_error", error=where(error))

    def _receive(self, data: bytes, flow: Flow) -> None:
        if not self._gate.admits(flow.hop.host, data):
            return
        if not data.strip(b"\r\n\0"):
            self.counters["sip_keepalives"] += 1
            return
        try:
            message = parse(data)
        except MalformedError as error:
            self._faults.count("sip_malformed", what=str(error), peer=str(flow.hop))
            if error.request is not None:
                self._reject(error.request, error.status, flow)
            return
        if isinstance(message, SipResponse):
            self._take_response(message)
        else:
            self._take_request(message, flow)

    def _take_response(self, response: SipResponse) -> None:
        """Find the transaction by branch and method, and check that we sent it (18.1.2, 17.1.3)."""
        via = top_via(response)
        cseq = cseq_of(response)
        client = self._clients.get((via.params.get("branch") or "", cseq.method))
        if client is None or len(response.headers.get("via")) > 1:
            self.counters["sip_stray_responses"] += 1
            return
        own = top_via(client.request)
        same = via.host.lower() == own.host.lower() and via.port == own.port
        if not same or cseq.seq != cseq_of(client.request).seq:
            self.counters["sip_stray_responses"] += 1
            return
        client.receive(response)
        if client.cancelling and client.state is TransactionState.PROCEEDING:
            self._send_cancel(client)

    def _take_request(self, request: SipRequest, flow: Flow) -> None:
        via = top_via(request)
        key = server_key(request, via)
        self._note_source(request, via, flow.hop)
        server = self._servers.get(key)
        if request.method == "ACK":
            self._take_ack(request, server, flow)
        elif request.method == "CANCEL":
            self._take_cancel(request, (*key[:-1], "CANCEL"), server, flow)
        elif server is not None:
            server.again()
        elif self._is_full(request):
            self._faults.count("sip_overload", peer=str(flow.hop))
            self._reject(request, 503, flow)
        else:
            self._begin(request, key, flow)

    def _is_full(self, request: SipRequest) -> bool:
        # What belongs to a running call, such as its BYE, still gets in.
        limit = self._params.max_transactions * (2 if to_tag(request) else 1)
        return self.transactions >= limit

    @staticmethod
    def _note_source(request: SipRequest, via: Via, source: Hop) -> None:
        """Write where the request really came from into its top Via (18.2.1, RFC 3581)."""
        if "rport" in via.params:
            via.params["rport"] = str(source.port)
        elif via.host.strip("[]") == source.host:
            return
        via.params["received"] = source.host
        request.headers.get("via")[0] = stringify_via(via)

    def _begin(self, request: SipRequest, key: Key, flow: Flow) -> None:
        merged: Key = ()
        if not to_tag(request):
            merged = merged_key(request)
            if merged in self._begun:
                self.counters["sip_merged_requests"] += 1
                self._reject(request, 482, flow)
                return
        server = self._open(request, key, merged, flow)
        try:
            self._on_request(server)
        except Exception as error:
            self._faults.count("sip_user_errors", error=where(error), method=request.method[:20])
            if server.final is None:
                server.respond(response_to(request, 500))

    def _open(self, request: SipRequest, key: Key, merged: Key, flow: Flow) -> ServerTransaction:
        back = self._way_back(request, flow)
        server = ServerTransaction(
            request,
            flow.hop,
            self._times,
            self.counters,
            back,
            self._note_accepted,
            self._forget_server,
        )
        self._servers[key] = server
        self._server_keys[server] = [key, merged, ()]
        if merged:
            self._begun[merged] = server
        return server

    def _note_accepted(self, server: ServerTransaction) -> None:
        if server.final is not None:
            dialog = dialog_key(server.final)
            self._server_keys[server][2] = dialog
            self._accepted[dialog] = server

    def _forget_server(self, server: ServerTransaction) -> None:
        key, merged, dialog = self._server_keys.pop(server)
        for table, name in ((self._servers, key), (self._begun, merged), (self._accepted, dialog)):
            if table.get(name) is server:
                del table[name]

    def _take_ack(self, request: SipRequest, server: ServerTransaction | None, flow: Flow) -> None:
        if server is not None and server.ack():
            return
        accepted = server or self._accepted.get(dialog_key(request))
        if accepted is None:
            self.counters["sip_stray_acks"] += 1
        else:
            accepted.acked()
        try:
            self._on_ack(request, flow.hop)
        except Exception as error:
            self._faults.count("sip_user_errors", error=where(error), method="ACK")

    def _take_cancel(
        self, request: SipRequest, key: Key, invite: ServerTransaction | None, flow: Flow
    ) -> None:
        """Answer a CANCEL at once, and tell the INVITE's user if it is not too late (9.2)."""
        known = self._servers.get(key)
        if known is not None:
            known.again()
            return
        cancel = self._open(request, key, (), flow)
        if invite is None:
            self.counters["sip_stray_cancels"] += 1
            cancel.respond(response_to(request, 481))
            return
        cancel.respond(response_to(request, 200, to_tag=invite.to_tag))
        invite.cancel()

    def _reject(self, request: SipRequest, status: int, flow: Flow) -> None:
        """Answer without a transaction, with the same tag however often it is asked (8.2.7)."""
        try:
            if status != 482 and status != 503:
                self._note_source(request, top_via(request), flow.hop)
            response = response_to(request, status)
            if status == 503:
                response.headers.append("Retry-After", "10")
            seed = "".join((request.headers.get("via")[0], call_id_of(request)))
            put_to_tag(response, hashlib.sha256(seed.encode()).hexdigest()[:16])
            self._way_back(request, flow)(serialise(response))
        except ValueError:
            self.counters["sip_unanswerable"] += 1

    def _way_back(self, request: SipRequest, flow: Flow) -> Callable[[bytes], None]:
        """How responses travel (18.2.2, RFC 3581).

        Over streams by the same connection, else by a new one to the sent-by port.  Over UDP to
        the source address, and its port if ``rport`` asks for that.  ``maddr`` is not followed:
        it would let anybody aim our responses at others.
        """
        via = top_via(request)
        source = flow.hop
        default = 5061 if source.transport == "tls" else 5060
        sent_by = Hop(source.transport, source.host, via.port or default)

        def nowhere() -> None:
            self.counters["sip_responses_unsent"] += 1

        def back(data: bytes) -> None:
            if flow.send(data):
                return
            if source.reliable:
                self._carrier.send(sent_by, data, nowhere)
            else:
                nowhere()

        def there(data: bytes) -> None:
            if not flow.send(data, sent_by.port):
                nowhere()

        return back if source.reliable or "rport" in via.params else there

    # --- what goes out ---

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

        Raises:
            ValueError: The request lacks a header that it must have.
        """
        for name in ("From", "To", "Call-ID"):
            if not request.headers.get_first(name):
                raise ValueError(f"a request without {name}")
        cseq_of(request)
        branch = new_branch()
        made = self._with_via(request, hop, branch)
        first = hop
        large = hop.transport == "udp" and len(serialise(made)) > LARGEST_DATAGRAM
        if large and self._params.large_requests_over_tcp:
            first = Hop("tcp", hop.host, hop.port)
            made = self._with_via(request, first, branch)
        key = (branch, request.method)

        def failed() -> None:
            if client.hop == first and first != hop:
                self.counters["sip_large_over_udp"] += 1
                client.restart(self._with_via(request, hop, branch), hop)
            else:
                client.unsent()

        def send(to: Hop, data: bytes) -> None:
            within = 4 * self._times.t1 if to != hop else None
            self._carrier.send(to, data, failed, within)

        client = ClientTransaction(
            made,
            first,
            self._times,
            self.counters,
            send,
            self._guarded(on_response),
            self._guarded(on_failure),
            lambda _: self._forget_client(key),
        )
        if len(self._clients) >= 2 * self._params.max_transactions:
            self._faults.count("sip_overload", peer=str(hop))
            asyncio.get_running_loop().call_soon(client.unsent)
            return client
        self._clients[key] = client
        self._gate.trust(hop.host)
        client.start()
        return client

    def _guarded(self, callback: Callable[[T], None]) -> Callable[[T], None]:
        def call(value: T) -> None:
            try:
                callback(value)
            except Exception as error:
                self._faults.count("sip_user_errors", error=where(error))

        return call

    def _forget_client(self, key: Key) -> None:
        self._clients.pop(key, None)

    def _with_via(self, request: SipRequest, hop: Hop, branch: str) -> SipRequest:
        """A copy with our Via on top, which names the transport that it really goes by."""
        made = copy_request(request)
        made.headers.remove("Via")
        made.headers.append("Via", self._via(hop, branch))
        if not made.headers.get("Max-Forwards"):
            made.headers.append("Max-Forwards", "70")
        return made

    def _via(self, hop: Hop, branch: str) -> str:
        host, port = self._carrier.sent_by(hop)
        return f"SIP/2.0/{hop.transport.upper()} {host}:{port};branch={branch};rport"

    def cancel(self, transaction: ClientTransaction) -> None:
        """Cancel an INVITE of ours; waits for a provisional response first (9.1).

        The final response (487, or a 2xx that crossed it) comes by ``on_response``, or
        ``on_failure("timeout")``.  No effect after a final response.
        """
        if transaction.request.method != "INVITE" or transaction.cancelled:
            return
        if transaction.state is TransactionState.PROCEEDING:
            self._send_cancel(transaction)
        elif transaction.state is TransactionState.CALLING:
            transaction.cancelling = True

    def _send_cancel(self, invite: ClientTransaction) -> None:
        invite.cancelling = False
        invite.limit()
        branch = top_via(invite.request).params.get("branch") or ""
        key = (branch, "CANCEL")
        cancel = ClientTransaction(
            follow_up(invite.request, "CANCEL", invite.request.headers.get("to")[0]),
            invite.hop,
            self._times,
            self.counters,
            lambda hop, data: self._carrier.send(hop, data, cancel.unsent),
            lambda response: None,
            lambda why: None,
            lambda _: self._forget_client(key),
        )
        self._clients[key] = cancel
        cancel.start()

    def send_ack(self, request: SipRequest, hop: Hop) -> None:
        """Send the ACK for a 2xx; sending the same object again repeats the same ACK.

        Args:
            request: A Via with a branch of its own is added to it, unless it has one.
            hop: Where to.
        """
        if not request.headers.get("via"):
            made = self._with_via(request, hop, new_branch())
            request.headers = made.headers

        def nowhere() -> None:
            self.counters["sip_acks_unsent"] += 1

        self._carrier.send(hop, serialise(request), nowhere)

    def contact(self, hop: Hop, user: str = "") -> str:
        """Our Contact towards a hop, such as ``<sip:voicebot@192.0.2.7:5061;transport=tls>``."""
        host, port = self._carrier.sent_by(hop)
        at = f"{user}@" if user else ""
        transport = "" if hop.transport == "udp" else f";transport={hop.transport}"
        return f"<sip:{at}{host}:{port}{transport}>"

    async def resolve(self, uri: SipUri) -> Hop:
        """Find where a request for a URI goes: maddr, port, transport; ``sips`` means TLS.

        Names by the system's resolver; no NAPTR or SRV records.  Without a transport it is UDP if
        we listen there, else what we listen at first.

        Raises:
            LineError: No such host, or a transport that we do not speak.
        """
        return await resolve(uri, self.listeners, self._params.connect_seconds)
