"""A connection to a telephone exchange that is kept, however often it is lost.

What all gateways of one exchange share: it is opened once, tried again for ever
with growing pauses, and its events go to whoever listens.
"""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import StrEnum
from typing import Generic, TypeVar

import structlog

from voicebot.telephony.faults import Faults
from voicebot.telephony.line import LineError

Event = TypeVar("Event")
_log = structlog.get_logger(__name__)


class ConnectionState(StrEnum):
    """Of the connection that brings the events."""

    CLOSED = "closed"
    CONNECTING = "connecting"
    UP = "up"
    WAITING = "waiting"
    """it was lost or refused, and is tried again"""


class PbxConnection(ABC, Generic[Event]):
    """Keeps one connection.

    Args:
        name: Of the protocol: begins the names of what is counted.
        retry_seconds: Pause before the second attempt; it doubles.
        most_retry_seconds: The longest pause.
    """

    def __init__(self, name: str, retry_seconds: float, most_retry_seconds: float) -> None:
        self.faults = Faults(name)
        self._retry, self._most_retry = retry_seconds, most_retry_seconds
        self._pause = retry_seconds
        self._state = ConnectionState.CLOSED
        self._listeners: list[Callable[[Event], None]] = []
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self._refusal: LineError | None = None
        """why the first attempt showed that no further one would help"""

    @property
    def state(self) -> ConnectionState:
        """Of the connection that brings the events."""
        return self._state

    @property
    def counters(self) -> Mapping[str, int]:
        """``NAME_lost``, ``NAME_malformed``, ``NAME_defect``, ..."""
        return self.faults.counters

    @property
    @abstractmethod
    def _host(self) -> str:
        """Host and port, for people."""

    @abstractmethod
    async def _converse(self) -> str:
        """Hold one connection, from its first byte to its last.

        To call :meth:`_is_up` when it stands, and to set ``_refusal`` if the first
        attempt shows that no other would be any better.

        Returns:
            Why it ended.  Nothing that a peer may do is raised.
        """

    def listen(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Hear every event from now on, in order.

        Returns:
            Call it to hear no more.
        """
        self._listeners.append(listener)

        def stop() -> None:
            with suppress(ValueError):
                self._listeners.remove(listener)

        return stop

    async def start(self) -> None:
        """Connect; an exchange that is down is tried for ever.  May be called twice.

        Returns when the first attempt has ended either way.

        Raises:
            LineError: it lets nobody in who comes like this.
        """
        if self._task is None:
            self._state = ConnectionState.CONNECTING
            self._task = asyncio.get_running_loop().create_task(
                self._keep(), name=self.faults.gateway
            )
        await self._tried.wait()
        if self._refusal is not None:
            refusal, self._refusal = self._refusal, None
            await self.close()
            raise refusal

    async def close(self) -> None:
        """Disconnect.  May be called twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self._state = ConnectionState.CLOSED
        self._tried.clear()

    def _is_up(self) -> None:
        self._state = ConnectionState.UP
        self._pause = self._retry
        self._tried.set()
        _log.info(f"{self.faults.gateway}_up", host=self._host)

    def _tell(self, event: Event, kind: str) -> None:
        """Hand an event to all listeners.

        Args:
            event: The event.
            kind: Its name, for the log.
        """
        for listener in list(self._listeners):
            try:
                listener(event)
            except Exception:  # a defect of ours must not end the events of all calls
                self.faults.count(f"{self.faults.gateway}_defect", kind=kind, exc_info=True)

    async def _keep(self) -> None:
        while True:
            self._state = ConnectionState.CONNECTING
            said = await self._converse()
            first = not self._tried.is_set()
            self._tried.set()
            if self._refusal is not None:
                return
            self._state = ConnectionState.WAITING
            what = "unreachable" if first else "lost"
            self.faults.count(f"{self.faults.gateway}_{what}", host=self._host, what=said)
            await asyncio.sleep(self._pause * random.uniform(0.75, 1.0))
            self._pause = min(2 * self._pause, self._most_retry)
