"""A caller for load: dials by SIP, speaks from a file, hangs up.

It is as little of a telephone as will do, so that the machine's time goes to the
daemon that is measured: every packet is encoded beforehand, one clock sends those
of all callers, and what comes back is thrown away unread.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiosipua.headers import stringify_uri
from aiosipua.message import SipRequest, SipResponse

from voicebot.audio import g711
from voicebot.events import Pcm
from voicebot.telephony.sip.sip_messages import (
    call_id_of,
    contacts_of,
    new_call_id,
    new_tag,
    response_to,
)
from voicebot.telephony.sip.sip_params import Hop
from voicebot.telephony.sip.sip_transactions import ServerTransaction, SipLayer, SipParams

PACKET: Final = 160
"""samples; 20 ms at 8 kHz"""
PACKET_SECONDS: Final = 0.02
TICKS: Final = 4
"""The 20 ms are cut into so many, so that not all callers speak at the same instant."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one call went."""

    status: int
    """final SIP status; 408 where nothing was answered"""
    packets: int = 0
    """sent"""
    ended_by_peer: bool = False


class Speech:
    """What the callers say, in packets.

    Args:
        pcm: At 8 kHz.
    """

    def __init__(self, pcm: Pcm) -> None:
        code = g711.encode_mulaw(pcm)
        self.packets = [code[at : at + PACKET] for at in range(0, len(code) - PACKET + 1, PACKET)]


class _Talker:
    """One stream of packets."""

    def __init__(self, speech: Speech, to: tuple[str, int], first: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        # Little room for what comes back: the kernel throws away the rest for us.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self.socket.bind(("127.0.0.1", 0))
        self.to = to
        self._packets = speech.packets
        self._next = first
        self._sequence = random.randrange(0, 30000)
        self._timestamp = random.randrange(0, 1 << 31)
        self._ssrc = random.randrange(1, 1 << 32)
        self.sent = 0
        self.began = 0.0
        """s, the loop's clock"""

    def speak(self, now: float) -> None:
        """Send what is due by now: one packet, unless the clock was held up."""
        while self.sent * PACKET_SECONDS <= now - self.began:
            self._send()

    def _send(self) -> None:
        payload = self._packets[self._next % len(self._packets)]
        header = struct.pack(
            ">BBHII", 0x80, 0 if self.sent else 0x80, (self._sequence + self.sent) & 0xFFFF,
            (self._timestamp + self.sent * PACKET) & 0xFFFFFFFF, self._ssrc,
        )  # fmt: skip
        self._next += 1
        self.sent += 1
        # A full buffer or an unreachable port loses the packet, as on a line.
        with contextlib.suppress(OSError):
            self.socket.sendto(header + payload, self.to)


class Callers:
    """Places any number of calls to one daemon.

    Args:
        target: Where its SIP is.
        speech: What they say, over and over, each from another place on.
    """

    def __init__(self, target: Hop, speech: Speech) -> None:
        self._target, self._speech = target, speech
        params = SipParams(
            listen=["udp:127.0.0.1:0"], max_requests_per_second=1e6,
            max_requests_per_second_in_all=1e6,
        )  # fmt: skip
        self._layer = SipLayer(params, self._asked, lambda ack, hop: None)
        self._talkers: list[list[_Talker]] = [[] for _ in range(TICKS)]
        self._byes: dict[str, Callable[[], None]] = {}
        self._clock: asyncio.Task[None] | None = None
        self._placed = 0
        self.late = 0.0
        """s; the most that the clock has lagged: a measurement with much of it is no good"""

    async def start(self) -> None:
        """Open the sockets and start the clock."""
        await self._layer.start()
        self._clock = asyncio.create_task(self._tick())

    async def close(self) -> None:
        """Stop."""
        if self._clock:
            self._clock.cancel()
        await self._layer.close()

    async def call(self, seconds: float, called: str = "load") -> Outcome:
        """Place a call and speak.

        Args:
            seconds: How long, if the peer does not hang up before.
            called: Whom.
        """
        self._placed += 1
        slot = self._talkers[self._placed % TICKS]
        talker = _Talker(self._speech, ("127.0.0.1", 9), self._placed * 97)
        try:
            invite = self._invite(called, talker)
            answer = await self._ask(invite)
            if answer is None or answer.status_code >= 300:
                return Outcome(answer.status_code if answer else 408)
            talker.to = _media(answer.text)
            dialog = _Dialog(invite, answer, stringify_uri(contacts_of(answer)[0].uri))
            self._layer.send_ack(dialog.request("ACK"), self._target)
            hung_up = asyncio.Event()
            self._byes[call_id_of(invite)] = hung_up.set
            talker.began = asyncio.get_running_loop().time()
            slot.append(talker)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(hung_up.wait(), seconds)
            slot.remove(talker)
            if not hung_up.is_set():
                await self._ask(dialog.request("BYE"))
            return Outcome(answer.status_code, talker.sent, hung_up.is_set())
        finally:
            if talker in slot:
                slot.remove(talker)
            talker.socket.close()

    # ------------------------------------------------------------ inside

    def _invite(self, called: str, talker: _Talker) -> SipRequest:
        port = talker.socket.getsockname()[1]
        request = SipRequest(method="INVITE", uri=f"sip:{called}@{_at(self._target)}")
        put = request.headers.set_single
        put("From", f"<sip:load@127.0.0.1>;tag={new_tag()}")
        put("To", f"<sip:{called}@{_at(self._target)}>")
        put("Call-ID", new_call_id())
        put("CSeq", "1 INVITE")
        put("Contact", self._layer.contact(self._target, "load"))
        put("Content-Type", "application/sdp")
        request.text = (
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n"
        )
        return request

    async def _ask(self, request: SipRequest) -> SipResponse | None:
        """Send a request; its final response, or None without any."""
        loop = asyncio.get_running_loop()
        final: asyncio.Future[SipResponse | None] = loop.create_future()

        def answered(response: SipResponse) -> None:
            if response.status_code >= 200 and not final.done():
                final.set_result(response)

        def failed(why: str) -> None:
            if not final.done():
                final.set_result(None)

        self._layer.request(request, self._target, answered, failed)
        return await final

    def _asked(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        ended = self._byes.pop(call_id_of(request), None)
        known = request.method == "BYE" and ended is not None
        transaction.respond(response_to(request, 200 if known else 481))
        if ended:
            ended()

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        slot = 0
        while True:
            now = loop.time()
            self.late = max(self.late, now - due)
            for talker in self._talkers[slot]:
                talker.speak(now)
            slot = (slot + 1) % TICKS
            # Ticks that were missed are not made up for: each caller knows what is due.
            due = max(due + PACKET_SECONDS / TICKS, now)
            await asyncio.sleep(max(0.0, due - loop.time()))


@dataclass(frozen=True, slots=True)
class _Dialog:
    """What requests within a call are made of."""

    invite: SipRequest
    answer: SipResponse
    target: str

    def request(self, method: str) -> SipRequest:
        request = SipRequest(method=method, uri=self.target)
        put = request.headers.set_single
        put("From", self.invite.headers.get("from")[0])
        put("To", self.answer.headers.get("to")[0])
        put("Call-ID", call_id_of(self.invite))
        put("CSeq", f"{1 if method == 'ACK' else 2} {method}")
        return request


def _at(hop: Hop) -> str:
    return f"{hop.host}:{hop.port}"


def _media(sdp: str) -> tuple[str, int]:
    """Host and port of the first stream of an answer."""
    lines = sdp.splitlines()
    host = next(line.split()[-1] for line in lines if line.startswith("c="))
    port = next(int(line.split()[1]) for line in lines if line.startswith("m=audio"))
    return host, port
