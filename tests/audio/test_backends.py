"""The two bindings against modules of our own; test_devices.py runs the real ones."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests import pulse as pulse_daemon
from tests.pulse import Pulse
from voicebot.audio.backends import Backend, Device, load_backend
from voicebot.errors import DeviceError

HEADSET = Device(2, "USB Headset", "ALSA", 1, 48000, True)


class PortAudioError(Exception):
    pass


class Driver:
    """What happened to the one stream of a fake module."""

    def __init__(self) -> None:
        self.busy = False
        self.log: list[str] = []
        self.callback: Callable[..., Any] = lambda *args: None
        self.asked: dict[str, Any] = {}


def fake_sounddevice(driver: Driver) -> Any:
    module: Any = ModuleType("sounddevice")

    class RawInputStream:
        active = True

        def __init__(self, **asked: Any) -> None:
            driver.asked, driver.callback = asked, asked["callback"]

        def start(self) -> None:
            if driver.busy:
                raise PortAudioError("Device unavailable [PaErrorCode -9985]")

        def abort(self, ignore_errors: bool) -> None:
            driver.log.append("abort")

        def close(self, ignore_errors: bool) -> None:
            driver.log.append("close")

    def check_input_settings(device: int, channels: int, dtype: str, samplerate: int) -> None:
        if (device, channels, dtype, samplerate) != (2, 1, "int16", 48000):
            raise PortAudioError("Invalid sample rate [PaErrorCode -9997]")

    def entry(index: int, name: str, channels: int) -> dict[str, Any]:
        return {"index": index, "name": name, "hostapi": 0, "max_input_channels": channels,
                "default_samplerate": 48000.0}  # fmt: skip

    module.PortAudioError = PortAudioError
    module.RawInputStream = RawInputStream
    module.check_input_settings = check_input_settings
    module.query_hostapis = lambda: ({"name": "ALSA"},)
    module.query_devices = lambda: [entry(0, "Speakers", 0), entry(2, "USB Headset", 1)]
    module.default = SimpleNamespace(device=[2, 0])
    return module


def fake_pyaudio(driver: Driver) -> Any:
    module: Any = ModuleType("pyaudio")

    class Stream:
        def is_active(self) -> bool:
            if driver.busy:
                raise OSError("Stream not open")
            return True

        def close(self) -> None:
            driver.log.append("close")
            if driver.busy:
                raise OSError("Stream not open")

    class PyAudio:
        def get_default_input_device_info(self) -> dict[str, Any]:
            if driver.busy:
                raise OSError("No Default Input Device Available")
            return {"index": 2}

        def get_device_count(self) -> int:
            return 2

        def get_device_info_by_index(self, index: int) -> dict[str, Any]:
            name, channels = (("Speakers", 0), ("USB Headset", 1))[index]
            return {"index": 2 * index, "name": name, "hostApi": 0, "maxInputChannels": channels,
                    "defaultSampleRate": 48000.0}  # fmt: skip

        def get_host_api_info_by_index(self, index: int) -> dict[str, Any]:
            return {"name": "ALSA"}

        def is_format_supported(self, rate: int, **asked: Any) -> bool:
            if rate != 48000 or asked["input_channels"] != 1:
                raise ValueError("Invalid sample rate")
            return True

        def open(self, **asked: Any) -> Stream:
            driver.asked = asked | {
                "samplerate": asked["rate"],
                "device": asked["input_device_index"],
            }
            driver.callback = asked["stream_callback"]
            if driver.busy:
                raise OSError("[Errno -9985] Device unavailable")
            return Stream()

        def terminate(self) -> None:
            driver.log.append("terminate")

    module.PyAudio = PyAudio
    module.paInt16, module.paInputOverflow, module.paContinue = 8, 2, 0
    return module


@pytest.fixture
def driver() -> Driver:
    return Driver()


@pytest.fixture(params=["sounddevice", "pyaudio"])
def backend(
    request: pytest.FixtureRequest, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> Backend:
    name: str = request.param
    make = fake_sounddevice if name == "sounddevice" else fake_pyaudio
    monkeypatch.setitem(sys.modules, name, make(driver))
    return load_backend(name)


def test_lists_what_can_record(backend: Backend) -> None:
    assert backend.devices() == [HEADSET]


def test_knows_what_a_device_supports(backend: Backend) -> None:
    assert backend.supports(HEADSET, 48000, 1)
    assert not backend.supports(HEADSET, 16000, 1)
    assert not backend.supports(HEADSET, 48000, 2)


def test_records_and_reports_overflow(backend: Backend, driver: Driver) -> None:
    heard: list[tuple[bytes, bool]] = []
    stream = backend.open(HEADSET, 48000, 1, lambda data, lost: heard.append((data, lost)))
    assert stream.active
    assert (driver.asked["samplerate"], driver.asked["device"], driver.asked["channels"]) == (
        48000, 2, 1,
    )  # fmt: skip
    if "dtype" in driver.asked:
        assert driver.asked["blocksize"] == 4800
        driver.callback(memoryview(b"1234"), 2, None, SimpleNamespace(input_overflow=False))
        driver.callback(memoryview(b"5678"), 2, None, SimpleNamespace(input_overflow=True))
    else:
        assert driver.asked["frames_per_buffer"] == 4800
        assert driver.callback(b"1234", 2, None, 0) == (None, 0)
        assert driver.callback(b"5678", 2, None, 2) == (None, 0)
    assert heard == [(b"1234", False), (b"5678", True)]
    stream.close()
    assert "close" in driver.log
    stream.abandon()


def test_busy_device_is_named(backend: Backend, driver: Driver) -> None:
    driver.busy = True
    with pytest.raises(DeviceError, match="USB Headset: cannot record from it.*unavailable"):
        backend.open(HEADSET, 48000, 1, lambda data, lost: None)


def test_pyaudio_stream_that_died(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyaudio", fake_pyaudio(driver))
    backend = load_backend("pyaudio")
    stream = backend.open(HEADSET, 48000, 1, lambda data, lost: None)
    driver.busy = True
    assert not stream.active
    stream.close()
    assert driver.log == ["close", "terminate"]
    assert [device.default for device in backend.devices()] == [False]


# ------------------------------------------------- the real ones


LIST = """
import dataclasses, json, sys
from voicebot.audio.devices import list_devices, open_device
from voicebot.errors import DeviceError
try:
    devices = [dataclasses.asdict(d) for d in list_devices(sys.argv[1])]
    if not devices:
        open_device(backend=sys.argv[1])
    print(json.dumps(devices))
except DeviceError as err:
    print(json.dumps(str(err)))
"""


def listed(backend: str, env: dict[str, str]) -> Any:
    if backend == "pyaudio":
        pytest.importorskip("pyaudio")
    done = subprocess.run(
        [sys.executable, "-c", LIST, backend], env=env, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""  # ALSA's chatter is kept away
    return json.loads(done.stdout)


@pytest.fixture
def pulse(tmp_path: Path) -> Iterator[Pulse]:
    if why := pulse_daemon.missing():
        pytest.skip(why)
    daemon = Pulse.start(tmp_path)
    yield daemon
    daemon.stop()


@pytest.mark.parametrize("backend", ["sounddevice", "pyaudio"])
def test_lists_the_line_of_a_sound_server(pulse: Pulse, backend: str) -> None:
    devices = {device["name"]: device for device in listed(backend, pulse.env)}
    assert devices["default"]["default"] is True
    assert devices["default"]["host_api"] == "ALSA"
    assert devices["default"]["channels"] >= 1


@pytest.mark.parametrize("backend", ["sounddevice", "pyaudio"])
def test_no_device_at_all(pulse: Pulse, backend: str) -> None:
    pulse.kill()
    said = listed(backend, pulse.env)
    if isinstance(said, list):  # a machine with a sound card of its own
        assert "default" not in {device["name"] for device in said}
    else:
        assert "no sound device to record from" in said
