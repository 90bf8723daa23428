"""Session timers: a call whose other end died without BYE ends by itself (RFC 4028).

The rules are pure functions on header values; :class:`SessionTimer` only keeps
the clock.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from aiosipua.message import SipRequest, SipResponse
from pydantic import model_validator

from voicebot.params import Params, key

OPTION: Final = "timer"
"""option tag, RFC 4028 section 11"""
_LONGEST: Final = 7 * 86_400
"""s; what a peer may ask for beyond that is taken as that"""
_DELTA: Final = re.compile(r"\s*(\d{1,10})\s*(;|$)")


class SessionTimerParams(Params):
    """How long a call may go without a sign that the peer's signalling lives (RFC 4028)."""

    enabled: bool = key(True, "Whether we ask for session timers; a peer who wants them gets them.")
    expires_seconds: int = key(
        1800, "How long a call lives after the last refresh.", unit="s", ge=4, le=86_400
    )
    min_seconds: int = key(
        90,
        "The shortest time that a peer may ask for; shorter ones are refused by 422. "
        "RFC 4028 forbids less than 90 outside of tests.",
        unit="s",
        ge=2,
        le=3600,
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.expires_seconds < self.min_seconds:
            raise ValueError("expires_seconds is below min_seconds")
        return self


class Refresher(StrEnum):
    """Who refreshes, named by the roles in the transaction that agreed on it."""

    UAC = "uac"
    UAS = "uas"


class TooShortError(ValueError):
    """The peer's interval is below ours: 422 with Min-SE.

    Args:
        min_se: What to put there, in seconds.
    """

    def __init__(self, min_se: int) -> None:
        super().__init__(f"session interval below {min_se} s")
        self.min_se = min_se


@dataclass(frozen=True, slots=True)
class Agreed:
    """What both sides hold to."""

    seconds: int
    """s between refreshes at most"""
    refresher: Refresher
    peer_knows: bool = True
    """whether the peer supports the extension"""

    @property
    def header(self) -> str:
        """Value of Session-Expires."""
        return f"{self.seconds};refresher={self.refresher}"


def session_expires(message: SipRequest | SipResponse) -> tuple[int, Refresher | None] | None:
    """Read Session-Expires.

    Returns:
        Seconds and who refreshes; None if it is absent or unreadable.
    """
    value = message.get_header("session-expires")
    match = _DELTA.match(value) if value else None
    if value is None or match is None:
        return None
    named = re.search(r";\s*refresher\s*=\s*\"?(uac|uas)\b", value, re.IGNORECASE)
    return min(int(match[1]), _LONGEST), Refresher(named[1].lower()) if named else None


def min_se(message: SipRequest | SipResponse) -> int:
    """Read Min-SE; 0 where it is absent or unreadable."""
    value = message.get_header("min-se")
    match = _DELTA.match(value) if value else None
    return min(int(match[1]), _LONGEST) if match else 0


def supports(message: SipRequest | SipResponse, option: str) -> bool:
    """Whether Supported or Require names an option tag."""
    named = (*message.headers.get("supported"), *message.headers.get("require"))
    return any(option == tag.strip().lower() for value in named for tag in value.split(","))


def agree(request: SipRequest, params: SessionTimerParams) -> Agreed | None:
    """Decide as the side that answers an INVITE or UPDATE (RFC 4028 section 9).

    Returns:
        None for no timer.

    Raises:
        TooShortError: refuse by 422.
    """
    asked = session_expires(request)
    known = supports(request, OPTION)
    if asked is None:
        if not params.enabled:
            return None
        seconds = max(params.expires_seconds, min_se(request))
        # Table 2 of the RFC: a peer that does not know timers cannot refresh.
        return Agreed(seconds, Refresher.UAS, known)
    seconds, refresher = asked
    if seconds < params.min_seconds:
        if known:
            raise TooShortError(params.min_seconds)
        seconds = params.min_seconds  # a proxy asked; the caller would not understand a 422
    elif params.enabled:
        # It may be made shorter, never longer, and not below what a proxy on the way demands.
        floor = max(params.min_seconds, min_se(request))
        seconds = min(seconds, max(params.expires_seconds, floor))
    if not known:
        refresher = Refresher.UAS
    return Agreed(seconds, refresher or Refresher.UAS, known)


def put_request(
    request: SipRequest, params: SessionTimerParams, floor: int = 0, current: Agreed | None = None
) -> None:
    """Ask for a timer in an INVITE or UPDATE of ours (RFC 4028 section 7.1).

    Args:
        request: Gets Session-Expires and Min-SE.
        params: Ours.
        floor: Min-SE of a 422 that came before, in seconds.
        current: What is in force, for a refresh; ``refresher`` counted from this transaction.
    """
    if current is not None:
        request.set_header("Session-Expires", current.header)
    elif params.enabled:
        request.set_header("Session-Expires", str(max(params.expires_seconds, floor)))
    else:
        return
    request.set_header("Min-SE", str(max(params.min_seconds, floor)))


def put_response(response: SipResponse, agreed: Agreed | None) -> None:
    """Say in a 2xx what was agreed (RFC 4028 section 9)."""
    if agreed is None:
        return
    response.set_header("Session-Expires", agreed.header)
    if agreed.refresher is Refresher.UAC and agreed.peer_knows:
        response.add_header("Require", OPTION)


def agreed_by(response: SipResponse) -> Agreed | None:
    """What a 2xx to our INVITE or UPDATE says (RFC 4028 section 7.2); None for no timer."""
    said = session_expires(response)
    if said is None or said[0] < 1:
        return None
    return Agreed(said[0], said[1] or Refresher.UAC)


class SessionTimer:
    """The clock of one call.

    Args:
        refresh: Called at half the interval if we refresh.
        expired: Called when the peer has not refreshed in time, shortly before the interval ends
            (RFC 4028 section 10), or we have not managed to.
    """

    def __init__(self, refresh: Callable[[], None], expired: Callable[[], None]) -> None:
        self._refresh = refresh
        self._expired = expired
        self._timers: list[asyncio.TimerHandle] = []
        self.agreed: Agreed | None = None
        self.ours = False
        """whether we refresh"""

    def restart(self, agreed: Agreed | None, ours: bool) -> None:
        """Begin anew after a 2xx to an INVITE or UPDATE; None stops it."""
        self.stop()
        self.agreed, self.ours = agreed, ours
        if agreed is None:
            return
        loop = asyncio.get_running_loop()
        seconds = agreed.seconds
        if ours:
            self._timers.append(loop.call_later(seconds / 2, self._refresh))
        self._timers.append(loop.call_later(seconds - min(32.0, seconds / 3), self._expired))

    def stop(self) -> None:
        """Stop the clock."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
