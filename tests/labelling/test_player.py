"""Playing a call: against a stream of our own, and on a real sound server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sounddevice

from tests.labelling.recordings import write_call
from tests.pulse import Pulse, missing
from voicebot.errors import DeviceError
from voicebot.events import Leg
from voicebot.labelling.calls import CallAudio
from voicebot.labelling.player import DevicePlayer


class Stream:
    """In place of PortAudio: takes blocks when it is told to."""

    last: Stream

    def __init__(self, *, callback: Any, blocksize: int, **options: Any) -> None:
        self.callback, self.size, self.closed = callback, blocksize, False
        Stream.last = self

    def start(self) -> None:
        pass

    def take(self) -> np.ndarray:
        out = bytearray(2 * self.size)
        self.callback(memoryview(out), self.size, None, None)
        return np.frombuffer(out, np.int16)

    def close(self) -> None:
        self.closed = True


def test_it_plays_both_legs_and_stops_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sounddevice, "RawOutputStream", Stream)
    caller = np.arange(1000, dtype=np.int16)
    audio = CallAudio(8000, {Leg.CALLER: caller, Leg.AGENT: caller * 2}, (), ())
    with DevicePlayer(audio) as player:
        stream = Stream.last
        assert not stream.take().any()
        player.play(0.025)
        assert player.playing
        assert (stream.take() == caller[200:600] * 3).all()
        assert player.position == 0.075
        player.stop()
        assert not stream.take().any()
        assert player.position == 0.075
        player.play(0.1)
        heard = stream.take()
        assert (heard[:200] == caller[800:] * 3).all() and not heard[200:].any()
        assert not player.playing
        assert player.position == audio.seconds
        player.play(99.0)
        assert not player.playing
    assert stream.closed


def test_no_device_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(**options: Any) -> None:
        raise sounddevice.PortAudioError("Error querying device -1")

    monkeypatch.setattr(sounddevice, "RawOutputStream", none)
    audio = CallAudio(8000, {Leg.CALLER: np.zeros(10, np.int16)}, (), ())
    with pytest.raises(DeviceError, match="no sound: .*--page"):
        DevicePlayer(audio)


PLAY = """
import sys, time
from pathlib import Path
from voicebot.labelling.calls import read_call
from voicebot.labelling.player import DevicePlayer
audio = read_call(Path(sys.argv[1]))
with DevicePlayer(audio) as player:
    player.play(audio.seconds - 1.0)
    began = time.monotonic()
    while player.playing and time.monotonic() - began < 20:
        time.sleep(0.02)
    print(player.playing, player.position == audio.seconds, time.monotonic() - began > 0.5)
"""


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_on_a_sound_server(tmp_path: Path) -> None:
    call = write_call(tmp_path / "a.wav")
    pulse = Pulse.start(tmp_path)
    try:
        done = subprocess.run(
            [sys.executable, "-c", PLAY, str(call)],
            env=pulse.env, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
    finally:
        pulse.stop()
    assert done.stdout.split() == ["False", "True", "True"], done.stderr
