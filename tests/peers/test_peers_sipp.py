"""Calls from sipp: what a PBX may do, and what it should not."""

from contextlib import ExitStack
from pathlib import Path

from tests.peers.house import House
from tests.peers.sipp import Sipp
from tests.peers.sound import compare, speech, write_raw


def test_a_call_with_speech(stack: ExitStack, tmp_path: Path) -> None:
    house = stack.enter_context(House())
    says = speech(3.0, start=20.0)
    sipp = stack.enter_context(Sipp("call", tmp_path, house.port(), says=says, more=("-d", "3200")))
    sipp.finish()
    call = house.ended()
    match = compare(says, call.pcm())
    assert match.correlation > 0.99
    assert abs(match.heard - match.sent) <= 0.06, match
