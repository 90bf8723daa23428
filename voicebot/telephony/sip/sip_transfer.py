"""Handing a caller over: REFER first, and a bridge where the caller's side refuses that."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

import structlog
from aiosipua.headers import SipUri
from aiosipua.message import SipRequest

from voicebot.events import Leg
from voicebot.telephony.line import Briefing, Transferred, TransferResult
from voicebot.telephony.sip.bridge import Bridge
from voicebot.telephony.sip.leg_media import LegMedia
from voicebot.telephony.sip.refer import (
    ReferProgress,
    ReferState,
    briefing_headers,
    event_id,
    fill_refer,
    target_uri,
)
from voicebot.telephony.sip.sip_core import NoAnswerError
from voicebot.telephony.sip.sip_messages import cseq_of
from voicebot.telephony.sip.sip_outgoing import OutgoingCall
from voicebot.telephony.sip.sip_session import CallState, SessionState, SipSession

if TYPE_CHECKING:
    from voicebot.telephony.sip.sip_incoming import IncomingCall

_log = structlog.get_logger(__name__)

_CANNOT: Final = frozenset({400, 401, 403, 405, 406, 407, 415, 420, 421, 489, 501, 603, 606})
"""answers to the REFER itself that say: not by REFER"""
_MOST_PAST: Final = 16
_GONE: Final = Transferred(TransferResult.GONE, "the caller hung up")


class Handover:
    """All attempts to hand over one call, one after the other.

    Args:
        call: Whose caller.
    """

    def __init__(self, call: IncomingCall) -> None:
        self._call = call
        self._lock = asyncio.Lock()
        self._progress: ReferProgress | None = None
        self._past: deque[int] = deque(maxlen=_MOST_PAST)
        """CSeq numbers of REFERs before the last"""
        self._changed = asyncio.Event()
        self._agent_media: LegMedia | None = None
        self._agent: SipSession | None = None
        self._bridge: Bridge | None = None
        self._referring = False

    # ------------------------------------------------------------- the call's side

    def on_notify(self, notify: SipRequest) -> bool:
        """Take a NOTIFY; False if no REFER of ours asked for one."""
        if self._progress is None:
            return False
        number = event_id(notify)
        if number is not None and number in self._past:
            return True  # late news of an attempt that was given up
        self._progress.notified(notify)
        self._changed.set()
        return True

    async def line_ended(self) -> bool:
        """The caller's session is over: part the bridge, end the agent's call.

        Returns:
            Whether the caller was handed over by REFER; waits shortly for the NOTIFY that says so,
            since many peers send BYE before it.
        """
        await self.part()
        progress = self._progress
        if progress is None or not self._referring:
            return progress is not None and _is_done(progress)
        if progress.state is ReferState.BLIND and self._call.session.state is SessionState.ENDED:
            # Nobody will say it, but a peer that accepted and then leaves has done it.
            progress.end(Transferred(TransferResult.DONE, "accepted without progress, then BYE"))
        try:
            async with asyncio.timeout(self._call.core.params.transfer.bye_seconds):
                while progress.state not in (ReferState.ENDED, ReferState.REFUSED):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            progress.end(_GONE)
        self._changed.set()
        return _is_done(progress)

    # ------------------------------------------------------------- attempts

    async def attempt(self, target: str, briefing: Briefing) -> Transferred:
        """Hand over; never raises for what a peer may do."""
        async with self._lock:
            call, before = self._call, self._call.state
            if not call.can_speak and before is not CallState.ENDED:
                return Transferred(TransferResult.UNSUPPORTED, "a recording cannot be handed over")
            if before is CallState.BRIDGED:
                return Transferred(
                    TransferResult.UNSUPPORTED, "the caller talks to an agent already"
                )
            try:
                uri = target_uri(target, call.home)
            except ValueError as error:
                return Transferred(TransferResult.UNREACHABLE, str(error))
            if not await self._is_confirmed():
                return _GONE
            call.state = CallState.TRANSFERRING
            try:
                result = await self._refer(uri, briefing)
                if result is None:
                    result = await self._call_agent(uri, briefing)
            finally:
                if call.state is CallState.TRANSFERRING:
                    call.state = CallState.BRIDGED if self._bridge else CallState.TALKING
            _log.info("sip_transfer", result=str(result.result), detail=result.detail)
            return result

    async def _is_confirmed(self) -> bool:
        session = self._call.session
        try:
            async with asyncio.timeout(64 * self._call.core.t1):
                await session.confirmed.wait()
        except TimeoutError:
            return False
        return session.state is SessionState.CONFIRMED

    async def _refer(
        self, uri: SipUri, briefing: Briefing, plain: bool = False
    ) -> Transferred | None:
        """REFER; None if the peer refuses to follow one, so that a bridge is to be tried.

        Args:
            uri: Whom the caller shall be connected to.
            briefing: Goes with it.
            plain: Keep the briefing out of the Refer-To address.
        """
        session, core = self._call.session, self._call.core
        params = core.params.transfer
        if self._progress is not None:
            self._past.append(self._progress.number)
        self._progress = progress = ReferProgress()
        self._referring = True
        embed = params.embed_headers and not plain
        asking = core.spawn(self._send_refer(uri, briefing, progress, embed), "sip-refer")
        try:
            async with asyncio.timeout(params.ring_seconds + params.report_seconds):
                while progress.state not in (ReferState.ENDED, ReferState.REFUSED):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            progress.end(Transferred(TransferResult.TIMEOUT, f"no result, {progress.state}"))
        finally:
            self._referring = False
            asking.cancel()
        result = progress.result
        assert result is not None
        if progress.state is ReferState.REFUSED:
            status = int(result.detail.partition(" ")[0])
            if status == 481 or session.state is not SessionState.CONFIRMED:
                return _GONE
            if status == 400 and embed:  # a parser that does not know headers in an address
                return await self._refer(uri, briefing, plain=True)
            if status in _CANNOT and params.bridge and isinstance(self._call.media, LegMedia):
                core.faults.counters["sip_refer_refused"] += 1
                return None
            if status in _CANNOT:
                return Transferred(TransferResult.UNSUPPORTED, result.detail)
            return result
        if result.result is TransferResult.DONE and session.state is SessionState.CONFIRMED:
            core.spawn(self._leave(session), "sip-leave")
        return result

    async def _send_refer(
        self, uri: SipUri, briefing: Briefing, progress: ReferProgress, embed: bool
    ) -> None:
        session = self._call.session
        core = self._call.core
        try:
            hop = await core.hop_of(session.dialog)
            request = session.dialog.request("REFER")
            progress.number = session.dialog.local_seq
            core.dress(request, hop)
            us = core.identity(hop)
            fill_refer(request, uri, us, briefing, embed=embed)
            response = await core.ask(request, hop, session.answerer, session.dialog)
        except NoAnswerError as error:
            progress.end(Transferred(TransferResult.UNREACHABLE, f"REFER: {error}"))
        except ValueError as error:
            progress.end(Transferred(TransferResult.UNREACHABLE, f"REFER: {error}"))
        else:
            progress.number = cseq_of(response).seq  # with credentials it is another
            progress.responded(response)
        self._changed.set()

    async def _leave(self, session: SipSession) -> None:
        """The agent has the caller: the peer ends our part, or we do."""
        try:
            async with asyncio.timeout(self._call.core.params.transfer.bye_seconds):
                await session.over.wait()
        except TimeoutError:
            await self._call.hang_up("transferred")

    # ------------------------------------------------------------- bridge

    async def _call_agent(self, uri: SipUri, briefing: Briefing) -> Transferred:
        core, caller = self._call.core, self._call.media
        if not isinstance(caller, LegMedia):
            return Transferred(TransferResult.UNSUPPORTED, "this call has no leg to bridge")
        media = LegMedia(core.media, core.pool, Leg.AGENT)
        bridge = Bridge(caller, media)
        outgoing = OutgoingCall(core, uri, media, briefing_headers(briefing), bridge.let_hear)
        calling = asyncio.ensure_future(outgoing.call(core.params.transfer.ring_seconds))
        gone = asyncio.ensure_future(self._call.session.over.wait())
        result: Transferred | None = None  # if we are cancelled, even as the agent answers
        try:
            await asyncio.wait([calling, gone], return_when=asyncio.FIRST_COMPLETED)
            if self._call.session.over.is_set():
                result = _GONE
            else:
                result = await calling
        finally:
            gone.cancel()
            if not calling.done():
                calling.cancel()
                await asyncio.wait([calling])
            kept = (
                result is not None
                and result.result is TransferResult.DONE
                and not self._call.session.over.is_set()
            )
            if not kept:
                bridge.part()
                await media.close()
                if outgoing.session is not None:
                    core.spawn(outgoing.session.bye(), "sip-bye-agent")
        if not kept:
            return _GONE if result.result is TransferResult.DONE else result
        assert outgoing.session is not None
        self._agent_media, self._agent, self._bridge = media, outgoing.session, bridge
        outgoing.session.on_ended = self._agent_ended
        if outgoing.session.over.is_set():  # hung up while we were about to join them
            await self.part()
            return Transferred(TransferResult.DECLINED, "the agent hung up at once")
        bridge.join()
        return result

    def _agent_ended(self, reason: str) -> None:
        """Either side's end is the other's."""
        self._call.core.spawn(self._call.hang_up("hangup"), "sip-agent-ended")

    async def part(self) -> None:
        """End the agent's call, if there is one.  May be called twice."""
        bridge, self._bridge = self._bridge, None
        session, self._agent = self._agent, None
        media, self._agent_media = self._agent_media, None
        if bridge is not None:
            bridge.part()
        if media is not None:
            await media.close()
        if session is not None:
            session.on_ended = lambda reason: None
            self._call.core.spawn(session.bye(), "sip-bye-agent")


def _is_done(progress: ReferProgress) -> bool:
    return progress.result is not None and progress.result.result is TransferResult.DONE
