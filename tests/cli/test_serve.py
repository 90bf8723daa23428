"""``voicebot serve`` as ops start it: what it says, what it records, how it stops."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.command import DEMO, start, voicebot
from tests.example_events import ONE_OF_EACH
from tests.telephony.feed import feed
from voicebot.cli.run import Record
from voicebot.cli.serve import Journal
from voicebot.events import CallStarted, Digit, Leg


def settings(folder: Path, **more: Any) -> Path:
    path = folder / "config.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "language": "none",
                "engine": {"control": str(folder / "control.sock"), "drain_seconds": 1.0},
                "prompts": {"enabled": False},
                "sip": {"enabled": False},
                **more,
            }
        )
    )
    return path


def wait_ready(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith("ready:"):
            return line.strip()
    raise AssertionError("".join(said))


def test_a_call_from_the_line_is_recorded_and_told(tmp_path: Path) -> None:
    port = 20000 + os.getpid() % 20000
    config = settings(
        tmp_path, audiosocket={"enabled": True, "listen": [f"hotline=127.0.0.1:{port}"]}
    )
    events = tmp_path / "events.jsonl"
    process = start("serve", "--config", str(config), "--events", str(events))
    try:
        assert wait_ready(process) == "ready: audiosocket"
        asyncio.run(feed(DEMO / "happy_loud_en.flac", port, pace=8.0))
        shown = voicebot("calls", "--json", "--config", str(config))
        assert json.loads(shown.stdout)["counters"]["engine"] == {"calls": 1}
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, err
    told = out.splitlines()
    assert "call audiosocket" in told[0] and "call ended (hangup)" in told[-1]
    assert "Traceback" not in err
    recorded = [json.loads(line) for line in events.read_text().splitlines()]
    assert recorded[0]["type"] == "call_started"
    assert recorded[-1]["type"] == "call_ended"
    assert recorded[-1]["utterances"] > 3


def test_calls_go_on_where_nobody_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*arguments: Any, **more: Any) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    record = Record(tmp_path / "absent" / "events.jsonl")
    journal = Journal(record, printing=True)
    event = Digit(call_id="c" * 20, leg=Leg.CALLER, t=0.0, digit="1", seconds=0.1)
    journal.event(event)
    started = next(e for e in ONE_OF_EACH if isinstance(e, CallStarted))
    monkeypatch.setattr("sys.stdout.write", gone)
    for _ in range(3):
        journal.event(started)
    monkeypatch.undo()
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2, "each is told once"
    assert "events.jsonl" in told[0] and "Broken pipe" in told[1]


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config = settings(tmp_path, audiosocket={"enabled": True, "listen": [f"127.0.0.1:{port}"]})
        done = voicebot("serve", "--config", str(config))
    assert done.returncode == 1
    assert str(port) in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"handover": {"briefing_url": "https://desk/{who}"}}, "briefing_url"),
        ({"websocket": {"twilio": {"token": "x"}}}, "websocket.twilio"),
        ({"engine": {"max_calls": 0}}, "engine.max_calls"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, wrong: dict[str, Any], named: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(wrong))
    done = voicebot("serve", "--config", str(path))
    assert done.returncode == 1
    assert named in done.stderr and "config.yaml" in done.stderr
