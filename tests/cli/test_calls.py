from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from voicebot.cli.main import app
from voicebot.serving.control import ControlServer, Request

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


def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    path = tmp_path / "control.sock"
    monkeypatch.setenv("VOICEBOT__ENGINE__CONTROL", str(path))

    async def story() -> Any:
        server = ControlServer(path, {"calls": _calls, "hangup": _hang_up})
        await server.start()
        result = await asyncio.to_thread(CliRunner().invoke, app, list(arguments))
        await server.close()
        return result

    return asyncio.run(story())


def test_a_call_and_its_legs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = invoke(tmp_path, monkeypatch, "calls")
    assert shown.exit_code == 0, shown.output
    lines = shown.output.splitlines()
    assert lines[0] == (
        "3f9c2a11  sip 10.0.0.1:5060 → 2000  1:02:05  ESCALATED 3.13/1.30 nats  1.2 s not heard"
    )
    assert lines[1].split() == (
        ["caller", "live", "PCMU", "loss", "1.0", "%", "jitter", "4", "ms", "concealed", "0.0", "s"]
    )
    assert lines[2].split() == ["agent", "silent"]
    assert lines[3] == "1 of 50 calls, lag p95 0.12 s, 3 refused, draining"


def test_all_there_is_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert json.loads(invoke(tmp_path, monkeypatch, "calls", "--json").output) == STATUS


def test_hanging_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "hung up on 3f9c" in invoke(tmp_path, monkeypatch, "hangup", "3f9c").output
    failed = invoke(tmp_path, monkeypatch, "hangup", "zzz")
    assert failed.exit_code != 0
    assert "no single running call" in str(failed.exception)


def test_without_a_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICEBOT__ENGINE__CONTROL", str(tmp_path / "none.sock"))
    failed = CliRunner().invoke(app, ["calls"])
    assert failed.exit_code != 0
    assert "no daemon answers" in str(failed.exception)
