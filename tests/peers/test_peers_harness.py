"""The harness: that it would notice, and that nothing it starts is left behind."""

import os
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tests.peers.impairment import Done
from tests.peers.processes import Process, free_ports, need, wait_for
from tests.peers.sound import compare, read_wav, speech, write_wav


def test_what_was_sent_is_found_where_it_is() -> None:
    says = speech(2.0, start=20.0)
    heard = np.concatenate((np.zeros(800, np.int16), says, np.zeros(80, np.int16)))
    match = compare(says, heard)
    assert match.correlation == pytest.approx(1.0)
    assert match.offset == pytest.approx(0.1)
    assert compare(says, says[400:]).offset == pytest.approx(-0.05)


def test_other_audio_is_told_apart() -> None:
    says = speech(3.0, start=20.0)
    assert compare(says, speech(3.0, start=30.0)).correlation < 0.5
    assert compare(says, -says).correlation < 0.9
    # A packet left out, or heard twice, moves all that follows out of place.
    assert compare(says, np.delete(says, slice(8000, 8160))).correlation < 0.9
    assert compare(says, np.insert(says, 8000, says[7840:8000])).correlation < 0.9
    with pytest.raises(AssertionError, match="nothing"):
        compare(says, says[:0])


def test_audio_files(tmp_path: Path) -> None:
    says = speech(0.5)
    assert np.array_equal(read_wav(write_wav(tmp_path / "a.wav", says)), says)


def test_a_process_and_its_children_are_ended(tmp_path: Path) -> None:
    # One child ignores SIGTERM, as a hanging peer would.
    script = "trap '' TERM; sleep 100 & echo child $!; wait; sleep 100"
    with closing(Process("shell", ["sh", "-c", script], tmp_path)) as process:
        wait_for(process.saw("child"), "the child")
        child = int(process.output().split()[1])
        began = time.monotonic()
    assert time.monotonic() - began < 4.0
    assert not process.running
    wait_for(lambda: not alive(child), "the end of the child")


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has buried yet does not."""
    try:
        os.kill(pid, 0)
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_a_process_that_ends_early_is_noticed(tmp_path: Path) -> None:
    with closing(Process("shell", ["sh", "-c", "echo no; exit 3"], tmp_path)) as process:
        assert process.wait(5.0) == 3
        with pytest.raises(AssertionError, match="no"):
            wait_for(process.saw("ready"), "readiness", 5.0)
    with closing(Process("sleep", ["sleep", "60"], tmp_path)) as process:
        with pytest.raises(AssertionError, match="still runs"):
            process.wait(0.05)
        with pytest.raises(AssertionError, match=r"waited 0\.05 s for rain"):
            wait_for(lambda: False, "rain", 0.05)


def test_a_missing_program_skips() -> None:
    with pytest.raises(pytest.skip.Exception, match="not installed"):
        need("sh", "no-such-telephone")


def test_ports_in_a_row() -> None:
    low = free_ports(8)
    assert low % 2 == 0
    assert 1024 < low < 65536 - 8


def test_jitter_of_departures() -> None:
    even = Done(departures=[(number * 0.02, number * 160) for number in range(100)])
    assert even.jitter() == pytest.approx(0.0, abs=1e-9)
    shaken = Done(
        departures=[(number * 0.02 + number % 2 * 0.01, number * 160) for number in range(200)]
    )
    assert shaken.jitter() == pytest.approx(0.01, rel=0.01)
