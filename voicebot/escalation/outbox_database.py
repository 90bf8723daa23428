"""The SQLite file under the outbox: opening it safely, transactions, and clear errors."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from voicebot.errors import OutputError

_APPLICATION = 0x766F6962  # "voib", so that another program's database is not mistaken for ours
_VERSION = 1
_SCHEMA = """
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    call_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,
    created REAL NOT NULL,
    expires REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL,
    lease_owner TEXT,
    lease_until REAL,
    error TEXT NOT NULL DEFAULT ''
);
CREATE INDEX outbox_by_call ON outbox (state, call_id, id)
"""


class OutboxError(OutputError):
    """The outbox file is full, locked, broken, not writable or not an outbox."""


class OutboxDatabase:
    """The outbox file as a database; safe to use from several threads.

    Args:
        path: The file; it and its folder are made where missing, readable by
            the owner only.
        lock_seconds: How long to wait for another process that is writing.

    Raises:
        OutboxError: the file is full, locked, broken, not writable or not an outbox.
    """

    def __init__(self, path: Path, lock_seconds: float) -> None:
        self.path = path
        self._lock_seconds = lock_seconds
        self._lock = threading.Lock()
        with self._guard():
            self._db = self._open()
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything within happens, and is on disk, or nothing does.

        Raises:
            OutboxError: as the class.
        """
        with self._guard(), self._begun():
            yield self._db

    def read(self, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """The rows of a query.

        Raises:
            OutboxError: as the class.
        """
        with self._guard():
            return self._db.execute(sql, values).fetchall()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Made by us first, so that it is never readable by others, not even for a moment.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        return sqlite3.connect(
            self.path,
            timeout=self._lock_seconds,
            isolation_level=None,
            check_same_thread=False,
        )

    def _prepare(self) -> None:
        db = self._db
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")  # on disk when a transaction ends
        db.execute("PRAGMA secure_delete = ON")  # delivered quotes leave no trace in free pages
        with self._begun():
            application = db.execute("PRAGMA application_id").fetchone()[0]
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if (application, version) == (_APPLICATION, _VERSION):
                return
            if application == _APPLICATION:
                raise OutboxError(
                    f"outbox {self.path}: made by another version of voicebot ({version})",
                    "update voicebot, or name another file in actions.outbox.path",
                )
            if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise OutboxError(
                    f"outbox {self.path}: the database of another program",
                    "name another file in actions.outbox.path",
                )
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {_APPLICATION}")
            db.execute(f"PRAGMA user_version = {_VERSION}")

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        """One thread at a time, and errors that a user can act on."""
        with self._lock:
            try:
                yield
            except sqlite3.Error as err:
                raise self._explained(err) from None
            except OSError as err:
                raise OutboxError(
                    f"outbox {self.path}: cannot be opened: {err.strerror}",
                    "name a file that can be written in actions.outbox.path",
                ) from None

    @contextlib.contextmanager
    def _begun(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # a full disk may have rolled back already
                self._db.execute("ROLLBACK")
            raise

    def _explained(self, err: sqlite3.Error) -> OutboxError:
        name = getattr(err, "sqlite_errorname", "") or ""
        what, mend = str(err), "see actions.outbox.path"
        if name.startswith("SQLITE_FULL"):
            what, mend = "the disk is full", "make room; calls go on, but alerts are not kept"
        elif name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            what = f"another process has locked it for over {self._lock_seconds:g} s"
            mend = "find it with `fuser`, or raise actions.outbox.lock_seconds"
        elif name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            what = "the file is damaged or no SQLite database"
            mend = "move it away (what was pending in it is lost), or name another file in "
            mend += "actions.outbox.path"
        elif name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM")):
            what = "cannot be written"
            mend = "mend its permissions, or name another file in actions.outbox.path"
        return OutboxError(f"outbox {self.path}: {what}", mend)
