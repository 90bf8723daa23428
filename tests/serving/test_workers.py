from __future__ import annotations

import threading
import time

import pytest
import structlog

from voicebot.serving.workers import WorkerPool


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
