"""sipp, driven by scenario files."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.peers.processes import Process, free_port, need
from tests.peers.sound import write_raw
from voicebot.events import Pcm

SCENARIOS = Path(__file__).parent / "scenarios"


class Sipp:
    """One run of sipp.  Use as a context manager.

    Args:
        scenario: Name of a file in ``scenarios``, without its end.
        folder: For its files.
        port: Of the endpoint it calls; 0 if it is called.
        says: What ``audio.raw`` in the scenario is.
        calls: How many, in all.
        at_once: How many at most at the same time.
        rate: Calls that begin per second.
        keys: ``[name]`` in the scenario becomes the value.
        seconds: After which sipp gives up.
        transport: ``u1`` UDP, ``t1`` TCP.
        more: Further options.
    """

    def __init__(
        self,
        scenario: str,
        folder: Path,
        port: int = 0,
        *,
        says: Pcm | None = None,
        calls: int = 1,
        at_once: int = 1,
        rate: float = 10,
        keys: Mapping[str, str] | None = None,
        seconds: int = 30,
        transport: str = "u1",
        more: tuple[str, ...] = (),
    ) -> None:
        need("sipp")
        self.port = free_port()
        self.folder = folder / f"sipp-{scenario}-{self.port}"
        arguments = [
            "sipp", f"127.0.0.1:{port}" if port else "127.0.0.1",
            "-sf", str(SCENARIOS / f"{scenario}.xml"),
            "-i", "127.0.0.1", "-p", str(self.port), "-ci", "127.0.0.1",
            "-cp", str(free_port()), "-mi", "127.0.0.1",
            "-m", str(calls), "-l", str(at_once), "-r", str(rate), "-t", transport,
            "-timeout", f"{seconds}s", "-timeout_error", "-nostdin", "-trace_err", "-trace_msg",
            "-error_file", "errors.log", "-message_file", "messages.log",
            "-trace_screen", "-screen_file", "screen.log", "-s", "voicebot", "-skip_rlimit",
        ]  # fmt: skip
        for name, value in (keys or {}).items():
            arguments += ["-key", name, value]
        self.folder.mkdir(parents=True)
        if says is not None:
            write_raw(self.folder / "audio.raw", says)
        self.uri = f"sip:sipp@127.0.0.1:{self.port}"
        self.process = Process("sipp", [*arguments, *more], self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.process.close()

    def finish(self, seconds: float = 30.0) -> str:
        """Wait until all calls are over, each as the scenario wants it.

        Returns:
            The messages that went to and fro.
        """
        code = self.process.wait(seconds)
        errors = self.folder / "errors.log"
        text = errors.read_text(errors="replace") if errors.exists() else ""
        assert code == 0, f"sipp ended with {code}\n{text}\n{self.messages()[-4000:]}"
        return self.messages()

    def messages(self) -> str:
        """What went to and fro so far."""
        log = self.folder / "messages.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def statuses(self) -> list[int]:
        """Statuses of the responses it received, in order."""
        return [int(s) for s in re.findall(r"received.*\n\nSIP/2.0 (\d{3})", self.messages())]
