"""What has yet to be told to the outside, kept in a file so that nothing forgets it.

An alert is put in here, and on disk, before anybody tries to deliver it; a row
leaves when a receiver has said that it has it.  So an alert outlives a receiver
that is down, a full network, and a ``kill -9`` of voicebot.  It may be delivered
twice (a receiver may say yes and we die before we hear it), hence the key by
which the receiver knows a repeat.

Rows of one call are delivered in the order in which they were put in.  Several
processes may share one file: a row is leased by whoever delivers it, and the
lease of a process that died is void.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from voicebot.closing import Closing
from voicebot.escalation.lease import is_gone, new_owner
from voicebot.escalation.outbox_database import OutboxDatabase, OutboxError
from voicebot.params import Params, key

__all__ = ["Message", "Outbox", "OutboxError", "OutboxParams", "Row", "RowState"]


_COLUMNS = "id, key, call_id, kind, body, state, created, expires, attempts, due, error"
_FIRST_OF_ITS_CALL = (
    "o.state = 'pending' AND NOT EXISTS (SELECT 1 FROM outbox AS p "
    "WHERE p.state = 'pending' AND p.call_id = o.call_id AND p.id < o.id)"
)


class RowState(StrEnum):
    """Whether a row still has a chance."""

    PENDING = "pending"
    DEAD = "dead"


class OutboxParams(Params):
    """The file that outlives us, and how long we keep trying."""

    path: str = key(
        "~/.local/state/voicebot/outbox.db",
        "The SQLite file, readable by its owner only since alerts quote callers. Processes of "
        "one machine may share it; never put it on a network file system.",
    )  # fmt: skip
    max_rows: int = key(
        10_000,
        "Rows kept at most, delivered ones not counted (they leave). When it is full the oldest "
        "given-up rows make room; then new alerts are refused, visibly.",
        ge=1, le=10_000_000,
    )  # fmt: skip
    first_delay_seconds: float = key(
        1.0, "Wait after the first failed attempt; it doubles with every further one.",
        unit="s", gt=0, le=3600,
    )  # fmt: skip
    max_delay_seconds: float = key(
        30.0,
        "Longest wait between two attempts: how late an alert may come after a receiver is back.",
        unit="s",
        gt=0,
        le=86_400,
    )
    max_attempts: int = key(
        10_000, "After so many failed attempts a row is given up: kept as dead, not lost.",
        ge=1, le=100_000,
    )  # fmt: skip
    max_age_hours: float = key(
        24.0, "A row that could not be delivered for so long is given up: old alerts help nobody.",
        unit="h", gt=0, le=8760,
    )  # fmt: skip
    keep_dead_days: float = key(
        30.0, "Given-up rows are erased after so long.", unit="d", gt=0, le=3650
    )
    lease_seconds: float = key(
        60.0,
        "How long one process may take over one attempt before another may try. Must be above "
        "the webhook's timeout.",
        unit="s", ge=1, le=3600,
    )  # fmt: skip
    lock_seconds: float = key(
        5.0, "How long to wait for another process that is writing.", unit="s", ge=0, le=60
    )
    drain_seconds: float = key(
        5.0, "At the end of a run, how long to wait for what is still pending. The rest stays "
        "in the file for the next start.", unit="s", ge=0, le=600,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Message:
    """Something to be told to the outside."""

    call_id: str
    """messages of one call keep their order"""
    kind: str
    """``alert``"""
    body: str
    """JSON, sent as it is at every attempt"""


@dataclass(frozen=True, slots=True)
class Row:
    """A message in the outbox."""

    id: int
    key: str
    """idempotency key: the same at every attempt"""
    call_id: str
    kind: str
    body: str
    state: RowState
    created: float
    """s since the epoch"""
    expires: float
    """s since the epoch; given up afterwards"""
    attempts: int
    """attempts that failed"""
    due: float
    """s since the epoch; not tried earlier"""
    error: str
    """why the last attempt failed"""


class Outbox(Closing):
    """The outbox file.  A context manager; safe to use from several threads.

    Args:
        params: Where it is and how large it may grow.
        clock: Seconds since the epoch; tests turn it.

    Raises:
        OutboxError: from every method, when the file is full, locked, broken,
            not writable or not an outbox.
    """

    def __init__(self, params: OutboxParams, clock: Callable[[], float] = time.time) -> None:
        self.params = params
        self._clock = clock
        self._owner = new_owner()
        self._db = OutboxDatabase(Path(params.path).expanduser(), params.lock_seconds)

    # ------------------------------------------------------------ putting in

    def enqueue(self, message: Message, key: str | None = None) -> str:
        """Put a message in; it is on disk when this returns.

        Args:
            message: What to tell.
            key: Idempotency key; a message whose key is already in is not put
                in again.  A new one is made if None.

        Returns:
            The idempotency key.
        """
        key = key or uuid.uuid4().hex
        now = self._clock()
        with self._db.transaction() as db:
            self._make_room(db, now)
            db.execute(
                "INSERT INTO outbox (key, call_id, kind, body, state, created, expires, due) "
                "VALUES (?, ?, ?, ?, 'pending', ?, ?, ?) ON CONFLICT (key) DO NOTHING",
                (key, message.call_id, message.kind, message.body, now,
                 now + self.params.max_age_hours * 3600, now),
            )  # fmt: skip
        return key

    def _make_room(self, db: sqlite3.Connection, now: float) -> None:
        old = now - self.params.keep_dead_days * 86_400
        db.execute("DELETE FROM outbox WHERE state = 'dead' AND created < ?", (old,))
        excess = db.execute("SELECT count(*) FROM outbox").fetchone()[0] + 1
        excess -= self.params.max_rows
        if excess <= 0:
            return
        gone = db.execute(
            "DELETE FROM outbox WHERE id IN "
            "(SELECT id FROM outbox WHERE state = 'dead' ORDER BY id LIMIT ?)",
            (excess,),
        ).rowcount
        if gone < excess:
            raise OutboxError(
                f"outbox {self.params.path}: full: {self.params.max_rows} messages undelivered",
                "see why with `voicebot outbox list`, or raise actions.outbox.max_rows",
            )

    # ------------------------------------------------------------ delivering

    def claim(self) -> Row | None:
        """Lease the next message that may be tried now, or None.

        The first pending message of each call may be tried when it is due and
        nobody alive holds a lease on it.
        """
        now = self._clock()
        # A clock that was set back must not put off what was due soon.
        latest = now + max(self.params.max_delay_seconds, 3600.0)
        with self._db.transaction() as db:
            _void_leases(db, now)
            found = db.execute(
                f"SELECT {_COLUMNS} FROM outbox AS o WHERE {_FIRST_OF_ITS_CALL} "
                "AND (due <= :now OR due > :latest) AND lease_owner IS NULL "
                "ORDER BY due, id LIMIT 1",
                {"now": now, "latest": latest},
            ).fetchone()
            if found is None:
                return None
            row = _row(found)
            db.execute(
                "UPDATE outbox SET lease_owner = ?, lease_until = ? WHERE id = ?",
                (self._owner, now + self.params.lease_seconds, row.id),
            )
        return row

    def delivered(self, row: Row) -> None:
        """Erase a message that its receiver has."""
        with self._db.transaction() as db:
            db.execute("DELETE FROM outbox WHERE id = ?", (row.id,))

    def failed(self, row: Row, error: str, delay: float) -> RowState:
        """Note a failed attempt, to be repeated after ``delay`` seconds.

        Returns:
            DEAD if this was the last attempt that the row had, else PENDING.
        """
        now = self._clock()
        attempts = row.attempts + 1
        given_up = attempts >= self.params.max_attempts or now + delay > row.expires
        state = RowState.DEAD if given_up else RowState.PENDING
        self._settle(row, state, attempts, now + delay, error)
        return state

    def reject(self, row: Row, error: str) -> None:
        """Give a message up, because repeating it would not help.  It is kept as dead."""
        self._settle(row, RowState.DEAD, row.attempts + 1, self._clock(), error)

    def release(self, row: Row) -> None:
        """Let go of a message without having tried it to the end."""
        self._settle(row, row.state, row.attempts, row.due, row.error)

    def _settle(self, row: Row, state: RowState, attempts: int, due: float, error: str) -> None:
        # Only while the lease is still ours: else another process is at it by now.
        with self._db.transaction() as db:
            db.execute(
                "UPDATE outbox SET state = ?, attempts = ?, due = ?, error = ?, "
                "lease_owner = NULL, lease_until = NULL WHERE id = ? AND lease_owner = ?",
                (state, attempts, due, error[:500], row.id, self._owner),
            )

    # ------------------------------------------------------------ looking after it

    def rows(self, state: RowState | None = None) -> list[Row]:
        """The messages in the outbox, oldest first; all, or those in one state."""
        found = self._db.read(
            f"SELECT {_COLUMNS} FROM outbox WHERE ? IS NULL OR state = ? ORDER BY id",
            (state, state),
        )
        return [_row(values) for values in found]

    def pending(self) -> int:
        """How many messages wait for delivery."""
        return self._count(RowState.PENDING)

    def dead(self) -> int:
        """How many messages were given up and are kept."""
        return self._count(RowState.DEAD)

    def _count(self, state: RowState) -> int:
        return int(self._db.read("SELECT count(*) FROM outbox WHERE state = ?", (state,))[0][0])

    def next_due(self) -> float | None:
        """When the next message may be tried, in seconds from now (0 if now); None if none."""
        due = self._db.read(f"SELECT min(due) FROM outbox AS o WHERE {_FIRST_OF_ITS_CALL}")[0][0]
        return None if due is None else max(0.0, due - self._clock())

    def retry(self, keys: Sequence[str] | None = None) -> int:
        """Make messages due now, dead ones too, with all their attempts and time again.

        Args:
            keys: Which; None for all dead ones.

        Returns:
            How many.
        """
        now = self._clock()
        expires = now + self.params.max_age_hours * 3600
        change = "UPDATE outbox SET state = 'pending', attempts = 0, due = ?, expires = ? WHERE "
        with self._db.transaction() as db:
            if keys is None:
                done = db.execute(f"{change} state = 'dead'", (now, expires))
                return done.rowcount
            changes = (db.execute(f"{change} key = ?", (now, expires, k)) for k in keys)
            return sum(done.rowcount for done in changes)

    def hasten(self, keys: Sequence[str]) -> None:
        """Make pending messages due now, without giving them anything else."""
        with self._db.transaction() as db:
            for k in keys:
                db.execute(
                    "UPDATE outbox SET due = ? WHERE key = ? AND state = 'pending'",
                    (self._clock(), k),
                )

    def purge(self, state: RowState) -> int:
        """Erase all messages in one state; returns how many."""
        with self._db.transaction() as db:
            return db.execute("DELETE FROM outbox WHERE state = ?", (state,)).rowcount

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _row(values: Sequence[Any]) -> Row:
    """Make a row of the values of its columns."""
    named: dict[str, Any] = dict(zip(_COLUMNS.split(", "), values, strict=True))
    return Row(**{**named, "state": RowState(named["state"])})


def _void_leases(db: sqlite3.Connection, now: float) -> None:
    """Take back leases that ran out, or whose process is no more."""
    void = "UPDATE outbox SET lease_owner = NULL, lease_until = NULL WHERE lease_owner "
    # One that runs for longer than any may was made before the clock was set back.
    db.execute(f"{void} IS NOT NULL AND (lease_until <= ? OR lease_until > ?)", (now, now + 3600))
    for (owner,) in db.execute("SELECT DISTINCT lease_owner FROM outbox").fetchall():
        if owner is not None and is_gone(owner):
            db.execute(f"{void} = ?", (owner,))
