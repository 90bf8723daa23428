"""Showing the peer that we live, and seeing whether it does (RFC 4028 section 7.4)."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

from aiosipua.message import SipResponse

from voicebot.telephony.line import LineError
from voicebot.telephony.sip.session_timer import Agreed, Refresher, agreed_by, min_se, put_request
from voicebot.telephony.sip.sip_core import NoAnswerError

if TYPE_CHECKING:
    from voicebot.telephony.sip.sip_session import SipSession

_ROUNDS: Final = 5
"""tries of one refresh: glare, a longer interval, re-INVITE instead of UPDATE"""
_DEAD: Final = frozenset({408, 481})
"""answers that mean that the call is gone (RFC 3261 section 12.2.1.2)"""


async def refresh(session: SipSession) -> None:
    """Refresh once, by UPDATE where the peer takes it, else by re-INVITE; ends a dead call."""
    floor = 0
    update = "update" in session.allow
    for _ in range(_ROUNDS):
        try:
            response = await _ask(session, update, floor)
        except NoAnswerError:
            session.break_off("line_lost")
            return
        except (LineError, ValueError) as error:
            # We have nothing to ask with (a paused recording has no stream): no sign of death.
            session.core.faults.count("sip_refresh_impossible", error=type(error).__name__)
            if not session.over.is_set():
                session.timer.restart(session.timer.agreed, session.timer.ours)
            return
        before = session.timer.agreed
        if response is None or before is None or session.over.is_set():
            return  # over meanwhile: no clock is wound up for it any more
        status = response.status_code
        if 200 <= status < 300:
            agreed = agreed_by(response)
            if agreed is None and not before.peer_knows:
                agreed = before  # it knows no timers: we go on asking whether it lives
            ours = agreed is not None and (agreed is before or agreed.refresher is Refresher.UAC)
            session.timer.restart(agreed, ours)
            return
        if status in _DEAD:
            session.break_off("line_lost")
            return
        if status == 422:
            floor = max(floor, min_se(response))
        elif status == 491:
            # RFC 3261 section 14.1: who made the Call-ID waits longer.
            await asyncio.sleep(random.uniform(*((2.1, 4.0) if session.calls else (0.0, 2.0))))
        elif update and status in (405, 501):
            update = False
        else:
            # Whoever refuses a refresh lives, and that is all we wanted to know.
            session.core.faults.count("sip_refresh_refused", status=status)
            session.timer.restart(before, session.timer.ours)
            return


async def _ask(session: SipSession, update: bool, floor: int) -> SipResponse | None:
    """One UPDATE or re-INVITE; None if it is no longer wanted."""
    core, dialog, timer = session.core, session.dialog, session.core.params.timer
    if session.over.is_set() or not session.confirmed.is_set() or session.timer.agreed is None:
        return None
    agreed = Agreed(max(session.timer.agreed.seconds, floor), Refresher.UAC)
    hop = await core.hop_of(dialog)
    if update:
        request = dialog.request("UPDATE")
        core.dress(request, hop, session.media)
        put_request(request, timer, floor, agreed)
        response = await core.ask(request, hop, session.answerer, dialog)
        if 200 <= response.status_code < 300:
            dialog.move(response)
        return response
    if session.answering or session.asking or session.media is None:
        return SipResponse(status_code=491)
    session.asking = True
    try:
        body = await session.media.make_offer()
        request = dialog.request("INVITE")
        core.dress(request, hop, session.media)
        put_request(request, timer, floor, agreed)
        body.put(request)
        response = await core.ask(request, hop, session.answerer, dialog, dialog.ack)
        if 200 <= response.status_code < 300:
            dialog.move(response)
            await session.take_answer(response)
        return response
    finally:
        session.asking = False
