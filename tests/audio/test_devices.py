from __future__ import annotations

import builtins
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests import pulse as pulse_daemon
from tests import signals
from tests.pulse import Pulse
from voicebot.audio import devices
from voicebot.audio.backends import Device, OnBlock
from voicebot.audio.pcm import resample
from voicebot.audio.source import AudioSource
from voicebot.errors import DeviceError
from voicebot.events import Leg, Pcm

ROOT = Path(__file__).parents[2]


# ------------------------------------------------- a driver of our own


class FakeStream:
    def __init__(self) -> None:
        self.active = True
        self.closed = False
        self.hang = 0.0
        self.abandoned = False

    def close(self) -> None:
        time.sleep(self.hang)
        self.closed = True

    def abandon(self) -> None:
        self.abandoned = True


class FakeBackend:
    """Records what it is told to, at the rates and channels that it is told to support."""

    def __init__(self, rates: tuple[int, ...], channels: tuple[int, ...] = (1,)) -> None:
        self._rates, self._channels = rates, channels
        self.stream = FakeStream()
        self.opened: tuple[str, int, int] | None = None
        self.on_block: OnBlock = lambda data, overflow: None

    def devices(self) -> list[Device]:
        most = max(self._channels)
        return [
            Device(0, "USB Headset", "ALSA", most, self._rates[0], False),
            Device(3, "Line In", "ALSA", most, self._rates[0], True),
            Device(5, "Line Monitor", "ALSA", most, self._rates[0], False),
        ]

    def supports(self, device: Device, rate: int, channels: int) -> bool:
        return rate in self._rates and channels in self._channels

    def open(self, device: Device, rate: int, channels: int, on_block: OnBlock) -> FakeStream:
        self.opened = (device.name, rate, channels)
        self.on_block = on_block
        return self.stream

    def give(self, pcm: Pcm, *, overflow: bool = False) -> None:
        """100 ms at a time, interleaved."""
        assert self.opened is not None
        size = self.opened[1] // 10
        for at in range(0, len(pcm), size):
            self.on_block(np.ascontiguousarray(pcm[at : at + size]).tobytes(), overflow)


Fake = Callable[[FakeBackend], FakeBackend]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    def use(backend: FakeBackend) -> FakeBackend:
        monkeypatch.setattr(devices, "load_backend", lambda name: backend)
        return backend

    return use


def heard_until_lost(source: devices.DeviceSource) -> tuple[dict[Leg, Pcm], list[float], str]:
    """All audio by leg, the start of each block, and the error at the end."""
    blocks = []
    with pytest.raises(DeviceError) as caught:
        for block in source.blocks():
            blocks.append(block)
    pcm = {leg: np.concatenate([b[leg].pcm for b in blocks]) for leg in source.legs}
    return pcm, [b[source.legs[0]].start for b in blocks], str(caught.value)


def test_default_device_at_the_rate_asked_for(fake: Fake) -> None:
    backend = fake(FakeBackend((44100, 16000)))
    with devices.open_device(rate=16000) as source:
        assert isinstance(source, AudioSource)
        assert backend.opened == ("Line In", 16000, 1)
        assert (source.name, source.rate, source.legs) == ("Line In", 16000, (Leg.CALLER,))
        tone = signals.tone(1, 440, rate=16000)
        backend.give(tone)
        backend.stream.active = False
        pcm, starts, error = heard_until_lost(source)
    np.testing.assert_array_equal(pcm[Leg.CALLER], tone)
    assert np.allclose(starts, np.arange(10) / 10)
    assert error.startswith("Line In: stopped giving audio")
    assert backend.stream.closed


def test_device_with_another_rate_and_only_stereo_is_resampled_and_averaged(fake: Fake) -> None:
    backend = fake(FakeBackend((44100,), channels=(2,)))
    with devices.open_device("headset", rate=16000) as source:
        assert backend.opened == ("USB Headset", 44100, 2)
        tone = signals.tone(1, 440, rate=44100)
        backend.give(np.stack((tone, np.zeros_like(tone)), axis=1))
        backend.stream.active = False
        pcm, _, _ = heard_until_lost(source)
    expected = resample(tone // 2, 44100, 16000)
    assert len(pcm[Leg.CALLER]) == 16000
    assert np.abs(pcm[Leg.CALLER] - expected).max() <= 2


def test_two_channels_as_two_legs(fake: Fake) -> None:
    backend = fake(FakeBackend((8000,), channels=(1, 2)))
    with devices.open_device(rate=8000, legs=(Leg.AGENT, Leg.CALLER)) as source:
        left, right = signals.tone(0.5, 300), signals.tone(0.5, 500)
        backend.give(np.stack((left, right), axis=1))
        backend.stream.active = False
        pcm, _, _ = heard_until_lost(source)
    np.testing.assert_array_equal(pcm[Leg.AGENT], left)
    np.testing.assert_array_equal(pcm[Leg.CALLER], right)


def test_slow_reader_drops_counts_and_jumps(fake: Fake) -> None:
    backend = fake(FakeBackend((8000,)))
    with devices.open_device(rate=8000, queue_seconds=1.0) as source:
        ramp = np.arange(16000, dtype=np.int16)
        backend.give(ramp)  # 2 s, of which 1 s fits
        blocks = source.blocks()
        first = [next(blocks)[Leg.CALLER] for _ in range(5)]
        backend.give(ramp[:800])
        backend.stream.active = False
        rest = []
        with pytest.raises(DeviceError):
            for block in blocks:
                rest.append(block[Leg.CALLER])
        frames = first + rest
        assert source.dropped_seconds == pytest.approx(1.0)
        assert any("1.0 s of audio dropped" in w for w in source.warnings)
    assert [round(f.start, 3) for f in frames] == [*np.arange(10) / 10, 2.0]
    assert int(frames[9].pcm[0]) == 7200


def test_driver_overflow_is_told(fake: Fake) -> None:
    backend = fake(FakeBackend((8000,)))
    with devices.open_device(rate=8000) as source:
        backend.give(signals.tone(0.1, 300), overflow=True)
        next(source.blocks())
        assert any("lost audio 1 times" in w for w in source.warnings)


def test_muted_microphone_is_told(fake: Fake) -> None:
    backend = fake(FakeBackend((8000,)))
    with devices.open_device(rate=8000) as source:
        backend.give(signals.silence(6))
        blocks = source.blocks()
        for _ in range(55):
            next(blocks)
        assert any("silence" in w for w in source.warnings)


def test_no_audio_means_lost(fake: Fake) -> None:
    fake(FakeBackend((8000,)))
    with (
        devices.open_device(rate=8000, lost_seconds=0.3) as source,
        pytest.raises(DeviceError, match=r"Line In: gave no audio for 0\.3 s"),
    ):
        next(source.blocks())


def test_close_from_another_thread_ends_the_blocks(fake: Fake) -> None:
    fake(FakeBackend((8000,)))
    source = devices.open_device(rate=8000, lost_seconds=30)
    timer = threading.Timer(0.2, source.close)
    timer.start()
    assert list(source.blocks()) == []
    timer.join()
    source.close()


def test_driver_that_hangs_on_close_is_left_behind(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "_CLOSE_SECONDS", 0.1)
    backend = fake(FakeBackend((8000,)))
    backend.stream.hang = 0.5
    devices.open_device(rate=8000).close()
    assert backend.stream.abandoned


@pytest.mark.parametrize(
    ("wanted", "name"),
    [("line in", "Line In"), ("3", "Line In"), (5, "Line Monitor"), ("monitor", "Line Monitor")],
)
def test_finds_a_device(fake: Fake, wanted: str | int, name: str) -> None:
    fake(FakeBackend((8000,)))
    with devices.open_device(wanted, rate=8000) as source:
        assert source.name == name


@pytest.mark.parametrize(
    ("wanted", "what"),
    [("line", "several"), ("phone", "no such sound device"), (1, "no such sound device")],
)
def test_a_device_that_is_not_there(fake: Fake, wanted: str | int, what: str) -> None:
    fake(FakeBackend((8000,)))
    with pytest.raises(DeviceError, match=what) as caught:
        devices.open_device(wanted, rate=8000)
    assert "'USB Headset'" in str(caught.value)


def test_devices_that_cannot(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(FakeBackend((96001,)))
    monkeypatch.setattr(FakeBackend, "supports", lambda *args: False)
    with pytest.raises(DeviceError, match="records neither at 8000"):
        devices.open_device(rate=8000)
    with pytest.raises(DeviceError, match="no rate of a leg"):
        devices.open_device(rate=44100)
    with pytest.raises(DeviceError, match="records 1 channels"):
        devices.open_device(rate=8000, legs=(Leg.CALLER, Leg.AGENT))
    monkeypatch.setattr(FakeBackend, "devices", lambda self: [])
    with pytest.raises(DeviceError, match="no sound device"):
        devices.open_device(rate=8000)


# ------------------------------------------------- what is not installed


def test_missing_portaudio_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        if name == "pyaudio":
            raise ImportError("No module named 'pyaudio'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DeviceError, match="apt-get install libportaudio2"):
        devices.list_devices()
    with pytest.raises(DeviceError, match=r"pip install 'voicebot\[pyaudio\]'"):
        devices.list_devices("pyaudio")
    with pytest.raises(DeviceError, match="sounddevice or pyaudio"):
        devices.list_devices("oss")


# ------------------------------------------------- a real PulseAudio daemon


@pytest.fixture
def pulse(tmp_path: Path) -> Iterator[Pulse]:
    if why := pulse_daemon.missing():
        pytest.skip(why)
    daemon = Pulse.start(tmp_path)
    yield daemon
    daemon.stop()


class Recorder:
    def __init__(self, pulse: Pulse, *args: object) -> None:
        self.out = pulse.folder / "heard.npy"
        words = [str(arg) for arg in (*args[:3], self.out, *args[3:])]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.audio.recorder", *words],
            env=pulse.env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def wait_for(self, state: str) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                said: dict[str, Any] = json.loads(line)
                if said.get("state") == state:
                    return said
        raise AssertionError(f"the recorder ended with {self.process.wait()} before {state}")

    def end(self) -> tuple[dict[str, Any], Pcm]:
        said = self.wait_for("ended")
        assert self.process.wait(10) == 0
        heard: Pcm = np.load(self.out)
        return said, heard


def correlation(heard: Pcm, rate: int, played: Pcm) -> float:
    """Best normalised correlation of ``played`` with a stretch of ``heard``.

    At 48 kHz, because the sound server shifts by fractions of a sample.
    """
    a = resample(heard, rate, 48000).astype(np.float64)
    b = resample(played, signals.RATE, 48000).astype(np.float64)
    size = len(a) + len(b)
    cross = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)), size)
    at = int(np.argmax(cross[: len(a) - len(b) + 1]))
    return float(np.corrcoef(a[at : at + len(b)], b)[0, 1])


@pytest.mark.parametrize(("backend", "rate"), [("sounddevice", 8000), ("pyaudio", 16000)])
def test_hears_what_is_played(pulse: Pulse, backend: str, rate: int) -> None:
    if backend == "pyaudio":
        pytest.importorskip("pyaudio")
    played = signals.speech()[: 2 * signals.RATE]
    # A null sink swallows a quarter of a second when somebody begins to play.
    line = np.concatenate((signals.silence(0.5), played))
    soundfile.write(pulse.folder / "line.wav", line, signals.RATE)
    recorder = Recorder(pulse, backend, rate, 4.0)
    recorder.wait_for("hearing")
    player = pulse.play(pulse.folder / "line.wav")
    said, heard = recorder.end()
    player.wait()
    assert said["reason"] == "end"
    assert said["warnings"] == []
    assert np.allclose(np.diff(said["starts"]), 0.1)  # the clock ticks evenly
    assert correlation(heard, rate, played) > 0.99


@pytest.mark.parametrize("backend", ["sounddevice", "pyaudio"])
def test_unplugged(pulse: Pulse, backend: str) -> None:
    if backend == "pyaudio":
        pytest.importorskip("pyaudio")
    recorder = Recorder(pulse, backend, 8000, 60)
    recorder.wait_for("hearing")
    pulse.kill()
    began = time.monotonic()
    said, _ = recorder.end()
    assert time.monotonic() - began < 5
    assert "default" in said["reason"] and "unplugged" in said["reason"]


@pytest.mark.parametrize("backend", ["sounddevice", "pyaudio"])
def test_driver_that_hangs(pulse: Pulse, backend: str) -> None:
    if backend == "pyaudio":
        pytest.importorskip("pyaudio")
    recorder = Recorder(pulse, backend, 8000, 60, "lost=2.5")
    recorder.wait_for("hearing")
    pulse.pause()
    began = time.monotonic()
    said, _ = recorder.end()
    assert time.monotonic() - began < 10
    assert "no audio for 2.5 s" in said["reason"]
