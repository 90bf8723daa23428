"""A call that comes over a WebSocket: what all the forks have in common.

A :class:`ForkSession` is both a session of the listener and a
:class:`voicebot.telephony.line.Line`.  It keeps the promises that the line
makes, whatever the peer does: the ear hears of the end once, after a transfer
that is under way; audio that is played keeps the pace of speech.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from voicebot.events import Leg, Pcm
from voicebot.telephony.faults import Faults
from voicebot.telephony.line import (
    Briefing,
    Ear,
    MediaFigures,
    Offer,
    Reception,
    Transferred,
    TransferResult,
)
from voicebot.telephony.pbx_transfer import PbxTransfer
from voicebot.telephony.websocket.websocket_peer import Peer, PeerGone, ProtocolFault

_DIGITS: Final = frozenset("0123456789*#ABCD")


@dataclass(frozen=True, slots=True)
class Controls:
    """What can be done with a fork's calls beside the WebSocket, at the exchange itself."""

    transfer: PbxTransfer | None = None
    hang_up: Callable[[str], Awaitable[None]] | None = None
    """takes the offer's reference; must not raise for what a peer may do"""
    unsupported: str = ""
    """why there is no transfer, for people"""
    retry_seconds: float = 5.0
    """s that a call whose connection ended for a failed transfer waits for the next one"""


class ForkSession(ABC):
    """One call over one connection.

    Args:
        name: The fork, as in :attr:`Offer.gateway`.
        peer: The connection.
        reception: Takes the call.
        faults: Counts what the peer does wrong.
        controls: See there.
        lingering: Sessions that outlive their connection put themselves here meanwhile.
    """

    def __init__(
        self,
        name: str,
        peer: Peer,
        reception: Reception,
        faults: Faults,
        controls: Controls,
        lingering: set[ForkSession],
    ) -> None:
        self._name = name
        self._peer = peer
        self._reception = reception
        self._faults = faults
        self._controls = controls
        self._lingering = lingering
        self._ear: Ear | None = None
        self._reference = ""
        self._ending = ""
        """why the connection ended, while a transfer keeps the call alive"""
        self._is_over = False
        self._transfers = 0
        self._linger: asyncio.TimerHandle | None = None
        self._playing = asyncio.Lock()
        self._rate = 8000

    # ------------------------------------------------------------ the protocol's part

    @abstractmethod
    async def message(self, fields: Mapping[str, Any]) -> None:
        """Take a JSON object; raises as :meth:`Session.text`."""

    @abstractmethod
    async def binary(self, message: bytes) -> None:
        """Take a binary message; raises as :meth:`Session.text`."""

    async def say(self, pcm: Pcm) -> None:
        """Play at the pace of speech; only called where :attr:`can_speak`.

        Raises:
            PeerGone: the connection is over.
        """
        return

    async def leave(self) -> None:
        """Tell the peer, in its own words, that the call shall end."""
        return

    # ------------------------------------------------------------ session

    @property
    def started(self) -> bool:
        """Whether the call was taken."""
        return self._ear is not None

    async def text(self, message: str) -> None:
        """Take a text message, which must be a JSON object."""
        try:
            fields = json.loads(message)
        except (ValueError, RecursionError):
            raise ProtocolFault(f"{self._name}_bad_json", 1007, "not JSON") from None
        if not isinstance(fields, dict):
            raise ProtocolFault(f"{self._name}_bad_json", 1007, "not a JSON object")
        await self.message(fields)

    async def reject(self, code: int, reason: str) -> None:
        """Close with a code."""
        await self._peer.close(code, reason)

    def ended(self, reason: str) -> None:
        """The connection is over, so the call is, unless a transfer is under way."""
        if self._is_over or self._ear is None:
            return
        if reason != "shutdown" and (self._transfers or self._linger):
            self._ending = self._ending or reason
            self._lingering.add(self)
            return
        self._finish(reason)

    def _finish(self, reason: str) -> None:
        self._lingering.discard(self)
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        if not self._is_over and self._ear is not None:
            self._is_over = True
            self._ear.ended(reason)

    # ------------------------------------------------------------ for the protocols

    def begin(self, offer: Offer) -> Ear:
        """Ask for an ear.

        Raises:
            RefusedError: there is none.
        """
        self._reference = offer.reference
        self._rate = offer.rate
        self._ear = self._reception.receive(offer, self)
        return self._ear

    def hear(self, leg: Leg, pcm: Pcm, *, concealed: bool = False) -> None:
        """Pass audio on, unless the call is over."""
        if self._ear is not None and not self._is_over and len(pcm):
            self._ear.audio(leg, pcm, concealed=concealed)

    def digit(self, digit: object, seconds: float = 0.0) -> None:
        """Pass a digit on; anything else is counted."""
        if self._ear is None or self._is_over:
            return
        if isinstance(digit, str) and digit.upper() in _DIGITS and len(digit) == 1:
            self._ear.digit(Leg.CALLER, digit.upper(), seconds)
        else:
            self._faults.count(f"{self._name}_bad_digit")

    def hold(self, held: bool) -> None:
        """All legs are on hold, or back."""
        if self._ear is not None and not self._is_over:
            for leg in self.legs:
                self._ear.held(leg, held)

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The legs of the call."""
        return (Leg.CALLER,)

    async def tell(self, **fields: Any) -> None:
        """Send a JSON object.

        Raises:
            PeerGone: the connection is over.
        """
        await self._peer.send(json.dumps(fields, separators=(",", ":")))

    # ------------------------------------------------------------ line

    @property
    def can_speak(self) -> bool:
        """Whether the peer plays what it is sent."""
        return False

    def figures(self) -> Mapping[Leg, MediaFigures]:
        """Nothing is lost on the way, except where a protocol says so."""
        return {}

    async def play(self, pcm: Pcm) -> None:
        """Say something; one after the other if asked for at once."""
        if not self.can_speak or self._is_over or not len(pcm):
            return
        async with self._playing:
            with contextlib.suppress(PeerGone):
                await self.say(pcm)

    async def transfer(self, target: str, briefing: Briefing) -> Transferred:
        """Have the exchange hand the caller over."""
        transfer = self._controls.transfer
        if transfer is None or not self._reference:
            why = self._controls.unsupported or "the exchange did not name the call"
            return Transferred(TransferResult.UNSUPPORTED, why)
        if self._is_over:
            return Transferred(TransferResult.GONE)
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        self._transfers += 1
        result = Transferred(TransferResult.TIMEOUT)
        try:
            result = await transfer(self._reference, target, briefing)
        finally:
            self._transfers -= 1
            await self._after_transfer(result)
        return result

    async def _after_transfer(self, result: Transferred) -> None:
        if result.result is TransferResult.DONE:
            self._finish("transferred")
            await self._peer.close(1000, "transferred")
        elif self._ending and not self._transfers:
            if result.result is TransferResult.GONE:
                self._finish("hangup")
            else:  # the next target may still be tried: the exchange holds the caller
                self._linger = asyncio.get_running_loop().call_later(
                    self._controls.retry_seconds, self._finish, self._ending
                )

    async def hang_up(self, reason: str) -> None:
        """End the call at the exchange if it can be reached, and the connection in any case."""
        if self._is_over:
            return
        self._finish(reason)
        with contextlib.suppress(PeerGone):
            await self.leave()
        if self._controls.hang_up is not None and self._reference:
            await self._controls.hang_up(self._reference)
        await self._peer.close(1000, reason)


class Lingering(set[ForkSession]):
    """Calls whose connection ended while they were being transferred."""

    def close(self) -> None:
        """End them."""
        for session in tuple(self):
            session.ended("shutdown")
        self.clear()
