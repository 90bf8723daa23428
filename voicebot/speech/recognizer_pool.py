"""A bounded pool of recognisers that are slow to make and big to keep.

A new Vosk recogniser costs 0.5-0.8 s of CPU on its first frames (it expands
the decoding graph as it goes) and grows to 65-95 MB.  So a few are made and
warmed beforehand, each is lent for one utterance, so that only those who speak
hold one, and an old one is replaced by a fresh one behind the scenes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

from voicebot.errors import VoicebotError

Item = TypeVar("Item")
_log = structlog.get_logger(__name__)


class BusyError(VoicebotError):
    """Every recogniser is in use and none came free in time."""


class RecognizerPool(Generic[Item]):
    """Lends recognisers to any thread; never more than ``limit`` exist.

    Args:
        make: Makes a recogniser; quick, it is called when somebody waits for it.
        warm: Does to a new recogniser what makes its first utterance quick.
        worn: Whether a recogniser that comes back is to be thrown away.
        size: How many to make and warm at once, here and now.
        limit: Most recognisers at once; those beyond ``size`` are made on demand.
        wait_seconds: How long :meth:`lease` waits for one when ``limit`` are out, in seconds.
    """

    def __init__(
        self,
        make: Callable[[], Item],
        *,
        warm: Callable[[Item], None],
        worn: Callable[[Item], bool],
        size: int,
        limit: int,
        wait_seconds: float,
    ) -> None:
        self._make, self._warm, self._worn = make, warm, worn
        self._size, self._limit = min(size, limit), limit
        self._wait_seconds = wait_seconds
        self._changed = threading.Condition()
        self._idle: list[Item] = []
        self._alive = 0
        self._closed = False
        for _ in range(self._size):
            self._alive += 1
            self._idle.append(self._made_warm())

    @property
    def idle(self) -> int:
        """How many are ready to be lent."""
        with self._changed:
            return len(self._idle)

    @property
    def alive(self) -> int:
        """How many exist, lent or idle."""
        with self._changed:
            return self._alive

    def lease(self) -> Item:
        """Take a recogniser: the one used last, else a new one, else wait for one.

        Raises:
            BusyError: All are lent, and none came back in time; or the pool is closed.
        """
        deadline = time.monotonic() + self._wait_seconds
        with self._changed:
            while True:
                if self._closed:
                    raise BusyError("the speech recogniser is shut down")
                if self._idle:
                    return self._idle.pop()
                if self._alive < self._limit:
                    self._alive += 1
                    break
                if not self._changed.wait(deadline - time.monotonic()):
                    raise BusyError(
                        f"all {self._limit} speech recognisers are busy",
                        "raise stt.pool_limit, or take fewer calls",
                    )
        _log.debug("stt_recogniser_made_on_demand", alive=self._alive)
        try:
            return self._make()
        except BaseException:
            self._lost()
            raise

    def give_back(self, item: Item) -> None:
        """Return a lent recogniser, ready for anybody's next utterance."""
        if self._worn(item):
            self.throw_away(item)
            return
        with self._changed:
            if self._closed:
                self._alive -= 1
            else:
                self._idle.append(item)
            self._changed.notify_all()

    def throw_away(self, item: Item) -> None:
        """Return a lent recogniser that nobody is to use again; it is replaced if need be."""
        del item
        self._lost()
        with self._changed:
            if self._closed or self._alive >= self._size:
                return
            self._alive += 1
        threading.Thread(target=self._replace, name="stt-warm", daemon=True).start()

    def close(self) -> None:
        """Drop what is idle and refuse new leases; what is lent is dropped when it returns."""
        with self._changed:
            self._closed = True
            self._alive -= len(self._idle)
            self._idle.clear()
            self._changed.notify_all()

    def _made_warm(self) -> Item:
        item = self._make()
        self._warm(item)
        return item

    def _replace(self) -> None:
        try:
            item = self._made_warm()
        except Exception as err:
            _log.error("stt_recogniser_not_replaced", error=str(err))
            self._lost()
            return
        with self._changed:
            if self._closed:
                self._alive -= 1
            else:
                self._idle.append(item)
            self._changed.notify_all()

    def _lost(self) -> None:
        with self._changed:
            self._alive -= 1
            self._changed.notify_all()
