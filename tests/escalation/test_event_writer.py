"""Whole lines or none: on a full disk, in a broken pipe, at Ctrl-C."""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from voicebot.errors import OutputError
from voicebot.escalation import event_writer
from voicebot.escalation.event_writer import EventWriter
from voicebot.events import EscalationState, Event, State, from_json


def event(t: float = 1.0, reason: str = "calmed") -> State:
    return State(
        call_id="c", leg=None, t=t, previous=EscalationState.RISING, state=EscalationState.CALM,
        evidence=0.2, reason=reason,
    )  # fmt: skip


def read(path: Path) -> list[Event]:
    return [from_json(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_each_line_is_there_at_once(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    with EventWriter(path) as writer:
        for n in range(3):
            writer.write(event(n, "상담원 “quoted”\n"))
            assert read(path) == [event(k, "상담원 “quoted”\n") for k in range(n + 1)]
    writer.close()  # twice is no harm


def test_it_replaces_the_file(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text("old\n" * 100)
    with EventWriter(path) as writer:
        writer.write(event())
    assert read(path) == [event()]


def test_standard_output(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    print("before", end=" ")  # noqa: T201
    with EventWriter("-") as writer:
        writer.write(event())
        writer.write(event(2.0))
    print("after")  # noqa: T201
    out = capsysbinary.readouterr().out.decode()
    assert out == f"before {event().to_json()}\n{event(2.0).to_json()}\nafter\n"


def test_text_that_is_no_unicode_is_written_all_the_same(tmp_path: Path) -> None:
    with EventWriter(tmp_path / "e") as writer:
        writer.write(event(reason="\ud800"))
    assert json.loads((tmp_path / "e").read_text())["reason"] == "\ud800"


@pytest.mark.parametrize(
    ("name", "what", "mend"),
    [
        ("no/such/e.jsonl", "No such file or directory", "make the folder"),
        (".", "Is a directory", "name a file"),
    ],
)
def test_cannot_be_opened(tmp_path: Path, name: str, what: str, mend: str) -> None:
    with pytest.raises(OutputError, match=what) as caught:
        EventWriter(tmp_path / name)
    assert str(tmp_path) in caught.value.what and mend in caught.value.mend


def test_a_full_device() -> None:
    with (
        EventWriter("/dev/full") as writer,
        pytest.raises(OutputError, match="/dev/full: cannot be written: No space left") as caught,
    ):
        writer.write(event())
    assert "make room" in caught.value.mend


CROWDED = """
import resource, signal, sys
from tests.escalation.test_event_writer import event
from voicebot.errors import OutputError
from voicebot.escalation.event_writer import EventWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
with EventWriter(sys.argv[1]) as writer:
    try:
        for n in range(100):
            writer.write(event(n))
    except OutputError as err:
        print(n, err)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    writer.write(event(999))
"""


def test_no_half_line_when_the_disk_is_full_and_on_when_there_is_room(tmp_path: Path) -> None:
    """A limit on the file size makes a write come out short, as a full disk does."""
    path = tmp_path / "e.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", CROWDED, str(path)], capture_output=True, text=True, check=True
    )
    count, _, told = done.stdout.partition(" ")
    assert "File too large" in told and str(path) in told
    assert read(path) == [*(event(n) for n in range(int(count))), event(999)]


def test_a_short_write_that_is_interrupted_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "e.jsonl"

    class Interrupted(io.FileIO):
        interrupt = False

        def write(self, data: Any) -> int:
            if not self.interrupt:
                return super().write(data) or 0
            super().write(memoryview(data)[:10])
            raise KeyboardInterrupt

    raw = Interrupted(path, "wb")
    monkeypatch.setattr(event_writer, "_open", lambda path: (raw, True))
    with EventWriter(path) as writer:
        writer.write(event(1))
        raw.interrupt = True
        with pytest.raises(KeyboardInterrupt):
            writer.write(event(2))
        raw.interrupt = False
        writer.write(event(3))
    assert read(path) == [event(1), event(3)]


def test_a_slow_pipe_gets_whole_lines(tmp_path: Path) -> None:
    """Longer than a pipe holds, so that writes come out in pieces."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with (
        (tmp_path / "copy").open("wb") as copy,
        subprocess.Popen(["cat", fifo], stdout=copy),
        EventWriter(fifo) as writer,
    ):
        for n in range(3):
            writer.write(event(n, "x" * 200_000))
    assert [e.t for e in read(tmp_path / "copy")] == [0, 1, 2]


ENDLESS = """
import signal
import sys
from tests.escalation.test_event_writer import event
from voicebot.errors import OutputError
from voicebot.escalation.event_writer import EventWriter
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
try:
    with EventWriter("-") as writer:
        n = 0
        while True:
            n += 1
            writer.write(event(n))
except OutputError as err:
    print(err, file=sys.stderr)
    sys.exit(3)
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_a_reader_that_leaves_is_told_in_one_line() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None and child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        told = child.stderr.read().decode()
        assert child.wait(10) == 3
    assert told == (
        "standard output: cannot be written: Broken pipe "
        "(the program that was reading it has ended)\n"
    )


def test_ctrl_c_leaves_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "out"
    script = ENDLESS.replace('"-"', f'"{path}"')
    for _ in range(3):
        path.unlink(missing_ok=True)
        with subprocess.Popen([sys.executable, "-c", script]) as child:
            try:
                while not path.exists() or path.stat().st_size < 100_000:
                    time.sleep(0.005)
                child.send_signal(signal.SIGINT)
                assert child.wait(10) == 130
            finally:
                child.kill()  # it would write for ever
        content = path.read_bytes()
        assert content.endswith(b"\n")
        assert [e.t for e in read(path)] == list(range(1, content.count(b"\n") + 1))


def test_limits_are_ours_alone() -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
