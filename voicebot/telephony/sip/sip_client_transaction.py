"""The client side of a SIP transaction (RFC 3261 section 17.1, RFC 6026 section 7.2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from aiosipua.headers import CSeq, stringify_cseq
from aiosipua.message import SipRequest, SipResponse

from voicebot.telephony.sip.sip_messages import cseq_of, serialise
from voicebot.telephony.sip.sip_params import Hop
from voicebot.telephony.sip.sip_timers import Timers, Times, TransactionState


def follow_up(request: SipRequest, method: str, to: str) -> SipRequest:
    """The ACK for a 300-699 (17.1.1.3) or the CANCEL (9.1) of a request: same top Via and CSeq.

    Args:
        request: As sent.
        method: ``ACK`` or ``CANCEL``.
        to: Value of To.
    """
    made = SipRequest(method=method, uri=request.uri)
    made.headers.append("Via", request.headers.get("via")[0])
    for name in ("Max-Forwards", "Route", "From"):
        for value in request.headers.get(name):
            made.headers.append(name, value)
    made.headers.append("To", to)
    made.headers.append("Call-ID", request.headers.get("call-id")[0])
    made.headers.append("CSeq", stringify_cseq(CSeq(cseq_of(request).seq, method)))
    return made


class ClientTransaction:
    """A request that we sent.

    Attributes:
        request: As sent, with its Via.
        hop: Where to.
        state: Where it is.

    Args:
        send: Sends bytes to the hop.
        on_response: The user's.
        on_failure: The user's.
        ended: Called once when the transaction is over.
    """

    def __init__(
        self,
        request: SipRequest,
        hop: Hop,
        times: Times,
        counters: Counter[str],
        send: Callable[[Hop, bytes], None],
        on_response: Callable[[SipResponse], None],
        on_failure: Callable[[str], None],
        ended: Callable[[ClientTransaction], None],
    ) -> None:
        self.request = request
        self.hop = hop
        self.state = TransactionState.TRYING
        self.cancelling = False
        """a CANCEL was asked for; it goes out once a provisional response has come"""
        self.cancelled = False
        self._invite = request.method == "INVITE"
        self._times = times
        self._counters = counters
        self._send = send
        self._on_response = on_response
        self._on_failure = on_failure
        self._ended = ended
        self._timers = Timers()
        self._ack = b""
        self._data = serialise(request)
        if self._invite:
            self.state = TransactionState.CALLING

    @property
    def waiting(self) -> bool:
        """Whether no final response has come yet."""
        return self.state in (
            TransactionState.CALLING,
            TransactionState.TRYING,
            TransactionState.PROCEEDING,
        )

    def start(self) -> None:
        """Send it, and begin the timers A and B, or E and F."""
        times = self._times
        if not self.hop.reliable:
            longest = times.timeout if self._invite else times.t2
            self._timers.repeat("repeat", times.t1, longest, self._repeat)
        self._timers.start("timeout", times.timeout, self._timed_out)
        self._send(self.hop, self._data)

    def restart(self, request: SipRequest, hop: Hop) -> None:
        """Send it over another transport, the first having failed (18.1.1)."""
        if self.waiting:
            self.request, self.hop, self._data = request, hop, serialise(request)
            self.start()

    def _repeat(self) -> None:
        self._counters["sip_retransmitted"] += 1
        self._send(self.hop, self._data)

    def receive(self, response: SipResponse) -> None:
        """A response that matches came."""
        status = response.status_code
        if status < 200:
            self._provisional(response)
        elif self._invite:
            self._final_to_invite(response)
        elif self.waiting:
            self._complete("K", 0.0 if self.hop.reliable else self._times.t4)
            self._on_response(response)

    def _provisional(self, response: SipResponse) -> None:
        if not self.waiting:
            return
        first = self.state is not TransactionState.PROCEEDING
        self.state = TransactionState.PROCEEDING
        times = self._times
        if self._invite:
            if first:
                # After a CANCEL the clock of 9.1 runs instead.
                if not self.cancelled:
                    self._timers.start("timeout", times.longest, self._timed_out)
                self._timers.stop("repeat")
        elif first and not self.hop.reliable:
            self._timers.repeat("repeat", times.t2, times.t2, self._repeat)
        self._on_response(response)

    def _final_to_invite(self, response: SipResponse) -> None:
        if response.status_code < 300:
            if self.waiting:
                self._timers.stop_all()
                self.state = TransactionState.ACCEPTED
                self._timers.start("M", self._times.timeout, self._end)
            if self.state is TransactionState.ACCEPTED:
                # Every 2xx: a repeated one wants the ACK again, one of another fork a BYE.
                self._on_response(response)
        elif self.waiting:
            to = response.headers.get("to")[0]
            self._ack = serialise(follow_up(self.request, "ACK", to))
            self._complete("D", 0.0 if self.hop.reliable else self._times.timeout)
            self._send(self.hop, self._ack)
            self._on_response(response)
        elif self.state is TransactionState.COMPLETED:
            self._send(self.hop, self._ack)

    def _complete(self, name: str, seconds: float) -> None:
        self._timers.stop_all()
        self.state = TransactionState.COMPLETED
        if seconds:
            self._timers.start(name, seconds, self._end)
        else:
            self._end()

    def limit(self) -> None:
        """The CANCEL was sent: a peer that does not end the INVITE now is given 64*T1 (9.1)."""
        self.cancelled = True
        self._timers.start("timeout", self._times.timeout, self._timed_out)

    def unsent(self) -> None:
        """The transport says that it cannot send to the hop."""
        self._fail("unreachable")

    def _timed_out(self) -> None:
        self._fail("timeout")

    def _fail(self, why: str) -> None:
        if self.waiting:
            self._end()
            self._counters[f"sip_client_{why}"] += 1
            self._on_failure(why)

    def _end(self) -> None:
        if self.state is not TransactionState.TERMINATED:
            self.close()
            self._ended(self)

    def close(self) -> None:
        """Stop every timer, silently."""
        self.state = TransactionState.TERMINATED
        self._timers.stop_all()
