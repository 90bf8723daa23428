"""Who holds a lease, and whether they are still there."""

from __future__ import annotations

import subprocess
import sys

from voicebot.escalation.lease import is_gone, new_owner


def test_we_are_here() -> None:
    assert not is_gone(new_owner())


def test_owners_differ() -> None:
    assert new_owner() != new_owner()


def test_a_process_that_ended_is_gone() -> None:
    code = "from voicebot.escalation.lease import *; print(new_owner())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert is_gone(done.stdout.strip())


def test_a_process_that_got_the_id_later_is_another() -> None:
    process, _, ours = new_owner().rpartition("/")
    host_and_id, _, started = process.rpartition(":")
    assert is_gone(f"{host_and_id}:{int(started) - 1}/{ours}")


def test_of_other_machines_nothing_is_known() -> None:
    assert not is_gone("some-other-host:1:1/abc")


def test_without_a_start_time_nothing_is_known() -> None:
    host = new_owner().split(":")[0]
    assert not is_gone(f"{host}:999999999:/abc")
