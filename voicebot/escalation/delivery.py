"""The worker that empties the outbox in the background, with patience."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import structlog

from voicebot.escalation.outbox import Outbox, OutboxError, OutboxParams, Row, RowState

log = structlog.get_logger()

_POLL_SECONDS = 1.0
"""s; how often to look for messages of other processes that share the outbox"""


class Result(Enum):
    """How an attempt ended."""

    DELIVERED = "delivered"
    RETRY = "retry"
    REJECTED = "rejected"
    """repeating it would not help"""
    CANCELLED = "cancelled"
    """we gave up before it was decided"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt."""

    result: Result
    error: str = ""
    retry_after: float | None = None
    """s; the receiver asked not to be tried earlier"""


class Sender(Protocol):
    """Delivers one message; used by one thread."""

    def send(self, row: Row) -> Outcome:
        """Try once; never raises for what a receiver or a network may do."""
        ...

    def cancel(self) -> None:
        """End the attempt under way, if any; called from another thread."""
        ...

    def close(self) -> None:
        """Let go of everything; called by the thread that sends."""
        ...


def backoff(params: OutboxParams, attempts: int, draw: float) -> float:
    """Seconds to wait after so many failed attempts.

    Doubles from ``first_delay_seconds`` to ``max_delay_seconds``; the upper half
    is left to chance, so that many voicebots do not come back in step.

    Args:
        params: First and longest delay.
        attempts: Failed attempts, at least 1.
        draw: Random, 0-1.
    """
    # 2**1000 overflows no float, and no delay needs more doublings than this.
    full = min(params.max_delay_seconds, params.first_delay_seconds * 2.0 ** min(attempts - 1, 60))
    return full * (0.5 + 0.5 * draw)


class DeliveryWorker:
    """A thread that delivers what is in the outbox, until it is closed.

    Args:
        outbox: The outbox; the caller closes it after the worker.
        sender: How to deliver; closed with the worker.
        seed: Of the chance in the delays; None for a different one each time.
    """

    def __init__(self, outbox: Outbox, sender: Sender, seed: int | None = None) -> None:
        self._outbox = outbox
        self._sender = sender
        self._random = random.Random(seed)
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="voicebot-outbox", daemon=True)

    def start(self) -> None:
        """Begin; what earlier runs left behind goes first."""
        self._thread.start()

    def wake(self) -> None:
        """Something was put into the outbox."""
        self._wake.set()

    def drain(self, seconds: float) -> int:
        """Wait until nothing is pending, or ``seconds`` have passed.

        Does not wait for a message whose next attempt is not due within that time.

        Returns:
            How many messages are still pending.

        Raises:
            OutboxError: the outbox cannot be read.
        """
        deadline = time.monotonic() + seconds
        self.wake()
        while (left := self._outbox.pending()) and self._thread.is_alive():
            rest = deadline - time.monotonic()
            due = self._outbox.next_due()
            if rest <= 0 or (due is not None and due > rest):
                break
            time.sleep(min(0.02, rest))
        return left

    def close(self) -> None:
        """Stop, ending an attempt under way; what is pending stays in the outbox."""
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is None:  # it never began, so nobody else closes the sender
            self._sender.close()
        while self._thread.is_alive():
            self._sender.cancel()
            self._thread.join(0.05)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._wake.clear()
                try:
                    worked = self._deliver_one()
                    due = None if worked else self._outbox.next_due()
                except OutboxError as err:
                    log.error("outbox_unusable", error=err.what, mend=err.mend)
                    worked, due = False, _POLL_SECONDS
                if not worked and not self._stopping.is_set():
                    self._wake.wait(min(_POLL_SECONDS, max(due or _POLL_SECONDS, 0.01)))
        finally:
            self._sender.close()

    def _deliver_one(self) -> bool:
        """Try the next message that is due; False if there was none."""
        row = self._outbox.claim()
        if row is None:
            return False
        try:
            outcome = self._sender.send(row)
        except Exception as err:
            # A bug in a sender must cost an attempt, not the thread and every later alert.
            outcome = Outcome(Result.RETRY, f"internal error: {type(err).__name__}: {err}")
        about = {"key": row.key, "call_id": row.call_id, "kind": row.kind}
        match outcome.result:
            case Result.DELIVERED:
                self._outbox.delivered(row)
                log.info("delivered", **about, attempts=row.attempts + 1)
            case Result.REJECTED:
                self._outbox.reject(row, outcome.error)
                log.error("delivery_rejected", **about, error=outcome.error)
            case Result.CANCELLED:
                self._outbox.release(row)
            case Result.RETRY:
                delay = backoff(self._outbox.params, row.attempts + 1, self._random.random())
                delay = max(delay, min(outcome.retry_after or 0.0, 3600.0))
                state = self._outbox.failed(row, outcome.error, delay)
                told = log.error if state is RowState.DEAD else log.warning
                told(
                    "delivery_given_up" if state is RowState.DEAD else "delivery_failed",
                    **about, attempts=row.attempts + 1, error=outcome.error, retry_in=delay,
                )  # fmt: skip
        return True
