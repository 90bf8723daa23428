"""Labelling on a terminal: piped in, and on a real pseudo-terminal with keys and arrows."""

from __future__ import annotations

import io
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from tests.labelling.recordings import write_call
from tests.labelling.test_desk import FakePlayer
from tests.labelling.test_session import session_on
from voicebot.cli.lines import clock
from voicebot.errors import AudioError, DeviceError, OutputError
from voicebot.labelling.calls import CallAudio
from voicebot.labelling.desk import Desk
from voicebot.labelling.player import Player
from voicebot.labelling.spans import Label, Span
from voicebot.labelling.store import LabelStore
from voicebot.labelling.terminal import label_on_terminal, picture


def run(folder: Path, keys: str, monkeypatch: pytest.MonkeyPatch, *, sound: bool = False) -> str:
    monkeypatch.setattr(sys, "stdin", io.StringIO(keys))
    console = Console(file=io.StringIO(), width=100)

    def silent(audio: CallAudio) -> Player:
        raise DeviceError("no sound: no device", "plug one in")

    label_on_terminal(session_on(folder), console, sound=sound, open_player=silent, clock=clock)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.wav", "b.wav"):
        write_call(tmp_path / name)
    return tmp_path


def test_one_call_after_the_other(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "aa.wav").write_bytes(b"RIFF nothing")
    out = run(folder, "@1 a @2.5 a d\n@4 u @5 u d\n", monkeypatch)
    assert "2 of 3 calls done" in out
    assert "aa.wav" in out and "not audio" in out  # the broken one is named and passed over
    a, b = LabelStore(folder / "labels").ratings()
    assert a.spans == (Span(1.0, 2.5, Label.ANGRY),) and a.done
    assert b.spans == (Span(4.0, 5.0, Label.UNCLEAR),) and b.done
    (folder / "aa.wav").unlink()
    assert "all calls are done; showing the first" in run(folder, "q", monkeypatch)


def test_forth_back_and_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = run(folder, "n n p q\n", monkeypatch)
    assert "0 of 2 calls done" in out
    out = run(folder, "@1 a @2 a\n", monkeypatch)  # the end of the input is the end of the work
    assert "marked: 00:01.0-00:02.0 angry" in out


def test_without_a_device_it_goes_on_and_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no sound: no device" in run(folder, "\n", monkeypatch, sound=True)


def test_what_is_not_saved_ends_with_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(store: LabelStore, rating: object) -> None:
        raise OutputError("labels: cannot be written", "make room on the disk")

    monkeypatch.setattr(LabelStore, "save", full)
    with pytest.raises(OutputError, match="make room"):
        run(folder, "@1 a @2 a d\n", monkeypatch)


def test_nothing_but_broken_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF nothing")
    with pytest.raises(AudioError, match=r"a\.wav"):
        run(tmp_path, "q", monkeypatch)


def test_the_picture(folder: Path) -> None:
    session = session_on(folder)
    desk = Desk(session, "a.wav", FakePlayer())
    desk.spans = (Span(1.0, 3.0, Label.ANGRY),)
    desk.go(desk.seconds / 2)
    console = Console(file=io.StringIO(), width=200)
    console.print(picture(desk, session.audio("a.wav"), 90, clock))
    assert isinstance(console.file, io.StringIO)
    wave, marks, said, times, at, marked = console.file.getvalue().splitlines()[:6]
    step = desk.seconds / 90
    assert marks.index("^") in (44, 45)
    assert marks.count("A") == pytest.approx(2.0 / step, abs=1)
    assert marks.index("A") == pytest.approx(1.0 / step, abs=1)
    middle = sum(desk.speech[0]) / 2
    assert said[int(middle / step)] == "─" and said[0] == " "
    assert len(set(wave)) > 3
    assert times.startswith("00:00.0") and clock(desk.seconds) in times
    assert f"{clock(desk.cursor)} of {clock(desk.seconds)}, paused" in at
    assert marked == "marked: 00:01.0-00:03.0 angry"


def test_on_a_real_terminal(folder: Path) -> None:
    """Arrow keys move, marks are kept, and the terminal is as it was before."""
    master, slave = pty.openpty()
    before = subprocess.run(["stty", "-g"], stdin=slave, capture_output=True, check=True).stdout
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "90"}
    process = subprocess.Popen(
        [
            sys.executable, "-m", "voicebot", "label", str(folder), "--rater", "ann", "--no-sound",
        ],
        stdin=slave, stdout=slave, stderr=slave, env=env,
    )  # fmt: skip
    try:
        shown = _until(master, process, b"paused")
        os.write(master, b"a\x1b[C\x1b[Ca")
        shown += _until(master, process, b"00:00.0-00:04.0 angry")
        os.write(master, b"dq")
        shown += _until(master, process, b"1 of 2 calls done")
        assert process.wait(30) == 0
        after = subprocess.run(["stty", "-g"], stdin=slave, capture_output=True, check=True).stdout
        assert after == before
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)
    rating = LabelStore(folder / "labels").ratings()[0]
    assert rating.spans == (Span(0.0, 4.0, Label.ANGRY),) and rating.done


def _until(master: int, process: subprocess.Popen[bytes], wanted: bytes) -> bytes:
    """Read what is shown until some text is."""
    shown = b""
    deadline = time.monotonic() + 60
    while wanted not in shown:
        assert time.monotonic() < deadline, shown[-500:]
        if select.select([master], [], [], 0.5)[0]:
            shown += os.read(master, 65536)
    return shown
