"""``voicebot listen`` and ``voicebot devices`` on a real capture path: PulseAudio's null sink."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests import pulse
from tests.cli.command import DEMO, start, voicebot
from voicebot import events
from voicebot.events import Alert, CallEnded, CallStarted, Event, Final


@pytest.fixture
def line(tmp_path: Path) -> Iterator[pulse.Pulse]:
    if (reason := pulse.missing()) is not None:
        pytest.fail(reason)
    daemon = pulse.Pulse.start(tmp_path)
    yield daemon
    daemon.stop()


def caller_of(name: str, path: Path, until: float) -> Path:
    """The caller's leg of a bundled call as a WAV, half a second of silence before it."""
    samples, rate = soundfile.read(DEMO / f"{name}.flac", dtype="int16")
    leg = samples[: round(until * rate), 0]
    soundfile.write(path, np.concatenate([np.zeros(rate // 2, np.int16), leg]), rate)
    return path


def recorded(path: Path) -> list[Event]:
    return [events.from_json(line) for line in path.read_text("utf-8").splitlines()]


def wait_for(path: Path, kind: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not (path.exists() and f'"type": "{kind}"' in path.read_text("utf-8")):
        assert time.monotonic() < deadline, f"no {kind} in {seconds} s"
        time.sleep(0.05)


def test_a_call_played_into_the_line_is_heard_and_escalates(
    line: pulse.Pulse, tmp_path: Path
) -> None:
    record = tmp_path / "e.jsonl"
    process = start(
        "listen", "--seconds", "52", "--rate", "8000", "-l", "en", "--events", str(record),
        env=line.env,
    )  # fmt: skip
    wait_for(record, "call_started")
    player = line.play(caller_of("angry_en", tmp_path / "call.wav", 50.5))
    out, err = process.communicate(timeout=120)
    player.wait(30)
    assert process.returncode == 0, err
    found = recorded(record)
    heard = " ".join(e.text.lower() for e in found if isinstance(e, Final))
    for word in ("coffee machine", "nobody", "case"):
        assert word in heard
    alerts = [e for e in found if isinstance(e, Alert)]
    assert alerts[0].reason == "persistent_anger"
    assert "ALERT" in out
    ended = found[-1]
    assert isinstance(ended, CallEnded)
    assert ended.duration == pytest.approx(52.0, abs=0.11)
    assert isinstance(found[0], CallStarted)
    assert found[0].rate == 8000


def test_a_device_that_is_unplugged_ends_the_call_with_a_clear_error(
    line: pulse.Pulse, tmp_path: Path
) -> None:
    record = tmp_path / "e.jsonl"
    process = start("listen", "-l", "none", "--events", str(record), env=line.env)
    wait_for(record, "call_started")
    player = line.play(caller_of("angry_en", tmp_path / "call.wav", 20.0))
    wait_for(record, "utterance_started")
    line.kill()
    _, err = process.communicate(timeout=60)
    player.wait(30)
    assert process.returncode == 1
    assert "Traceback" not in err
    assert "voicebot:" in err
    assert json.loads(record.read_text().splitlines()[-1])["reason"] == "device_lost"


def test_devices_are_listed_and_a_wrong_one_is_named(line: pulse.Pulse) -> None:
    done = voicebot("devices", env=line.env)
    assert done.returncode == 0, done.stderr
    assert "default" in done.stdout
    done = voicebot("listen", "--device", "no such thing", "-l", "none", env=line.env)
    assert done.returncode == 1
    assert "no such thing" in done.stderr
    assert "'default'" in done.stderr, "the error names what there is"
