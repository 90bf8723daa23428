"""The callers' process, held by a measurement."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from voicebot.closing import Closing
from voicebot.load.daemon_process import LoadError

_READY_SECONDS: Final = 30.0


class Fleet(Closing):
    """Callers that are sent to a daemon.  A context manager.

    Args:
        port: Of the daemon's SIP, on loopback.
        audio: What they say; the caller's leg of a file.

    Raises:
        LoadError: they cannot start.
    """

    def __init__(self, port: int, audio: Path) -> None:
        command = [
            sys.executable, "-m", "voicebot.load.process", f"udp:127.0.0.1:{port}", str(audio)
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.outcomes: list[dict[str, Any]] = []
        """of the calls that are over; see :class:`voicebot.load.caller.Outcome`"""
        try:
            self._lines.get(timeout=_READY_SECONDS)
        except queue.Empty:
            self.close()
            raise LoadError("the callers did not start") from None

    def call(self, seconds: float, count: int = 1, over: float = 0.0) -> None:
        """Place calls.

        Args:
            seconds: Length of each.
            count: How many.
            over: Seconds over which they are spread.
        """
        assert self._process.stdin is not None
        order = {"do": "call", "seconds": seconds, "count": count, "over": over}
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        except OSError:
            raise LoadError("the callers are gone") from None

    def gather(self) -> list[dict[str, Any]]:
        """Take up what has ended; all outcomes so far."""
        while True:
            try:
                self.outcomes.append(self._lines.get_nowait())
            except queue.Empty:
                return self.outcomes

    def finish(self, seconds: float) -> list[dict[str, Any]]:
        """Place no more calls, and wait for those that run; all outcomes."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.close()
        self._reader.join(5.0)
        return self.gather()

    def close(self) -> None:
        """Stop at once.  May be called twice."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe and not pipe.closed:
                pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError):  # the pipe was closed under us
            for outcome in outcomes(self._process.stdout):
                self._lines.put(outcome)


def outcomes(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Read what the callers' process prints; what is no JSON object is somebody's log line."""
    for line in lines:
        try:
            outcome = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(outcome, dict):
            yield outcome
