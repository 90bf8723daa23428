"""Timers and states that SIP transactions have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class TransactionState(StrEnum):
    """Where a transaction is; the states of RFC 3261 section 17 and RFC 6026."""

    CALLING = "calling"
    """INVITE client: sent, nothing heard"""
    TRYING = "trying"
    """the same of other requests; at the server: the user has not answered"""
    PROCEEDING = "proceeding"
    """a provisional response"""
    COMPLETED = "completed"
    """a final response, but for a 2xx to an INVITE"""
    CONFIRMED = "confirmed"
    """INVITE server: the ACK for a 300-699 came"""
    ACCEPTED = "accepted"
    """INVITE, after a 2xx"""
    TERMINATED = "terminated"


def where(error: BaseException) -> str:
    """An error's type and place, for a log that must hold nothing personal."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__name__
    file = Path(trace.tb_frame.f_code.co_filename).name
    return f"{type(error).__name__} at {file}:{trace.tb_lineno}"


@dataclass(frozen=True, slots=True)
class Times:
    """The timers of RFC 3261 table 4, in s."""

    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0
    trying: float = 0.2
    """until 100 Trying is sent for a user who is silent (17.2.1)"""
    longest: float = 600.0
    """after which an INVITE without a final response is given up, at either side"""

    @property
    def timeout(self) -> float:
        """Timers B, D, F, H, J, L, M: 64*T1."""
        return 64 * self.t1


class Timers:
    """The running timers of one transaction, by name."""

    __slots__ = ("_handles",)

    def __init__(self) -> None:
        self._handles: dict[str, asyncio.TimerHandle] = {}

    def start(self, name: str, seconds: float, action: Callable[[], None]) -> None:
        """Start one, instead of the one of that name."""
        self.stop(name)
        loop = asyncio.get_running_loop()
        self._handles[name] = loop.call_later(seconds, action)

    def repeat(self, name: str, seconds: float, longest: float, action: Callable[[], None]) -> None:
        """Do something after ``seconds``, then at twice the interval each, up to ``longest``."""

        def again() -> None:
            self.repeat(name, min(2 * seconds, longest), longest, action)
            action()

        self.start(name, seconds, again)

    def stop(self, *names: str) -> None:
        """Stop some, whether they run or not."""
        for name in names:
            handle = self._handles.pop(name, None)
            if handle is not None:
                handle.cancel()

    def stop_all(self) -> None:
        """Stop every one."""
        self.stop(*tuple(self._handles))
