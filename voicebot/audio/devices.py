"""A sound device as a source: a microphone, a line input, the monitor of a sound server."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Final, Literal

import numpy as np
import structlog

from voicebot.audio import pcm
from voicebot.audio.backends import Backend, BackendName, Device, load_backend
from voicebot.audio.diagnostics import Inspector
from voicebot.audio.source import WIDE, assign_legs, cut_blocks, leg_rate
from voicebot.closing import Closing
from voicebot.errors import DeviceError
from voicebot.events import Frame, Leg
from voicebot.params import Params, key

_POLL_SECONDS: Final = 0.25
"""s between looks at whether the device is still alive"""
_CLOSE_SECONDS: Final = 2.0
"""s that a driver may take to let go, before it is left behind"""
_SILENT_SECONDS: Final = 5.0
"""s of audio after which a device that gives nothing is worth a warning"""

_log = structlog.get_logger()


class DeviceParams(Params):
    """Which sound device is listened to, and when it counts as lost."""

    device: str | int | None = key(
        None, "Name (or a part of it) or index as in `voicebot devices`; by default the system's."
    )
    rate: Literal[8000, 16000] = key(
        WIDE,
        "Rate asked of the device: 16000, or 8000 for a telephone line. A device that cannot is"
        " opened at its own rate and resampled.",
        unit="Hz",
    )
    backend: BackendName = key(
        BackendName.SOUNDDEVICE, "Binding of PortAudio: sounddevice, or pyaudio (an extra)."
    )
    lost_seconds: float = key(
        5.0, "No audio for this long means that the device is lost.", unit="s", gt=0.0, le=60.0
    )
    queue_seconds: float = key(
        10.0,
        "Audio that may wait while the machine is busy; what comes beyond is dropped and counted.",
        unit="s",
        ge=1.0,
        le=120.0,
    )


def list_devices(backend: BackendName | str = BackendName.SOUNDDEVICE) -> list[Device]:
    """All devices that can record.

    Raises:
        DeviceError: the backend or the PortAudio library is not installed.
    """
    return load_backend(backend).devices()


def open_device(
    device: str | int | None = None,
    *,
    rate: int = WIDE,
    backend: BackendName | str = BackendName.SOUNDDEVICE,
    lost_seconds: float = 5.0,
    queue_seconds: float = 10.0,
    legs: Sequence[Leg | None] | None = None,
) -> DeviceSource:
    """Start to record from a sound device.

    Args:
        device: Name, a part of it that only one has, or index; None for the default.
        rate: Hz inside the leg, 8000 or 16000.
        backend: Binding of PortAudio.
        lost_seconds: s without audio after which the device counts as lost.
        queue_seconds: s of audio that may wait for the reader.
        legs: One leg a channel, None for a channel to leave out; by default one
            channel, the caller.

    Raises:
        DeviceError: no such device, or it cannot be opened.
    """
    if rate != leg_rate(rate):
        raise DeviceError(f"{rate} Hz is no rate of a leg", "ask for 8000 or 16000")
    bound = load_backend(backend)
    chosen = _find(bound.devices(), device)
    native, channels = _settings(bound, chosen, rate, len(legs) if legs else None)
    return DeviceSource(
        bound, chosen, rate=rate, native_rate=native, channels=channels, legs=legs,
        lost_seconds=lost_seconds, queue_seconds=queue_seconds,
    )  # fmt: skip


class DeviceSource(Closing):
    """A sound device as an :class:`~voicebot.audio.source.AudioSource`.

    Opened by :func:`open_device`.  PortAudio's thread puts blocks into a bounded
    queue and never waits; where the reader is too slow, blocks are dropped and
    counted, and the audio clock jumps over the hole.
    """

    def __init__(
        self,
        backend: Backend,
        device: Device,
        *,
        rate: int,
        native_rate: int,
        channels: int,
        legs: Sequence[Leg | None] | None,
        lost_seconds: float,
        queue_seconds: float,
    ) -> None:
        self.name = device.name
        self.rate = rate
        self.seconds: float | None = None
        assigned = ((0, Leg.CALLER),) if legs is None else assign_legs(self.name, channels, legs)
        self.legs = tuple(leg for _, leg in assigned)
        self.overflows = 0
        """times the driver lost audio of unknown length"""
        self.dropped_seconds = 0.0
        """s of audio dropped because the reader was too slow"""
        self._columns = None if legs is None else [column for column, _ in assigned]
        self._native = native_rate
        self._channels = channels
        self._lost_seconds = lost_seconds
        self._inspector = Inspector(self.name, self.legs)
        self._heard = 0.0
        self._captured = 0  # samples, dropped ones included; PortAudio's thread only
        self._queue: queue.Queue[tuple[int, bytes]] = queue.Queue(
            max(2, round(queue_seconds / 0.1))
        )
        self._head: tuple[int, bytes] | None = None  # read, but behind a hole
        self._failure: DeviceError | None = None
        self._closed = threading.Event()
        self._stream = backend.open(device, native_rate, channels, self._on_block)
        _log.info("device_opened", device=self.name, rate=rate, native_rate=native_rate)

    def _on_block(self, data: bytes, overflow: bool) -> None:
        """Take one block from PortAudio's thread; must not wait."""
        at = self._captured
        self._captured += len(data) // (2 * self._channels)
        self.overflows += overflow
        try:
            self._queue.put_nowait((at, data))
        except queue.Full:
            self.dropped_seconds += (self._captured - at) / self._native

    @property
    def warnings(self) -> list[str]:
        """What is odd so far, a sentence each."""
        found = []
        if self.overflows:
            found.append(
                f"{self.name}: the driver lost audio {self.overflows} times (the machine is too"
                " busy, or another program holds the device)"
            )
        if self.dropped_seconds:
            found.append(
                f"{self.name}: {self.dropped_seconds:.1f} s of audio dropped, the pipeline is"
                " slower than the audio (a smaller model, or fewer calls)"
            )
        return found + (self._inspector.findings() if self._heard >= _SILENT_SECONDS else [])

    def blocks(self) -> Iterator[dict[Leg, Frame]]:
        """See :meth:`voicebot.audio.source.AudioSource.blocks`."""
        self._head = self._next()
        while self._head is not None:
            start = round(self._head[0] * self.rate / self._native)
            yield from cut_blocks(self._stretch(), self.legs, self.rate, start=start)
        if self._failure is not None:
            raise self._failure

    def _stretch(self) -> Iterator[np.ndarray]:
        """Audio without a hole, resampled; leaves what comes after a hole in ``_head``."""
        resampler = pcm.StreamResampler(self._native, self.rate, len(self.legs))
        assert self._head is not None
        expected = self._head[0]
        while self._head is not None and self._head[0] == expected:
            samples = np.frombuffer(self._head[1], np.int16).reshape(-1, self._channels)
            expected += len(samples)
            self._heard += len(samples) / self._native
            floats = pcm.to_float(samples)
            if self._columns is not None:
                floats = floats[:, self._columns]
            elif self._channels > 1:
                floats = floats.mean(axis=1, keepdims=True)
            yield pcm.to_int16(resampler.push(self._inspector.clean(floats)))
            self._head = self._next()
        if self._head is not None:
            missing = (self._head[0] - expected) / self._native
            _log.warning("device_audio_dropped", device=self.name, seconds=round(missing, 3))
        yield pcm.to_int16(resampler.push(np.empty((0, len(self.legs)), np.float32), last=True))

    def _next(self) -> tuple[int, bytes] | None:
        """The next block, or None once closed or lost (then ``_failure`` says why)."""
        deadline = time.monotonic() + self._lost_seconds
        reported = self.overflows
        while not self._closed.is_set():
            try:
                block = self._queue.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                # What the driver gave before it gave up has been read by now.
                if self._closed.is_set():
                    break
                if not self._stream.active:
                    self._lost("stopped giving audio; was it unplugged?")
                    break
                if time.monotonic() > deadline:
                    self._lost(f"gave no audio for {self._lost_seconds:g} s")
                    break
            else:
                if self.overflows > reported:
                    _log.warning("device_overflow", device=self.name, total=self.overflows)
                return block
        return None

    def _lost(self, why: str) -> None:
        """Remember the failure; it is raised when all audio before it was handed on."""
        _log.error("device_lost", device=self.name, why=why, heard_seconds=round(self._heard, 1))
        self._failure = DeviceError(
            f"{self.name}: {why}", "plug it in again, see `voicebot devices`"
        )

    def close(self) -> None:
        """Stop recording; :meth:`blocks` ends.  A driver that hangs is left behind."""
        if self._closed.is_set():
            return
        self._closed.set()
        closer = threading.Thread(target=self._stream.close, daemon=True, name="device-close")
        closer.start()
        closer.join(_CLOSE_SECONDS)
        if closer.is_alive():
            _log.error("device_close_hangs", device=self.name)
            self._stream.abandon()


def _find(devices: list[Device], wanted: str | int | None) -> Device:
    """The device that is meant."""
    if not devices:
        raise DeviceError(
            "no sound device to record from",
            "plug one in, or start the sound server; in a container pass the device in",
        )
    names = ", ".join(f"{d.index} {d.name!r}" for d in devices)
    if wanted is None:
        return next((d for d in devices if d.default), devices[0])
    if isinstance(wanted, int) or (wanted.isascii() and wanted.isdigit()):
        matches = [d for d in devices if d.index == int(wanted)]
    else:
        low = wanted.lower()
        matches = [d for d in devices if d.name.lower() == low] or [
            d for d in devices if low in d.name.lower()
        ]
    if not matches:
        raise DeviceError(f"{wanted}: no such sound device to record from", f"there are: {names}")
    if len(matches) > 1:
        raise DeviceError(f"{wanted}: several sound devices are called so", f"there are: {names}")
    return matches[0]


def _settings(backend: Backend, device: Device, rate: int, channels: int | None) -> tuple[int, int]:
    """Rate and channels to open a device with: as wanted, else as near as it goes."""
    if channels is not None and channels > device.channels:
        raise DeviceError(
            f"{device.name}: records {device.channels} channels, --legs names {channels}",
            "name as many legs as there are channels",
        )
    for count in [channels] if channels is not None else sorted({1, min(2, device.channels)}):
        for candidate in dict.fromkeys((rate, device.rate, 48000, 44100)):
            if backend.supports(device, candidate, count):
                return candidate, count
    raise DeviceError(
        f"{device.name}: records neither at {rate} Hz nor at its own {device.rate} Hz",
        "is it plugged in and free? see `voicebot devices`",
    )
