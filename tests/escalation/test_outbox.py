"""The outbox: nothing is lost, nothing is told twice at once, nothing overtakes."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from voicebot.errors import OutputError
from voicebot.escalation.outbox import (
    Message,
    Outbox,
    OutboxError,
    OutboxParams,
    Row,
    RowState,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def params(tmp_path: Path) -> OutboxParams:
    return OutboxParams(path=str(tmp_path / "new" / "outbox.db"), lock_seconds=0.1)


@pytest.fixture
def outbox(params: OutboxParams, clock: Clock) -> Iterator[Outbox]:
    with Outbox(params, clock) as opened:
        yield opened


def put(outbox: Outbox, body: str = "{}", call: str = "c1") -> str:
    return outbox.enqueue(Message(call, "alert", body))


def claim(outbox: Outbox) -> Row:
    row = outbox.claim()
    assert row is not None
    return row


def test_put_in_claimed_delivered_gone(outbox: Outbox) -> None:
    key = put(outbox, '{"a": 1}')
    row = claim(outbox)
    assert (row.key, row.call_id, row.kind, row.body) == (key, "c1", "alert", '{"a": 1}')
    assert row.state is RowState.PENDING and row.attempts == 0
    outbox.delivered(row)
    assert outbox.rows() == [] and outbox.claim() is None and outbox.next_due() is None


def test_it_outlives_the_process(params: OutboxParams) -> None:
    with Outbox(params) as first:
        key = put(first)
    with Outbox(params) as second:
        assert [row.key for row in second.rows()] == [key]


def test_only_the_owner_may_read_it(outbox: Outbox, params: OutboxParams) -> None:
    put(outbox)
    for suffix in ("", "-wal", "-shm"):
        mode = Path(params.path + suffix).stat().st_mode
        assert stat.S_IMODE(mode) == 0o600, suffix


def test_delivered_words_leave_no_trace(outbox: Outbox, params: OutboxParams) -> None:
    put(outbox, "very private words")
    outbox.delivered(claim(outbox))
    outbox.close()
    assert b"very private" not in Path(params.path).read_bytes()


def test_a_key_is_taken_once(outbox: Outbox) -> None:
    for body in ("first", "second"):
        assert outbox.enqueue(Message("c", "alert", body), key="k") == "k"
    assert [row.body for row in outbox.rows()] == ["first"]


def test_keys_differ(outbox: Outbox) -> None:
    assert len({put(outbox) for _ in range(50)}) == 50


def test_messages_of_a_call_keep_their_order(outbox: Outbox, clock: Clock) -> None:
    first, second = put(outbox, "1"), put(outbox, "2")
    other = put(outbox, "3", call="c2")
    row = claim(outbox)
    assert row.key == first
    outbox.failed(row, "down", delay=10)
    assert claim(outbox).key == other, "another call need not wait"
    assert outbox.claim() is None, "the second waits for the first"
    clock.now += 10
    row = claim(outbox)
    assert row.key == first
    outbox.delivered(row)
    assert claim(outbox).key == second


def test_a_given_up_message_does_not_block_its_call(outbox: Outbox) -> None:
    put(outbox, "1")
    second = put(outbox, "2")
    outbox.reject(claim(outbox), "answered 400")
    assert claim(outbox).key == second
    (dead,) = outbox.rows(RowState.DEAD)
    assert (dead.error, dead.attempts) == ("answered 400", 1)
    assert (outbox.pending(), outbox.dead()) == (1, 1)


def test_failed_attempts_wait_and_count(outbox: Outbox, clock: Clock) -> None:
    put(outbox)
    assert outbox.failed(claim(outbox), "answered 500", delay=5) is RowState.PENDING
    assert outbox.claim() is None
    assert outbox.next_due() == 5
    clock.now += 5
    row = claim(outbox)
    assert (row.attempts, row.error) == (1, "answered 500")


def test_given_up_after_max_attempts(params: OutboxParams, clock: Clock) -> None:
    with Outbox(params.model_copy(update={"max_attempts": 2}), clock) as outbox:
        put(outbox)
        assert outbox.failed(claim(outbox), "x", 0) is RowState.PENDING
        assert outbox.failed(claim(outbox), "x", 0) is RowState.DEAD
        assert outbox.claim() is None


def test_given_up_when_too_old(outbox: Outbox, clock: Clock) -> None:
    put(outbox)
    clock.now += 24 * 3600 - 10
    assert outbox.failed(claim(outbox), "x", 5) is RowState.PENDING
    clock.now += 5
    assert outbox.failed(claim(outbox), "x", 10) is RowState.DEAD


def test_retry_gives_it_everything_again(outbox: Outbox, clock: Clock) -> None:
    key = put(outbox)
    outbox.reject(claim(outbox), "x")
    clock.now += 25 * 3600
    assert outbox.retry() == 1
    row = claim(outbox)
    assert (row.key, row.attempts, row.expires) == (key, 0, clock.now + 24 * 3600)
    assert outbox.retry(["unknown"]) == 0


def test_retry_by_key(outbox: Outbox, clock: Clock) -> None:
    key = put(outbox)
    outbox.failed(claim(outbox), "x", 100)
    assert outbox.claim() is None
    assert outbox.retry([key]) == 1
    assert claim(outbox).key == key


def test_hasten_makes_due_and_nothing_else(outbox: Outbox, clock: Clock) -> None:
    key = put(outbox)
    outbox.failed(claim(outbox), "x", 100)
    outbox.hasten([key])
    assert claim(outbox).attempts == 1


def test_purge(outbox: Outbox) -> None:
    put(outbox, call="a")
    put(outbox, call="b")
    outbox.reject(claim(outbox), "x")
    assert outbox.purge(RowState.DEAD) == 1
    assert (outbox.pending(), outbox.dead()) == (1, 0)


def test_release_costs_no_attempt(outbox: Outbox) -> None:
    key = put(outbox)
    outbox.release(claim(outbox))
    row = claim(outbox)
    assert (row.key, row.attempts) == (key, 0)


# ------------------------------------------------------------------ leases


def test_a_lease_keeps_others_away_until_it_runs_out(
    outbox: Outbox, params: OutboxParams, clock: Clock
) -> None:
    put(outbox)
    with Outbox(params, clock) as other:
        mine = claim(outbox)
        assert other.claim() is None
        clock.now += params.lease_seconds
        theirs = claim(other)
        assert theirs.key == mine.key
        outbox.failed(mine, "late", 1000)
        assert other.rows()[0].attempts == 0, "a lost lease changes nothing"
        other.failed(theirs, "x", 0)
        assert other.rows()[0].attempts == 1


def test_the_lease_of_a_dead_process_is_void(params: OutboxParams) -> None:
    script = (
        "import os, signal, sys\n"
        "from voicebot.escalation.outbox import *\n"
        "o = Outbox(OutboxParams(path=sys.argv[1]))\n"
        "o.enqueue(Message('c', 'alert', '{}'), key='k')\n"
        "assert o.claim().key == 'k'\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, params.path], check=False)
    assert done.returncode == -9
    with Outbox(params) as outbox:
        assert claim(outbox).key == "k"


def test_a_clock_set_back_does_not_put_off_for_ever(outbox: Outbox, clock: Clock) -> None:
    put(outbox)
    outbox.failed(claim(outbox), "x", 60)
    clock.now -= 1_000_000 - 5
    assert outbox.claim() is not None


def test_a_lease_made_before_the_clock_was_set_back_runs_out(
    outbox: Outbox, params: OutboxParams, clock: Clock
) -> None:
    put(outbox)
    claim(outbox)
    clock.now -= 900_000
    with Outbox(params, clock) as other:
        assert other.claim() is not None


# ------------------------------------------------------------------ bounds and faults


def test_it_is_bounded_and_the_dead_make_room(params: OutboxParams, clock: Clock) -> None:
    with Outbox(params.model_copy(update={"max_rows": 3}), clock) as outbox:
        keys = [put(outbox, call=str(n)) for n in range(3)]
        with pytest.raises(OutboxError, match="full: 3 messages"):
            put(outbox)
        outbox.reject(claim(outbox), "x")
        keys.append(put(outbox, call="9"))
        assert [row.key for row in outbox.rows()] == keys[1:]


def test_the_dead_are_erased_in_the_end(outbox: Outbox, clock: Clock) -> None:
    put(outbox)
    outbox.reject(claim(outbox), "x")
    clock.now += 31 * 86_400
    put(outbox)
    assert outbox.dead() == 0


def test_full_disk(outbox: Outbox) -> None:
    pages = outbox._db.read("PRAGMA page_count")[0][0]
    outbox._db.read(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(OutboxError, match=r"outbox\.db: the disk is full") as caught:
        for _ in range(100):
            put(outbox, "x" * 4000)
    assert "make room" in caught.value.mend and isinstance(caught.value, OutputError)
    outbox._db.read("PRAGMA max_page_count = 100000")
    kept = outbox.pending()
    put(outbox, "x" * 4000)
    assert outbox.pending() == kept + 1, "and it goes on when there is room again"


def test_locked(outbox: Outbox, params: OutboxParams) -> None:
    other = sqlite3.connect(params.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OutboxError, match=r"locked it for over 0\.1 s"):
        put(outbox)
    other.execute("COMMIT")
    other.close()
    put(outbox)


def test_damaged(params: OutboxParams) -> None:
    Path(params.path).parent.mkdir()
    Path(params.path).write_bytes(b"not a database at all" * 1000)
    with pytest.raises(OutboxError, match="damaged or no SQLite database"):
        Outbox(params)


def test_damaged_while_open(outbox: Outbox, params: OutboxParams) -> None:
    for _ in range(20):
        put(outbox, "x" * 3000)
    outbox._db.read("PRAGMA wal_checkpoint(TRUNCATE)")
    outbox.close()
    with Path(params.path).open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(40_000))
    with pytest.raises(OutboxError, match=r"outbox\.db: "), Outbox(params) as again:
        put(again)
        again.rows()


def test_another_programs_database(params: OutboxParams) -> None:
    Path(params.path).parent.mkdir()
    other = sqlite3.connect(params.path)
    other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.commit()
    other.close()
    with pytest.raises(OutboxError, match="another program"):
        Outbox(params)


def test_a_newer_outbox(outbox: Outbox, params: OutboxParams) -> None:
    outbox._db.read("PRAGMA user_version = 99")
    with pytest.raises(OutboxError, match="another version"):
        Outbox(params)


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(OutboxError, match="cannot be opened: Is a directory"):
        Outbox(OutboxParams(path=str(tmp_path)))


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutboxError, match="cannot be opened"):
        Outbox(OutboxParams(path=str(tmp_path / "file" / "outbox.db")))
