from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import voicebot
from voicebot.cli import calls
from voicebot.serving.control import ControlError, ControlServer, Request

STATUS: dict[str, Any] = {
    "calls": [
        {
            "call_id": "3f9c2a11aaaa", "gateway": "sip", "reference": "x", "peer": "10.0.0.1:5060",
            "called": "2000", "rate_hz": 8000, "age_s": 3725.4, "state": "ESCALATED",
            "evidence_nats": 3.13, "threshold_nats": 1.3, "dropped_blocks": 12,
            "legs": {
                "caller": {
                    "state": "live", "quiet_s": 0.1, "codec": "PCMU", "packets": 100, "lost": 1,
                    "loss_percent": 0.99, "late": 0, "duplicates": 0, "strangers": 0,
                    "jitter_ms": 4.2, "concealed_s": 0.02,
                },
                "agent": {"state": "silent", "quiet_s": 9.0},
            },
        }
    ],
    "running": 1, "max_calls": 50, "draining": True, "lag_p95_s": 0.123,
    "counters": {"engine": {"refused_at_capacity": 2, "refused_lagging": 1, "calls": 9}},
}  # fmt: skip


async def _calls(request: Request) -> dict[str, Any]:
    return STATUS


async def _hang_up(request: Request) -> dict[str, Any]:
    if request["call_id"] != "3f9c":
        return {"error": "no single running call begins with that"}
    return {"hung_up": "3f9c"}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Path]:
    """A configuration file whose control socket answers."""
    config = tmp_path / "config.yaml"
    config.write_text(f"engine:\n  control: {tmp_path}/control.sock\n")
    loop = asyncio.new_event_loop()
    server = ControlServer(tmp_path / "control.sock", {"calls": _calls, "hangup": _hang_up})
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(5)
    yield config
    asyncio.run_coroutine_threadsafe(server.close(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


def test_a_call_and_its_legs(daemon: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calls.calls(path=daemon)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "3f9c2a11  sip 10.0.0.1:5060 → 2000  1:02:05  ESCALATED 3.13/1.30 nats  1.2 s not heard"
    )
    assert lines[1].split() == [
        "caller",
        "live",
        "PCMU",
        "loss",
        "1.0",
        "%",
        "jitter",
        "4",
        "ms",
        "concealed",
        "0.0",
        "s",
    ]
    assert lines[2].split() == ["agent", "silent"]
    assert lines[3] == "1 of 50 calls, lag p95 0.12 s, 3 refused, draining"


def test_watching_asks_again_until_ctrl_c(
    daemon: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        STATUS["running"] = len(waits) + 1
        if len(waits) == 3:
            raise KeyboardInterrupt

    monkeypatch.setitem(STATUS, "running", 1)
    monkeypatch.setattr("voicebot.cli.calls.time.sleep", wait)
    calls.calls(watch=True, path=daemon)
    assert waits == [1.0, 1.0, 1.0]
    assert "3 of 50 calls" in capsys.readouterr().out


def test_all_there_is_as_json(daemon: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calls.calls(as_json=True, path=daemon)
    assert json.loads(capsys.readouterr().out) == STATUS


def test_hanging_up(daemon: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calls.hangup("3f9c", path=daemon)
    assert capsys.readouterr().out == "hung up on 3f9c\n"
    with pytest.raises(ControlError, match="no single running call"):
        calls.hangup("zzz", path=daemon)


def test_without_a_daemon_the_command_says_so(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"engine:\n  control: {tmp_path}/none.sock\n")
    done = voicebot("calls", "--config", str(config))
    assert done.returncode == 1
    assert "no daemon answers" in done.stderr and "voicebot serve" in done.stderr
    assert "Traceback" not in done.stderr
