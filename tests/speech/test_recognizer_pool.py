from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable

import pytest

from voicebot.speech.recognizer_pool import BusyError, RecognizerPool


class Thing:
    def __init__(self, number: int) -> None:
        self.number = number
        self.warm = False
        self.worn = False


def pool(
    size: int = 1, limit: int = 2, wait: float = 0.0, make: Callable[[], Thing] | None = None
) -> RecognizerPool[Thing]:
    numbers = itertools.count(1)
    return RecognizerPool(
        make or (lambda: Thing(next(numbers))),
        warm=lambda thing: setattr(thing, "warm", True),
        worn=lambda thing: thing.worn,
        size=size,
        limit=limit,
        wait_seconds=wait,
    )


def eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)


def test_it_starts_with_warm_ones() -> None:
    things = pool(size=2, limit=5)
    assert (things.idle, things.alive) == (2, 2)
    assert things.lease().warm and things.lease().warm


def test_the_one_used_last_is_lent_first() -> None:
    things = pool(size=2, limit=2)
    first, second = things.lease(), things.lease()
    things.give_back(second)
    things.give_back(first)
    assert things.lease() is first


def test_more_are_made_on_demand_up_to_the_limit_and_then_it_is_busy() -> None:
    things = pool(size=1, limit=3)
    leased = [things.lease() for _ in range(3)]
    assert things.alive == 3
    with pytest.raises(BusyError, match=r"all 3 .*raise stt.pool_limit"):
        things.lease()
    things.give_back(leased[0])
    assert things.lease() is leased[0]


def test_a_waiting_lease_gets_what_comes_back() -> None:
    things = pool(limit=2, wait=5.0)
    one, two = things.lease(), things.lease()
    got: list[Thing] = []
    waiting = threading.Thread(target=lambda: got.append(things.lease()))
    waiting.start()
    time.sleep(0.05)
    assert not got
    things.give_back(two)
    waiting.join(5)
    assert got == [two] and one is not two


def test_a_worn_one_is_replaced_by_a_warm_one_behind_the_scenes() -> None:
    things = pool(size=1, limit=2)
    old = things.lease()
    old.worn = True
    things.give_back(old)
    eventually(lambda: things.idle == 1)
    new = things.lease()
    assert new is not old and new.warm
    assert things.alive == 1


def test_one_beyond_the_size_is_not_replaced() -> None:
    things = pool(size=1, limit=3)
    keep, spare = things.lease(), things.lease()
    things.throw_away(spare)
    time.sleep(0.05)
    assert (things.alive, things.idle) == (1, 0)
    things.give_back(keep)
    assert things.idle == 1


def test_a_failed_making_does_not_use_up_the_limit() -> None:
    calls = itertools.count()

    def make() -> Thing:
        if next(calls) == 1:
            raise MemoryError
        return Thing(0)

    things = pool(size=1, limit=2, make=make)
    things.lease()
    with pytest.raises(MemoryError):
        things.lease()
    assert things.alive == 1
    things.lease()


def test_a_closed_pool_lends_nothing_and_keeps_nothing() -> None:
    things = pool(size=2, limit=2)
    out = things.lease()
    things.close()
    assert things.idle == 0
    things.give_back(out)
    assert (things.idle, things.alive) == (0, 0)
    with pytest.raises(BusyError, match="shut down"):
        things.lease()


def test_many_threads_never_share_one_or_exceed_the_limit() -> None:
    things = pool(size=2, limit=4, wait=10.0)
    in_use: set[int] = set()
    guard = threading.Lock()
    faults: list[str] = []

    def work() -> None:
        for _ in range(50):
            thing = things.lease()
            with guard:
                if id(thing) in in_use or len(in_use) >= 4:
                    faults.append("shared")
                in_use.add(id(thing))
            time.sleep(0.0005)
            with guard:
                in_use.discard(id(thing))
            things.give_back(thing)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert things.alive <= 4 and things.idle == things.alive
