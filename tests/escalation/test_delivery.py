"""The worker: patience, order, two at once, and a receiver that is killed in between."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.escalation.receiver import wait_until
from voicebot.escalation.delivery import DeliveryWorker, Outcome, Result, backoff
from voicebot.escalation.outbox import Message, Outbox, OutboxParams, Row

OK = Outcome(Result.DELIVERED)


class FakeSender:
    """Sends by calling a function."""

    def __init__(self, act: Callable[[Row], Outcome]) -> None:
        self.act = act
        self.sent: list[Row] = []
        self.cancelled = threading.Event()
        self.closed = False

    def send(self, row: Row) -> Outcome:
        self.sent.append(row)
        return self.act(row)

    def cancel(self) -> None:
        self.cancelled.set()

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def params(tmp_path: Path) -> OutboxParams:
    return OutboxParams(
        path=str(tmp_path / "outbox.db"), first_delay_seconds=0.02, max_delay_seconds=0.05
    )


def put(outbox: Outbox, body: str, call: str = "c") -> str:
    return outbox.enqueue(Message(call, "alert", body))


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_backoff_grows_within_bounds(attempts: int, draw: float) -> None:
    params = OutboxParams(first_delay_seconds=1, max_delay_seconds=300)
    delay = backoff(params, attempts, draw)
    full = min(300, 2.0 ** min(attempts - 1, 60))
    assert full / 2 <= delay <= full


def test_delivers_in_order_and_empties_the_outbox(params: OutboxParams) -> None:
    sender = FakeSender(lambda row: OK)
    with Outbox(params) as outbox:
        for n in range(5):
            put(outbox, str(n))
        worker = DeliveryWorker(outbox, sender)
        worker.start()
        assert worker.drain(5) == 0
        worker.close()
    assert [row.body for row in sender.sent] == list("01234")
    assert sender.closed


def test_tries_again_with_the_same_key_and_keeps_the_order(params: OutboxParams) -> None:
    failures = iter([1, 1, 1])
    sender = FakeSender(lambda row: Outcome(Result.RETRY, "down") if next(failures, 0) else OK)
    with Outbox(params) as outbox:
        first, second = put(outbox, "1"), put(outbox, "2")
        worker = DeliveryWorker(outbox, sender, seed=1)
        worker.start()
        wait_until(lambda: outbox.pending() == 0)
        worker.close()
    assert [row.key for row in sender.sent] == [first] * 4 + [second]
    assert [row.attempts for row in sender.sent] == [0, 1, 2, 3, 0]


def test_retry_after_is_honoured(params: OutboxParams) -> None:
    times: list[float] = []

    def act(row: Row) -> Outcome:
        times.append(time.monotonic())
        return OK if len(times) > 1 else Outcome(Result.RETRY, "busy", retry_after=0.5)

    with Outbox(params) as outbox:
        put(outbox, "1")
        worker = DeliveryWorker(outbox, FakeSender(act))
        worker.start()
        wait_until(lambda: outbox.pending() == 0)
        worker.close()
    assert times[1] - times[0] >= 0.5


def test_rejected_is_kept_as_dead(params: OutboxParams) -> None:
    with Outbox(params) as outbox:
        put(outbox, "1")
        worker = DeliveryWorker(outbox, FakeSender(lambda row: Outcome(Result.REJECTED, "no")))
        worker.start()
        wait_until(lambda: outbox.dead() == 1)
        worker.close()
        assert outbox.rows()[0].error == "no"


def test_a_bug_in_a_sender_costs_one_attempt(params: OutboxParams) -> None:
    calls: list[Row] = []

    def act(row: Row) -> Outcome:
        calls.append(row)
        if len(calls) == 1:
            raise ZeroDivisionError
        return OK

    with Outbox(params) as outbox:
        put(outbox, "1")
        worker = DeliveryWorker(outbox, FakeSender(act))
        worker.start()
        wait_until(lambda: outbox.pending() == 0)
        worker.close()
    assert calls[1].error.startswith("internal error: ZeroDivisionError")


def test_an_outbox_that_fails_for_a_while_does_not_end_the_worker(
    params: OutboxParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voicebot.escalation.outbox import OutboxError

    with Outbox(params) as outbox:
        put(outbox, "1")
        real, failures = outbox.claim, iter([1, 1])

        def claim() -> Row | None:
            if next(failures, 0):
                raise OutboxError("outbox x: locked", "wait")
            return real()

        monkeypatch.setattr(outbox, "claim", claim)
        monkeypatch.setattr("voicebot.escalation.delivery._POLL_SECONDS", 0.02)
        worker = DeliveryWorker(outbox, FakeSender(lambda row: OK))
        worker.start()
        wait_until(lambda: outbox.pending() == 0)
        worker.close()


def test_wakes_at_once(params: OutboxParams) -> None:
    with Outbox(params) as outbox:
        worker = DeliveryWorker(outbox, FakeSender(lambda row: OK))
        worker.start()
        time.sleep(0.1)  # it is asleep by now, for up to a second
        began = time.monotonic()
        put(outbox, "1")
        worker.wake()
        wait_until(lambda: outbox.pending() == 0)
        assert time.monotonic() - began < 0.5
        worker.close()


def test_drain_does_not_wait_for_what_is_not_due(params: OutboxParams) -> None:
    slow = params.model_copy(update={"first_delay_seconds": 60.0, "max_delay_seconds": 60.0})
    with Outbox(slow) as outbox:
        put(outbox, "1")
        worker = DeliveryWorker(outbox, FakeSender(lambda row: Outcome(Result.RETRY, "down")))
        worker.start()
        began = time.monotonic()
        assert worker.drain(20) == 1
        assert time.monotonic() - began < 5
        worker.close()


def test_close_cancels_an_attempt_and_leaves_it_pending(params: OutboxParams) -> None:
    sender = FakeSender(lambda row: OK)

    def hang(row: Row) -> Outcome:
        assert sender.cancelled.wait(10)
        return Outcome(Result.CANCELLED)

    sender.act = hang
    with Outbox(params) as outbox:
        key = put(outbox, "1")
        worker = DeliveryWorker(outbox, sender)
        worker.start()
        wait_until(lambda: sender.sent)
        worker.close()
        row = outbox.claim()
        assert row is not None and (row.key, row.attempts) == (key, 0)


def test_close_before_start_sends_nothing_and_lets_go_of_the_sender(params: OutboxParams) -> None:
    sender = FakeSender(lambda row: OK)
    with Outbox(params) as outbox:
        put(outbox, "1")
        DeliveryWorker(outbox, sender).close()
        assert sender.closed
        assert sender.sent == []
        assert outbox.pending() == 1


def test_two_workers_never_deliver_the_same_at_once(params: OutboxParams) -> None:
    """Two open outboxes on one file stand for two processes: each has its own leases."""
    under_way: set[str] = set()
    twice: list[str] = []
    order: dict[str, list[int]] = {}
    lock = threading.Lock()

    def act(row: Row) -> Outcome:
        with lock:
            if row.call_id in under_way:
                twice.append(row.key)
            under_way.add(row.call_id)
        time.sleep(0.002)
        with lock:
            under_way.discard(row.call_id)
            order.setdefault(row.call_id, []).append(int(row.body))
        return OK

    senders = [FakeSender(act), FakeSender(act)]
    with Outbox(params) as one, Outbox(params) as two:
        for n in range(60):
            put(one, str(n), call=f"c{n % 6}")
        workers = [DeliveryWorker(one, senders[0]), DeliveryWorker(two, senders[1])]
        for worker in workers:
            worker.start()
        wait_until(lambda: one.pending() == 0, 30)
        for worker in workers:
            worker.close()
    assert twice == []
    assert sorted(n for done in order.values() for n in done) == list(range(60))
    assert all(done == sorted(done) for done in order.values())
    assert all(sender.sent for sender in senders), "both worked"


CHILD = """
import os, signal, sys, time
from voicebot.escalation.delivery import *
from voicebot.escalation.outbox import *
class Mute:
    def send(self, row):
        print("sending", row.key, flush=True)
        time.sleep(60)
    def cancel(self): pass
    def close(self): pass
outbox = Outbox(OutboxParams(path=sys.argv[1]))
key = outbox.enqueue(Message("c", "alert", '{"n": 1}'))
print("queued", key, flush=True)
worker = DeliveryWorker(outbox, Mute())
if sys.argv[2] == "attempt":
    worker.start()
time.sleep(60)
"""


@pytest.mark.parametrize("when", ["before", "attempt"])
def test_killed_between_alert_and_delivery(params: OutboxParams, when: str) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, params.path, when], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    key = child.stdout.readline().split()[1]
    if when == "attempt":
        assert child.stdout.readline().split() == ["sending", key]
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()

    sender = FakeSender(lambda row: OK)
    with Outbox(params) as outbox:
        worker = DeliveryWorker(outbox, sender)
        worker.start()
        assert worker.drain(10) == 0
        worker.close()
    assert [(row.key, row.body) for row in sender.sent] == [(key, '{"n": 1}')]
