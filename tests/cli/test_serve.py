"""``voicebot serve`` as ops start it: what it says, what it records, how it stops."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import yaml

from tests.cli.command import DEMO, start, voicebot
from tests.example_events import ONE_OF_EACH
from tests.peers.processes import free_port
from tests.telephony.feed import feed
from voicebot.cli import serve as module
from voicebot.cli.run import Record
from voicebot.cli.serve import Journal
from voicebot.config import Config
from voicebot.errors import OutputError
from voicebot.events import CallStarted, Digit, Event, Leg


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
    port = free_port()
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


class Idle:
    """An engine that is made and hears nothing."""

    languages: ClassVar[list[str]] = []

    def __init__(self, settings: Config, language: str, notice: Any) -> None:
        self.languages.append(language)

    def __enter__(self) -> Idle:
        return self

    def __exit__(self, *_: object) -> None:
        pass


async def one_call(settings: Config, engine: Any, heard: Callable[[Event], None]) -> None:
    """What a daemon tells of one call."""
    for event in ONE_OF_EACH:
        heard(event)


@pytest.fixture
def idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration; the daemon hears one call and ends."""
    monkeypatch.setattr(module, "Engine", Idle)
    monkeypatch.setattr(module, "_serve", one_call)
    monkeypatch.setattr(Idle, "languages", [])
    return settings(tmp_path)


def test_what_happens_is_printed_but_not_what_was_said(
    idle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module.serve(path=idle)
    told = capsys.readouterr().out
    assert "call call.wav" in told and "transfer 1 to sip:agent@pbx: busy" in told
    assert "parcel" not in told
    module.serve(quiet=True, path=idle)
    assert capsys.readouterr().out == ""


def test_events_on_standard_output_have_it_for_themselves(
    idle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module.serve(events=Path("-"), path=idle)
    types = [json.loads(line)["type"] for line in capsys.readouterr().out.splitlines()]
    assert types == [event.type for event in ONE_OF_EACH]


def test_the_option_goes_before_the_configured_language(idle: Path) -> None:
    module.serve(path=idle)
    module.serve(language="ko", path=idle)
    assert Idle.languages == ["none", "ko"]


def test_the_daemon_gets_what_is_configured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[Any] = []

    class Noted:
        def __init__(self, *parts: Any, barge_in: bool, ready: Any, **more: Any) -> None:
            given.extend([*parts[1:3], barge_in])
            self.ready = ready

        async def run(self) -> None:
            self.ready([SimpleNamespace(name="sip"), SimpleNamespace(name="esl")])

    monkeypatch.setattr(module, "Daemon", Noted)
    settings = Config.model_validate({"prompts": {"enabled": False, "barge_in": False}})
    engine: Any = SimpleNamespace(language="en")
    asyncio.run(module._serve(settings, engine, lambda event: None))
    assert given == [settings.engine, settings.handover, False]
    assert capsys.readouterr().err == "ready: sip, esl\n"


def test_a_record_that_could_not_be_kept_is_a_fault_in_the_end(idle: Path) -> None:
    with pytest.raises(OutputError, match="/dev/full"):
        module.serve(events=Path("/dev/full"), path=idle)


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
