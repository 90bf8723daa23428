from __future__ import annotations

import asyncio

import structlog

from voicebot.tasks import Tasks


def test_a_task_that_fails_is_logged_and_forgotten() -> None:
    async def fail() -> None:
        raise ValueError("broken")

    async def story() -> None:
        tasks = Tasks("test")
        tasks.spawn(fail())
        assert len(tasks) == 1
        await asyncio.sleep(0.01)
        assert len(tasks) == 0

    with structlog.testing.capture_logs() as logs:
        asyncio.run(story())
    assert [(entry["event"], entry["owner"], entry["error"]) for entry in logs] == [
        ("task_failed", "test", "ValueError")
    ]


def test_a_failure_is_told_to_whoever_wants_to_know() -> None:
    told: list[tuple[str, BaseException]] = []

    async def fail() -> None:
        raise ValueError("broken")

    async def story() -> None:
        tasks = Tasks("test", lambda name, err: told.append((name, err)))
        tasks.spawn(fail(), "doomed")
        await tasks.ended()

    with structlog.testing.capture_logs() as logs:
        asyncio.run(story())
    assert logs == []
    assert [(name, str(err)) for name, err in told] == [("doomed", "broken")]


def test_waiting_has_a_limit() -> None:
    async def story() -> None:
        tasks = Tasks("test")
        await tasks.ended()
        task = tasks.spawn(asyncio.sleep(100))
        await tasks.ended(0.01)
        assert len(tasks) == 1 and not task.done()
        tasks.cancel()
        await tasks.ended()
        assert len(tasks) == 0

    asyncio.run(story())


def test_all_are_cancelled_even_those_that_have_not_begun() -> None:
    async def story() -> None:
        tasks = Tasks("test")
        begun = tasks.spawn(asyncio.sleep(100))
        await asyncio.sleep(0)
        fresh = tasks.spawn(asyncio.sleep(100))
        tasks.cancel()
        await asyncio.wait([begun, fresh])
        assert begun.cancelled() and fresh.cancelled()
        assert len(tasks) == 0

    with structlog.testing.capture_logs() as logs:
        asyncio.run(story())
    assert logs == []
