"""A daemon under load: started, asked, measured and stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from voicebot.closing import Closing
from voicebot.errors import VoicebotError
from voicebot.serving.control import ControlError, ask

MEDIA: Final = "media"
"""in place of a language: audio is taken in and not listened to"""
START_SECONDS: Final = 120.0
"""s that models may take to load"""


class LoadError(VoicebotError):
    """A measurement could not be made."""


@dataclass(frozen=True, slots=True)
class Use:
    """What a process has used and holds."""

    at: float
    """s, monotonic"""
    cpu_seconds: float
    rss_mb: float
    descriptors: int
    """open files and sockets"""
    threads: int


class DaemonProcess(Closing):
    """``voicebot serve`` as a child, with ports and a socket of its own.  A context manager.

    Args:
        folder: Scratch folder; its log goes there.
        settings: Environment overrides, such as ``{"ENGINE__MAX_CALLS": "500"}``.
        language: As ``--language``, or :data:`MEDIA`.

    Raises:
        LoadError: it does not start.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str], language: str) -> None:
        self.port = _free_port()
        self.log = folder / "serve.log"
        self._socket = folder / "control.sock"
        environment = {
            **os.environ,
            "VOICEBOT__ENGINE__CONTROL": str(self._socket),
            "VOICEBOT__SIP__SIGNALLING__LISTEN": f"['udp:127.0.0.1:{self.port}']",
            "VOICEBOT__ENGINE__DRAIN_SECONDS": "1",
            **{f"VOICEBOT__{key}": value for key, value in settings.items()},
        }
        hearing = ["voicebot", "serve", "--language", language, "--quiet"]
        command = [
            sys.executable,
            "-m",
            *(["voicebot.load.deaf"] if language == MEDIA else hearing),
        ]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not self._socket.exists() or b"ready:" not in self.log.read_bytes():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.close()
                said = self.log.read_text(errors="replace").strip().splitlines()[-3:]
                raise LoadError("voicebot serve did not start:\n" + "\n".join(said))
            time.sleep(0.05)

    @property
    def pid(self) -> int:
        """Of the daemon."""
        return self._process.pid

    def status(self) -> dict[str, Any]:
        """What ``voicebot calls --json`` shows.

        Raises:
            LoadError: it does not answer.
        """
        try:
            return ask(self._socket, {"do": "calls"})
        except ControlError as err:
            raise LoadError(
                f"the daemon has stopped answering: {err.what}", str(self.log)
            ) from None

    def use(self) -> Use:
        """What it has used so far (proc(5)).

        Raises:
            LoadError: it is gone.
        """
        proc = Path("/proc") / str(self.pid)
        try:
            fields = (proc / "stat").read_text().rpartition(")")[2].split()
            status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
            descriptors = len(list((proc / "fd").iterdir()))
        except OSError:
            raise LoadError("the daemon is gone", str(self.log)) from None
        ticks = int(fields[11]) + int(fields[12])
        return Use(
            time.monotonic(),
            ticks / os.sysconf("SC_CLK_TCK"),
            int(status["VmRSS"].split()[0]) / 1024,
            descriptors,
            int(status["Threads"]),
        )

    def media_ports(self) -> int:
        """How many UDP sockets it holds, signalling not counted."""
        inodes = {
            Path(link).name
            for link in (_link(f) for f in (Path("/proc") / str(self.pid) / "fd").iterdir())
            if link.startswith("socket:")
        }
        held = 0
        for table in ("udp", "udp6"):
            for line in (Path("/proc/net") / table).read_text().splitlines()[1:]:
                columns = line.split()
                port = int(columns[1].rpartition(":")[2], 16)
                held += f"socket:[{columns[9]}]" in inodes and port != self.port
        return held

    def close(self) -> None:
        """Stop it: gently, then not.  May be called twice."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
