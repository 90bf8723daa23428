"""How Asterisk's attempt to reach an agent goes, as far as its events tell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from voicebot.telephony.asterisk.ari import Message, channel_of, number_of, text_of
from voicebot.telephony.line import Transferred, TransferResult
from voicebot.telephony.pbx_transfer import result_of_cause, result_of_dial_status

_MOST_PEERS: Final = 64
"""phones that ring at once; further ones are not told apart"""


class DialWatch:
    """Watches the phones that ring for one caller.

    The first that answers is the end of it.  Where all have failed, the dialplan may try another,
    so the failure only counts after a while.  ``Dial`` says busy or not, but calls a refusal
    unavailable; the cause of the phone's own end is more exact, and goes before it.

    Args:
        caller: Id of the caller's channel.
        settle: s to wait for another try after the last phone has failed.
        on_peer: Given the id of each phone's channel when it begins to ring.
        own: Id of a phone's channel that we make ourselves: watched from the start, and it is for
            us to say by :meth:`over` that it has answered.
    """

    def __init__(
        self,
        caller: str,
        settle: float,
        on_peer: Callable[[str], None] | None = None,
        own: str = "",
    ) -> None:
        self._caller = caller
        self._settle = settle
        self._on_peer = on_peer
        self._own = own
        self._ringing = {own} if own else set()
        self._seen = set(self._ringing)
        self._failure: Transferred | None = None
        self._end: Transferred | None = None
        self._changed = asyncio.Event()

    def event(self, message: Message) -> None:
        """Take one event; others are passed over."""
        kind = message.get("type")
        if kind == "Dial":
            self._dial(message)
        elif kind == "ChannelDestroyed":
            channel = text_of(channel_of(message), "id")
            cause = number_of(message, "cause")
            if channel == self._caller:
                self.over(Transferred(TransferResult.GONE, "the caller has hung up"))
            elif channel in self._seen:
                words = f"{cause} {text_of(message, 'cause_txt')}".strip()
                self._fail(channel, result_of_cause(cause), words, exact=True)

    def over(self, outcome: Transferred) -> None:
        """End it; the first end stays."""
        self._end = self._end or outcome
        self._changed.set()

    async def wait(self, seconds: float) -> Transferred:
        """How it ended, or TIMEOUT after ``seconds``."""
        deadline = asyncio.get_running_loop().time() + seconds
        while self._end is None:
            settling = self._failure is not None and not self._ringing
            self._changed.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    if settling:
                        async with asyncio.timeout(self._settle):
                            await self._changed.wait()
                    else:
                        await self._changed.wait()
            except TimeoutError:
                if self._failure is not None and not self._ringing:
                    return self._failure
                return Transferred(TransferResult.TIMEOUT, f"no answer known after {seconds:g} s")
        return self._end

    def _dial(self, message: Message) -> None:
        peer = text_of(channel_of(message, "peer"), "id")
        if not peer:
            return
        caller = text_of(channel_of(message, "caller"), "id")
        if peer not in self._seen:
            if caller != self._caller or len(self._seen) >= _MOST_PEERS:
                return
            self._seen.add(peer)
            self._ringing.add(peer)
            if self._on_peer is not None:
                self._on_peer(peer)
        status = text_of(message, "dialstatus")
        result = result_of_dial_status(status)
        if result == TransferResult.DONE:
            if peer != self._own:
                self.over(Transferred(result, "answered"))
        elif result is not None:
            self._fail(peer, result, status)
        self._changed.set()

    def _fail(
        self, peer: str, result: TransferResult | None, words: str, *, exact: bool = False
    ) -> None:
        first = peer in self._ringing
        self._ringing.discard(peer)
        if result is not None and (first or exact):
            self._failure = Transferred(result, words)
        elif self._failure is None:
            self._failure = Transferred(TransferResult.UNREACHABLE, words)
        self._changed.set()
