"""PortAudio by two Python bindings, sounddevice and PyAudio, behind one face.

Both are imported only when asked for: they load a system library that a
server without sound does not have.
"""

from __future__ import annotations

import atexit
import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from voicebot.errors import DeviceError

BLOCK_SECONDS: Final = 0.1
"""s of audio in one callback"""

OnBlock = Callable[[bytes, bool], None]
"""Called from PortAudio's thread with interleaved int16, and whether the driver lost audio."""


class BackendName(StrEnum):
    """Which binding of PortAudio."""

    SOUNDDEVICE = "sounddevice"
    PYAUDIO = "pyaudio"


@dataclass(frozen=True, slots=True)
class Device:
    """A sound device that can record."""

    index: int
    name: str
    host_api: str
    """ALSA, Core Audio, ..."""
    channels: int
    """most that it can record"""
    rate: int
    """Hz, its own"""
    default: bool
    """True for the one that is used when none is named"""


class Stream(Protocol):
    """A recording that runs."""

    @property
    def active(self) -> bool:
        """False once the driver has given up."""
        ...

    def close(self) -> None:
        """Stop and let go.  May hang where the driver does."""
        ...

    def abandon(self) -> None:
        """After a :meth:`close` that hangs: do not let the end of the program hang too."""
        ...


class Backend(Protocol):
    """One binding."""

    def devices(self) -> list[Device]:
        """All devices that can record."""
        ...

    def supports(self, device: Device, rate: int, channels: int) -> bool:
        """Whether the device records int16 like that."""
        ...

    def open(self, device: Device, rate: int, channels: int, on_block: OnBlock) -> Stream:
        """Start to record.

        Raises:
            DeviceError: busy, gone, not allowed.
        """
        ...


def load_backend(name: BackendName | str) -> Backend:
    """Load a binding.

    Raises:
        DeviceError: it or the PortAudio library is not installed, or the name is unknown.
    """
    try:
        known = BackendName(name)
    except ValueError:
        raise DeviceError(
            f"unknown sound backend {name!r}", "take " + " or ".join(BackendName)
        ) from None
    return SoundDeviceBackend() if known is BackendName.SOUNDDEVICE else PyAudioBackend()


class SoundDeviceBackend:
    """The default: ``sounddevice``."""

    def __init__(self) -> None:
        try:
            import sounddevice
        except OSError as err:
            raise DeviceError(
                f"sound devices need the PortAudio library: {err}",
                "apt-get install libportaudio2",
            ) from err
        except ImportError as err:
            raise DeviceError(
                f"the sounddevice package is missing: {err}", "pip install sounddevice"
            ) from err
        self._sd: Any = sounddevice

    def devices(self) -> list[Device]:
        """See :meth:`Backend.devices`."""
        apis = self._sd.query_hostapis()
        default = self._sd.default.device[0]
        return [
            Device(
                info["index"],
                info["name"],
                apis[info["hostapi"]]["name"],
                info["max_input_channels"],
                round(info["default_samplerate"]),
                info["index"] == default,
            )
            for info in self._sd.query_devices()
            if info["max_input_channels"] > 0
        ]

    def supports(self, device: Device, rate: int, channels: int) -> bool:
        """See :meth:`Backend.supports`."""
        try:
            self._sd.check_input_settings(device.index, channels, "int16", samplerate=rate)
        except (self._sd.PortAudioError, ValueError):
            return False
        return True

    def open(self, device: Device, rate: int, channels: int, on_block: OnBlock) -> Stream:
        """See :meth:`Backend.open`."""

        def callback(data: Any, frames: int, time: Any, status: Any) -> None:
            on_block(bytes(data), bool(status.input_overflow))

        try:
            stream = self._sd.RawInputStream(
                samplerate=rate,
                blocksize=round(rate * BLOCK_SECONDS),
                device=device.index,
                channels=channels,
                dtype="int16",
                callback=callback,
            )
            stream.start()
        except self._sd.PortAudioError as err:
            raise _cannot_open(device, err) from err
        return _SoundDeviceStream(self._sd, stream)


class _SoundDeviceStream:
    def __init__(self, module: Any, stream: Any) -> None:
        self._sd = module
        self._stream = stream

    @property
    def active(self) -> bool:
        return bool(self._stream.active)

    def close(self) -> None:
        self._stream.abort(ignore_errors=True)
        self._stream.close(ignore_errors=True)

    def abandon(self) -> None:
        # It ends PortAudio at exit, which waits for the stream that hangs.
        if handler := getattr(self._sd, "_exit_handler", None):
            atexit.unregister(handler)


class PyAudioBackend:
    """The second: ``PyAudio``."""

    def __init__(self) -> None:
        try:
            import pyaudio
        except ImportError as err:
            raise DeviceError(
                f"the PyAudio backend is not installed: {err}",
                "apt-get install portaudio19-dev gcc, then pip install 'voicebot[pyaudio]'",
            ) from err
        self._pyaudio: Any = pyaudio
        with _quiet_stderr():
            self._pa: Any = pyaudio.PyAudio()

    def devices(self) -> list[Device]:
        """See :meth:`Backend.devices`."""
        try:
            default = self._pa.get_default_input_device_info()["index"]
        except OSError:
            default = -1
        infos = [self._pa.get_device_info_by_index(i) for i in range(self._pa.get_device_count())]
        return [
            Device(
                info["index"],
                str(info["name"]),
                str(self._pa.get_host_api_info_by_index(info["hostApi"])["name"]),
                int(info["maxInputChannels"]),
                round(info["defaultSampleRate"]),
                info["index"] == default,
            )
            for info in infos
            if info["maxInputChannels"] > 0
        ]

    def supports(self, device: Device, rate: int, channels: int) -> bool:
        """See :meth:`Backend.supports`."""
        try:
            return bool(
                self._pa.is_format_supported(
                    rate,
                    input_device=device.index,
                    input_channels=channels,
                    input_format=self._pyaudio.paInt16,
                )
            )
        except ValueError:
            return False

    def open(self, device: Device, rate: int, channels: int, on_block: OnBlock) -> Stream:
        """See :meth:`Backend.open`."""
        module = self._pyaudio

        def callback(data: bytes, frames: int, time: Any, status: int) -> tuple[None, int]:
            on_block(data, bool(status & module.paInputOverflow))
            return None, module.paContinue

        try:
            stream = self._pa.open(
                rate=rate,
                channels=channels,
                format=module.paInt16,
                input=True,
                input_device_index=device.index,
                frames_per_buffer=round(rate * BLOCK_SECONDS),
                stream_callback=callback,
            )
        except (OSError, ValueError) as err:
            raise _cannot_open(device, err) from err
        return _PyAudioStream(self._pa, stream)


class _PyAudioStream:
    def __init__(self, pa: Any, stream: Any) -> None:
        self._pa = pa
        self._stream = stream

    @property
    def active(self) -> bool:
        try:
            return bool(self._stream.is_active())
        except OSError:
            return False

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.close()
        self._pa.terminate()

    def abandon(self) -> None:
        pass  # PyAudio does nothing at exit


def _cannot_open(device: Device, err: Exception) -> DeviceError:
    return DeviceError(
        f"{device.name}: cannot record from it: {err}",
        "is it plugged in, free, and allowed for this user (group audio)?",
    )


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Keep ALSA from printing a page about every plugin that it cannot find."""
    kept = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(null)
        os.close(kept)
