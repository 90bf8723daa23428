"""The server side of a SIP transaction (RFC 3261 section 17.2, RFC 6026 section 7.1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import structlog
from aiosipua.message import SipRequest, SipResponse

from voicebot.telephony.sip.sip_messages import new_tag, put_to_tag, response_to, serialise
from voicebot.telephony.sip.sip_params import Hop
from voicebot.telephony.sip.sip_timers import Timers, Times, TransactionState, where

log = structlog.get_logger()


class ServerTransaction:
    """A request that came in.  Retransmissions, CANCEL's answer and timers are seen to.

    Attributes:
        request: As it came, ``received`` and ``rport`` filled into the top Via.
        source: Whence it came; a request of ours inside the dialog may go there.
        to_tag: The tag that :meth:`respond` puts into To where there is none.
        state: Where it is.
        on_cancel: Called once if the peer cancels an INVITE that has no final response; then
            answer 487.  If it is None the layer answers 487.
        on_ack_timeout: Called if nobody acknowledges our final response to an INVITE within
            64*T1 (after a 2xx: the dialog must be ended by BYE, 13.3.1.4).

    Args:
        send: Sends bytes the way the request came.
        accepted: Called when a 2xx to an INVITE goes out.
        ended: Called once when the transaction is over.
    """

    def __init__(
        self,
        request: SipRequest,
        source: Hop,
        times: Times,
        counters: Counter[str],
        send: Callable[[bytes], None],
        accepted: Callable[[ServerTransaction], None],
        ended: Callable[[ServerTransaction], None],
    ) -> None:
        self.request = request
        self.source = source
        self.to_tag = new_tag()
        self.state = TransactionState.TRYING
        self.on_cancel: Callable[[], None] | None = None
        self.on_ack_timeout: Callable[[], None] | None = None
        self.final: SipResponse | None = None
        """our final response, once it was sent"""
        self._invite = request.method == "INVITE"
        self._times = times
        self._counters = counters
        self._send = send
        self._accepted = accepted
        self._ended = ended
        self._timers = Timers()
        self._last = b""
        self._is_acked = False
        if self._invite:
            self.state = TransactionState.PROCEEDING
            self._timers.start("trying", times.trying, self._try)
            self._timers.start("longest", times.longest, self._give_up)
        else:
            self._timers.start("longest", times.timeout, self._give_up)

    def _try(self) -> None:
        self.respond(response_to(self.request, 100))

    def respond(self, response: SipResponse) -> None:
        """Send a response; dropped and counted once a final one was sent.

        A 2xx to an INVITE is repeated until the ACK comes (13.3.1.4), whatever the transport.

        Raises:
            ValueError: The response cannot be written (a line break in its reason).
        """
        if self.final is not None or self.state is TransactionState.TERMINATED:
            self._counters["sip_late_responses"] += 1
            return
        status = response.status_code
        if status > 100:
            put_to_tag(response, self.to_tag)
        data = serialise(response)
        self._last = data
        self._timers.stop("trying")
        if status < 200:
            self.state = TransactionState.PROCEEDING
            self._send(data)
            return
        self.final = response
        self._timers.stop("longest")
        self._send(data)
        times = self._times
        if not self._invite:
            self.state = TransactionState.COMPLETED
            if self.source.reliable:
                self._end()
            else:
                self._timers.start("J", times.timeout, self._end)
        elif status < 300:
            self.state = TransactionState.ACCEPTED
            self._timers.start("L", times.timeout, self._unacknowledged)
            self._timers.repeat("2xx", times.t1, times.t2, self._repeat)
            self._accepted(self)
        else:
            self.state = TransactionState.COMPLETED
            self._timers.start("H", times.timeout, self._unacknowledged)
            if not self.source.reliable:
                self._timers.repeat("G", times.t1, times.t2, self._repeat)

    def _repeat(self) -> None:
        self._counters["sip_retransmitted"] += 1
        self._send(self._last)

    def acked(self) -> None:
        """The ACK for our 2xx came: stop repeating it.

        The layer calls this itself when an ACK with the same Call-ID, tags and CSeq number comes;
        calling it again does no harm.
        """
        if self.state is TransactionState.ACCEPTED:
            self._is_acked = True
            self._timers.stop("2xx")

    def again(self) -> None:
        """The same request came once more (17.2.1, 17.2.2): repeat the last response, if any.

        An INVITE that was accepted is absorbed: its 2xx repeats itself (RFC 6026 section 7.1).
        """
        self._counters["sip_repeated_requests"] += 1
        states = (TransactionState.PROCEEDING, TransactionState.COMPLETED)
        if self._last and self.state in states:
            self._send(self._last)

    def ack(self) -> bool:
        """An ACK with our branch came.

        Returns:
            Whether it belonged to a 300-699, and so ends here; else the user must see it.
        """
        if self.state is TransactionState.COMPLETED:
            self._timers.stop("G", "H")
            self.state = TransactionState.CONFIRMED
            if self.source.reliable:
                self._end()
            else:
                self._timers.start("I", self._times.t4, self._end)
            return True
        return self.state is not TransactionState.ACCEPTED

    def cancel(self) -> None:
        """The peer cancels (9.2); without effect after a final response."""
        if not self._invite or self.final is not None:
            return
        if self.on_cancel is None:
            self.respond(response_to(self.request, 487))
            return
        callback, self.on_cancel = self.on_cancel, None
        self._call(callback)

    def _give_up(self) -> None:
        """The user never answered: an error of ours, which must not hold memory for ever."""
        self._counters["sip_unanswered"] += 1
        if self._invite:
            self.cancel()
        if self.final is None:
            self.respond(response_to(self.request, 408 if self._invite else 500))

    def _unacknowledged(self) -> None:
        missing = not self._is_acked
        self._end()
        if missing:
            self._counters["sip_ack_timeouts"] += 1
            if self.on_ack_timeout is not None:
                self._call(self.on_ack_timeout)

    def _call(self, callback: Callable[[], None]) -> None:
        """Call the user from a timer or a peer's message, which his errors must not reach."""
        try:
            callback()
        except Exception as error:
            self._counters["sip_user_errors"] += 1
            log.warning("sip_user_errors", error=where(error), method=self.request.method[:20])

    def _end(self) -> None:
        if self.state is not TransactionState.TERMINATED:
            self.close()
            self._ended(self)

    def close(self) -> None:
        """Stop every timer, silently."""
        self.state = TransactionState.TERMINATED
        self._timers.stop_all()
