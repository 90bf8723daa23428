"""A few threads that serve many calls, each call's work in its own order.

Speech recognition and the models release the GIL, so threads sized to the cores
use them all.  A *strand* is the queue of one call: its jobs run one after the
other, on whichever thread is free, and no call holds a thread for longer than
one job while others wait.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import structlog

from voicebot.closing import Closing

Job = Callable[[], None]
log = structlog.get_logger()


class WorkerPool(Closing):
    """The threads.  A context manager.

    Args:
        workers: How many.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="voicebot-work")

    def strand(self) -> Strand:
        """An empty queue for one call."""
        return Strand(self._threads)

    def close(self) -> None:
        """Wait for what is running; what is queued beyond is not begun."""
        self._threads.shutdown(cancel_futures=True)


class Strand:
    """One call's jobs, in order, one at a time.  Any thread may submit.

    Args:
        threads: That run them.
    """

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self._threads = threads
        self._lock = threading.Lock()
        self._jobs: deque[Job] = deque()
        self._running = False

    @property
    def pending(self) -> int:
        """How many jobs wait, the one that runs not counted."""
        return len(self._jobs)

    def submit(self, job: Job) -> None:
        """Put a job at the end.  The caller bounds how many; see :attr:`pending`.

        What a job raises is logged and ends nothing: a job deals with its own errors.
        """
        with self._lock:
            self._jobs.append(job)
            if self._running:
                return
            self._running = True
        self._schedule()

    def _schedule(self) -> None:
        try:
            self._threads.submit(self._run)
        except RuntimeError:  # the pool is closed: nobody waits for this any more
            with self._lock:
                self._running = False

    def _run(self) -> None:
        with self._lock:
            job = self._jobs.popleft()
        try:
            job()
        except Exception as err:
            log.exception("job_failed", error=type(err).__name__)
        with self._lock:
            more = self._running = bool(self._jobs)
        if more:  # as it was under the lock: a job that came since has begun anew by itself
            self._schedule()  # behind the other calls that wait
