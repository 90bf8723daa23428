"""Background tasks of an event loop: held while they run, and heard when they fail."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

log = structlog.get_logger()


class Tasks:
    """Some tasks that belong to one owner.

    The loop itself holds tasks by weak references only, and an exception that
    nobody asks for is told when the task is collected, if ever.

    Args:
        owner: Named in the log when one of them fails.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._running: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin something; what it raises is logged and ends nothing else."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    def cancel(self) -> None:
        """End all that run."""
        for task in list(self._running):
            task.cancel()

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if task.cancelled():
            return
        if err := task.exception():
            log.error("task_failed", owner=self._owner, error=type(err).__name__, exc_info=err)

    def __len__(self) -> int:
        """How many run."""
        return len(self._running)
