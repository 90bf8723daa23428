"""Provisional responses that arrive (RFC 3262): sent until PRACK comes."""

from __future__ import annotations

import asyncio
import random
import re
from typing import Final

from aiosipua.message import SipRequest, SipResponse

from voicebot.telephony.sip.sip_messages import cseq_of
from voicebot.telephony.sip.sip_rules import tags
from voicebot.telephony.sip.sip_transactions import ServerTransaction

OPTION: Final = "100rel"
_RACK: Final = re.compile(r"\s*(\d{1,10})\s+(\d{1,10})\s+(\S+)\s*")
_RSEQ: Final = re.compile(r"\s*(\d{1,10})\s*")


def rack(request: SipRequest) -> tuple[int, int, str] | None:
    """RAck of a PRACK: RSeq, CSeq number and method; None if it is missing or malformed."""
    match = _RACK.fullmatch(request.get_header("rack") or "")
    return (int(match[1]), int(match[2]), match[3].upper()) if match else None


def rseq(response: SipResponse) -> int | None:
    """RSeq of a provisional response that is sent reliably; None for any other."""
    if not 100 < response.status_code < 200 or OPTION not in tags(response, "require"):
        return None
    match = _RSEQ.fullmatch(response.get_header("rseq") or "")
    return int(match[1]) if match else None


class Reliable:
    """Sends one provisional response reliably.

    Args:
        invite: What is answered.
        t1: First interval between repetitions, in s; it doubles (section 3).
    """

    def __init__(self, invite: ServerTransaction, t1: float) -> None:
        self._invite = invite
        self._t1 = t1
        self._number = random.randint(1, 2**31 - 2)
        self._taken = False
        self._acknowledged = asyncio.Event()

    async def send(self, response: SipResponse) -> None:
        """Send it again and again; returns once its PRACK is :meth:`done`.

        Raises:
            TimeoutError: none came within 64*T1.
        """
        response.add_header("Require", OPTION)
        response.set_header("RSeq", str(self._number))
        interval = self._t1
        async with asyncio.timeout(64 * self._t1):
            while not self._acknowledged.is_set():
                self._invite.respond(response)
                try:
                    async with asyncio.timeout(interval):
                        await self._acknowledged.wait()
                except TimeoutError:
                    interval *= 2

    def taken(self, prack: SipRequest) -> bool:
        """Whether a PRACK is for this response, and comes for the first time."""
        wanted = (self._number, cseq_of(self._invite.request).seq, "INVITE")
        if rack(prack) != wanted or self._taken:
            return False
        self._taken = True
        return True

    def done(self) -> None:
        """What the PRACK carries is settled too, so that the INVITE may be answered."""
        self._acknowledged.set()
