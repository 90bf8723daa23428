"""Other people's programs, started on loopback and always ended."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

LIFETIME = 240
"""s after which a program ends even if the tests were killed"""


def need(*programs: str) -> None:
    """Skip the test where a program is missing."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: scripts/setup --test installs it")


def free_port() -> int:
    """A port that was free a moment ago, by UDP and TCP, for programs that cannot take any.

    It lies below those that the system gives to whoever asks for one, and is drawn, lest two
    test processes find the same.
    """
    draw = random.SystemRandom()
    for _ in range(1000):
        port = draw.randrange(15000, 30000)
        with contextlib.ExitStack() as stack:
            try:
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    sock = stack.enter_context(socket.socket(socket.AF_INET, kind))
                    sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")


def free_ports(count: int) -> int:
    """The first of so many UDP ports in a row that were free a moment ago; an even one."""
    for _ in range(100):
        low = free_port() & ~1
        with contextlib.ExitStack() as stack:
            try:
                for port in range(low, low + count):
                    sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                    sock.bind(("127.0.0.1", port))
            except (OSError, OverflowError):
                continue
            return low
    raise RuntimeError(f"no {count} free ports in a row")


def wait_for(ready: Callable[[], object], what: str, seconds: float = 10.0) -> None:
    """Wait until something is true, looking every 20 ms."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s for {what}")
        time.sleep(0.02)


class Process:
    """A program in a process group of its own, its output in a file.

    Args:
        name: For messages and the log's name.
        arguments: Program and arguments.
        folder: Where it runs, and where the log is.
        environment: Added to ours.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                ["timeout", "-k", "1", str(LIFETIME), *arguments],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
            )

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of ``timeout``, the leader of the group."""
        return self._process.pid

    def output(self) -> str:
        """What it has written so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def saw(self, text: str, times: int = 1) -> Callable[[], bool]:
        """Whether the output holds a text, for :func:`wait_for`; fails at once if it ended."""

        def look() -> bool:
            found = self.output().count(text) >= times
            assert found or self.running, f"{self.name} ended before {text!r}:\n{self.output()}"
            return found

        return look

    def wait(self, seconds: float) -> int:
        """Wait for its end.

        Returns:
            The exit code.
        """
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs after {seconds:g} s") from None

    def signal(self, number: int) -> None:
        """Send a signal to the whole group, if it is still there."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def close(self) -> None:
        """End it, by force if need be."""
        if self.running:
            self.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(2.0)
        self.signal(signal.SIGKILL)  # children that it left behind
        self._process.wait(5.0)
