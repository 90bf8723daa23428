from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest
import structlog

from voicebot.serving.workers import Strand, WorkerPool


def test_jobs_of_a_strand_run_in_order_and_never_two_at_once() -> None:
    done: list[int] = []
    inside = threading.Semaphore(1)
    finished = threading.Event()

    def job(number: int) -> None:
        assert inside.acquire(blocking=False), "two jobs of one strand at once"
        time.sleep(0.0001)
        done.append(number)
        inside.release()
        if number == 199:
            finished.set()

    with WorkerPool(4) as pool:
        strand = pool.strand()
        for number in range(200):
            strand.submit(lambda number=number: job(number))  # type: ignore[misc]
        assert finished.wait(5)
    assert done == list(range(200))


def test_a_busy_call_does_not_starve_another() -> None:
    order: list[str] = []
    finished = threading.Event()
    gate = threading.Event()
    with WorkerPool(1) as pool:
        busy, other = pool.strand(), pool.strand()

        def hold() -> None:
            gate.wait(5)

        busy.submit(hold)
        for _ in range(50):
            busy.submit(lambda: order.append("busy"))
        other.submit(lambda: order.append("other"))
        busy.submit(finished.set)
        gate.set()
        assert finished.wait(5)
    assert order.index("other") <= 1


def test_strands_run_beside_each_other() -> None:
    both = threading.Barrier(2, timeout=5)
    with WorkerPool(2) as pool:
        met = [threading.Event(), threading.Event()]

        def meet(mine: threading.Event) -> None:
            both.wait()
            mine.set()

        for mine in met:
            pool.strand().submit(lambda mine=mine: meet(mine))  # type: ignore[misc]
        assert all(mine.wait(5) for mine in met)


def test_a_job_that_fails_is_logged_and_the_next_one_runs() -> None:
    after = threading.Event()

    def fail() -> None:
        raise ValueError("broken")

    with structlog.testing.capture_logs() as logs, WorkerPool(1) as pool:
        strand = pool.strand()
        strand.submit(fail)
        strand.submit(after.set)
        assert after.wait(5)
    assert [entry["event"] for entry in logs] == ["job_failed"]


def test_a_closed_pool_takes_no_work_and_does_not_complain() -> None:
    pool = WorkerPool(1)
    strand = pool.strand()
    pool.close()
    strand.submit(lambda: pytest.fail("ran"))
    assert strand.pending == 1


def test_a_job_that_comes_as_the_last_one_ends_is_not_begun_twice() -> None:
    """Another thread may submit between the moment a strand is found empty and the next."""
    begun: list[int] = []

    class Inline:
        """Takes what a strand schedules, for the test to run."""

        def __init__(self) -> None:
            self.waiting: list[Callable[[], None]] = []

        def submit(self, work: Callable[[], None]) -> None:
            self.waiting.append(work)

    class Lock:
        """Another thread gets its turn as soon as the lock is free."""

        def __init__(self, turn: Callable[[], None]) -> None:
            self.turn = turn

        def __enter__(self) -> None:
            return None

        def __exit__(self, *_: object) -> None:
            self.turn()

    threads = Inline()
    strand = Strand(cast(ThreadPoolExecutor, threads))
    strand.submit(lambda: begun.append(1))

    def turn() -> None:
        if begun == [1] and not strand._running:
            lock.turn = lambda: None
            strand.submit(lambda: begun.append(2))

    lock = Lock(turn)
    strand._lock = cast(threading.Lock, lock)
    threads.waiting.pop(0)()
    assert len(threads.waiting) == 1, "two threads would serve one call"
    threads.waiting.pop(0)()
    assert begun == [1, 2]
