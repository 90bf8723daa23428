"""Background tasks of an event loop: held while they run, and heard when they fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

log = structlog.get_logger()


class Tasks:
    """Some tasks that belong to one owner.

    The loop itself holds tasks by weak references only, and an exception that
    nobody asks for is told when the task is collected, if ever.

    Args:
        owner: Named in the log when one of them fails.
        failed: Told the name of one that fails, and why; by default it is logged.
    """

    def __init__(
        self, owner: str, failed: Callable[[str, BaseException], None] | None = None
    ) -> None:
        self._owner = owner
        self._failed = failed or self._log
        self._running: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, None], name: str | None = None) -> asyncio.Task[None]:
        """Begin something; what it raises is told and ends nothing else."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    def cancel(self) -> None:
        """End all that run."""
        for task in list(self._running):
            task.cancel()

    async def ended(self, seconds: float | None = None) -> None:
        """Wait until none runs that runs now, or some seconds have passed."""
        if self._running:
            await asyncio.wait(tuple(self._running), timeout=seconds)

    def __len__(self) -> int:
        """How many run."""
        return len(self._running)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (err := task.exception()) is not None:
            self._failed(task.get_name(), err)

    def _log(self, name: str, err: BaseException) -> None:
        log.error("task_failed", owner=self._owner, error=type(err).__name__, exc_info=err)
