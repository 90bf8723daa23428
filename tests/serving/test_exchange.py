from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest

from tests.serving.fakes import ANGRY, FakeLine, Maker, offer, tone
from tests.waiting import until
from voicebot.events import Alert, CallEnded, CallStarted, Digit, Event, Leg, LegState, LineState
from voicebot.serving.exchange import EngineParams, Exchange
from voicebot.serving.live_call import LiveCall
from voicebot.serving.workers import WorkerPool
from voicebot.telephony.line import RefusedError

E = TypeVar("E", bound=Event)


class Nobody:
    """Attends to a call by noting what there was."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.reasons: list[str] = []
        self.closed = False

    def event(self, event: Event) -> None:
        self.events.append(event)

    def ending(self, reason: str) -> None:
        self.reasons.append(reason)

    def close(self) -> None:
        self.closed = True


class Office:
    """An exchange, and what it recorded."""

    def __init__(self, exchange: Exchange, events: list[Event], attendants: list[Nobody]) -> None:
        self.exchange, self.events, self.attendants = exchange, events, attendants

    def take(self, *legs: Leg, line: FakeLine | None = None) -> tuple[LiveCall, FakeLine]:
        line = line or FakeLine()
        live = self.exchange.receive(offer(*legs), line)
        line.ear = live
        return live, line

    def of(self, kind: type[E]) -> list[E]:
        return [e for e in self.events if isinstance(e, kind)]


@asynccontextmanager
async def office(maker: Maker | None = None, **params: Any) -> AsyncIterator[Office]:
    events: list[Event] = []
    attendants: list[Nobody] = []

    def attend(live: LiveCall) -> Nobody:
        attendants.append(Nobody())
        return attendants[-1]

    with (
        WorkerPool(2) as pool,
        Exchange(maker or Maker(), pool, EngineParams(**params), attend, events.append) as exchange,
    ):
        yield Office(exchange, events, attendants)


def test_a_call_from_its_first_sample_to_its_last_event() -> None:
    async def story() -> None:
        async with office(queue_seconds=60.0) as there:
            live, _ = there.take()
            for _ in range(4):
                live.audio(Leg.CALLER, tone(4.0, ANGRY))
                live.audio(Leg.CALLER, tone(1.5))
            live.digit(Leg.CALLER, "9", 0.1)
            live.ended("hangup")
            live.ended("line_lost")
            live.audio(Leg.CALLER, tone(1.0))
            await until(lambda: not there.exchange.calls)
            assert isinstance(there.events[0], CallStarted)
            end = there.of(CallEnded)[0]
            assert there.events[-1] is end
            assert end.reason == "hangup"
            assert end.duration == pytest.approx(22.0)
            assert there.of(Alert) and there.of(Digit)[0].digit == "9"
            (attendant,) = there.attendants
            assert attendant.events == there.events
            assert attendant.closed and attendant.reasons == ["hangup"]

    asyncio.run(story())


def test_calls_beyond_the_maximum_are_refused_and_counted() -> None:
    async def story() -> None:
        async with office(max_calls=2, retry_after_seconds=7.0) as there:
            first, _ = there.take()
            there.take()
            with pytest.raises(RefusedError) as refusal:
                there.take()
            assert (refusal.value.what, refusal.value.retry_after) == ("at_capacity", 7.0)
            first.ended("hangup")
            await until(lambda: len(there.exchange.calls) == 1)
            there.take()
            assert there.exchange.counters == {"calls": 3, "refused_at_capacity": 1}

    asyncio.run(story())


def test_a_machine_that_lags_takes_no_more_calls() -> None:
    async def story() -> None:
        async with office(max_lag_seconds=0.5) as there:
            now = asyncio.get_running_loop().time()
            for _ in range(10):
                there.exchange.lag.add(0.6, now)
            with pytest.raises(RefusedError, match="lagging"):
                there.take()

    asyncio.run(story())


def test_a_dead_line_is_shown_then_reaped() -> None:
    async def story() -> None:
        async with office(dead_line_seconds=2.0, silent_seconds=1.0) as there:
            live, line = there.take()
            live.audio(Leg.CALLER, tone(0.1))
            now = asyncio.get_running_loop().time()
            assert live.tick(now + 0.9) is None
            assert live.tick(now + 1.2) is None
            assert live.view.legs[Leg.CALLER].state is LegState.SILENT
            live.audio(Leg.CALLER, tone(0.1))
            assert live.view.legs[Leg.CALLER].state is LegState.LIVE
            await until(lambda: not there.exchange.calls)
            assert line.hung_up == ["dead_line"]
            assert there.exchange.counters["reaped_dead_line"] == 1
            assert there.of(CallEnded)[0].reason == "dead_line"
            states = [e.state for e in there.of(LineState)]
            assert states == [LegState.SILENT, LegState.LIVE, LegState.SILENT]

    asyncio.run(story())


def test_hold_is_no_dead_line_but_not_for_ever() -> None:
    async def story() -> None:
        async with office(dead_line_seconds=2.0, silent_seconds=1.0, max_call_seconds=50) as there:
            live, _ = there.take()
            live.held(Leg.CALLER, True)
            live.held(Leg.CALLER, True)
            now = asyncio.get_running_loop().time()
            assert live.tick(now + 40.0) is None
            assert live.view.legs[Leg.CALLER].state is LegState.HELD
            live.held(Leg.CALLER, False)
            assert live.tick(now + 1.0) is None
            assert live.tick(now + 51.0) == "too_long"
            live.ended("hangup")
            await until(lambda: not there.exchange.calls)
            assert [e.state for e in there.of(LineState)][:2] == [LegState.HELD, LegState.LIVE]

    asyncio.run(story())


def test_a_caller_who_is_being_handed_over_is_no_dead_line() -> None:
    async def story() -> None:
        async with office(dead_line_seconds=2.0, silent_seconds=1.0) as there:
            live, _ = there.take()
            live.away = True
            now = asyncio.get_running_loop().time()
            assert live.tick(now + 30.0) is None
            live.away = False
            assert live.tick(now + 31.0) is None, "the line has time to come back"
            assert live.tick(now + 33.0) == "dead_line"

    asyncio.run(story())


def test_a_call_whose_clock_fails_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with office(dead_line_seconds=2.0) as there:
            broken, _ = there.take()
            dead, line = there.take()

            def fail(now: float) -> str | None:
                raise RuntimeError("a defect")

            monkeypatch.setattr(broken, "tick", fail)
            dead.view.legs[Leg.CALLER].last_audio -= 10.0
            await until(lambda: line.hung_up == ["dead_line"])
            broken.ended("hangup")
            await until(lambda: not there.exchange.calls)

    asyncio.run(story())


def test_time_goes_on_while_nothing_comes() -> None:
    async def story() -> None:
        async with office() as there:
            live, _ = there.take()
            live.audio(Leg.CALLER, tone(0.5))
            live.tick(live.began + 10.0)
            live.ended("hangup")
            await until(lambda: not there.exchange.calls)
            assert there.of(CallEnded)[0].duration == pytest.approx(9.6, abs=0.11)

    asyncio.run(story())


def test_a_stage_that_fails_ends_its_call_and_no_other() -> None:
    async def story() -> None:
        maker = Maker(broken_at=1.0)
        async with office(maker) as there:
            broken, line = there.take()
            maker.broken_at = None
            sound, _ = there.take()
            for _ in range(20):
                broken.audio(Leg.CALLER, tone(0.1))
                sound.audio(Leg.CALLER, tone(0.1))
            await until(lambda: len(there.exchange.calls) == 1)
            assert line.hung_up == ["internal_error"]
            sound.ended("hangup")
            await until(lambda: not there.exchange.calls)
            assert [e.call_id for e in there.of(CallEnded)] == [sound.id]

    asyncio.run(story())


def test_audio_that_comes_faster_than_it_is_heard_is_dropped_and_counted() -> None:
    async def story() -> None:
        async with office(queue_seconds=1.0) as there:
            live, _ = there.take()
            busy = threading.Event()
            live._submit(lambda: (busy.wait(5), None)[1])  # the stages are slow
            live.audio(Leg.CALLER, tone(60.0))
            busy.set()
            assert live.view.dropped == pytest.approx(590, abs=3)
            live.ended("hangup")
            await until(lambda: not there.exchange.calls)
            assert there.of(CallEnded)[0].duration == pytest.approx(1.0, abs=0.3)

    asyncio.run(story())


def test_digits_and_holds_without_end_do_not_fill_the_memory() -> None:
    async def story() -> None:
        async with office(queue_seconds=1.0) as there:
            live, _ = there.take()
            for number in range(1000):
                live.digit(Leg.CALLER, "5", 0.1)
                live.held(Leg.CALLER, number % 2 == 0)
            assert live._strand.pending <= 110
            assert live.view.unrecorded > 1500
            assert live.view.dropped == 0, "no audio was lost"
            live.ended("hangup")
            await until(lambda: not there.exchange.calls)
            assert there.of(CallEnded)

    asyncio.run(story())


def test_hanging_up_by_the_beginning_of_a_name() -> None:
    async def story() -> None:
        async with office() as there:
            live, line = there.take()
            there.take()
            assert not await there.exchange.hang_up("", "operator")
            assert not await there.exchange.hang_up("nobody", "operator")
            assert await there.exchange.hang_up(live.id[:8], "operator")
            assert line.hung_up == ["operator"]
            await until(lambda: len(there.exchange.calls) == 1)

    asyncio.run(story())


def test_a_drain_waits_then_hangs_up_even_on_lines_that_do_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("voicebot.serving.exchange._GOODBYE_SECONDS", 0.2)

    async def story() -> None:
        async with office() as there:
            quick, _ = there.take()
            _, slow_line = there.take()
            there.take(line=FakeLine(tells_end=False))
            draining = asyncio.create_task(there.exchange.drain(0.2))
            await asyncio.sleep(0)
            with pytest.raises(RefusedError, match="draining"):
                there.take()
            quick.ended("hangup")
            await draining
            assert not there.exchange.calls
            assert slow_line.hung_up == ["shutdown"]
            reasons = sorted(e.reason for e in there.of(CallEnded))
            assert reasons == ["hangup", "shutdown", "shutdown"]

    asyncio.run(story())


def test_an_empty_exchange_drains_at_once() -> None:
    async def story() -> None:
        async with office() as there, asyncio.timeout(1):
            await there.exchange.drain(1000.0)

    asyncio.run(story())
