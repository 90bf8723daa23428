"""``voicebot serve`` as a process of its own."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from tests.peers.processes import Process, free_port, free_ports, wait_for


class Serve:
    """One daemon on loopback.

    Args:
        name: Of its folder.
        folder: For its files.
        settings: What differs from the defaults; listeners and ports are seen to here.
        calls: Media ports for so many.
    """

    def __init__(
        self, name: str, folder: Path, settings: dict[str, Any] | None = None, calls: int = 10
    ) -> None:
        self.folder = folder / name
        self.folder.mkdir(parents=True)
        self.port = free_port()
        rtp = free_ports(4 * calls)
        made: dict[str, Any] = {"language": "none", **(settings or {})}
        # The path of a socket must be short.
        self._short = tempfile.TemporaryDirectory(prefix="voicebot-")
        made["engine"] = {
            "control": f"{self._short.name}/control.sock",
            "drain_seconds": 0.0,
            **made.get("engine", {}),
        }
        made["sip"] = {
            "signalling": {"listen": [f"udp:127.0.0.1:{self.port}"]},
            **made.get("sip", {}),
        }
        made["media"] = {"port_low": rtp, "port_high": rtp + 4 * calls - 1}
        config = self.folder / "config.yaml"
        config.write_text(yaml.safe_dump(made))
        self._events = self.folder / "events.jsonl"
        self.process = Process(
            "voicebot",
            [sys.executable, "-m", "voicebot", "serve", "--config", str(config), "--events",
             str(self._events)],
            self.folder,
        )  # fmt: skip

    def wait(self) -> None:
        """Wait until it takes calls."""
        wait_for(self.process.saw("ready:"), "voicebot serve", 30.0)

    def events(self, kind: str = "") -> list[dict[str, Any]]:
        """What it has recorded so far."""
        if not self._events.exists():
            return []
        text = self._events.read_text()
        lines = text[: text.rfind("\n") + 1].splitlines()
        events = [json.loads(line) for line in lines]
        return [event for event in events if not kind or event["type"] == kind]

    def close(self) -> None:
        """End it."""
        self.process.close()
        self._short.cleanup()
