"""Hearing a call while it is labelled, through sounddevice where there is sound."""

from __future__ import annotations

import threading
from typing import Any, Final, Protocol

import numpy as np

from voicebot.closing import Closing
from voicebot.errors import DeviceError
from voicebot.labelling.calls import CallAudio

_BLOCK_SECONDS: Final = 0.05
_MEND: Final = "plug in headphones, or label on the page (--page): the browser plays there"


class Player(Protocol):
    """What plays a call.  Not playing at first."""

    @property
    def playing(self) -> bool:
        """Whether sound is coming out."""
        ...

    @property
    def position(self) -> float:
        """s, audio clock; what plays now, or where it stopped."""
        ...

    def play(self, start: float) -> None:
        """Play from a time in seconds to the end of the call."""
        ...

    def stop(self) -> None:
        """Fall silent; :attr:`position` stays."""
        ...

    def close(self) -> None:
        """Let go of the device."""
        ...


class DevicePlayer(Closing):
    """Plays all legs of a call, mixed, on the default output.

    Args:
        audio: The call.

    Raises:
        DeviceError: there is no sound on this machine.
    """

    def __init__(self, audio: CallAudio) -> None:
        mixed = sum(pcm.astype(np.int32) for pcm in audio.legs.values())
        self._pcm = np.clip(mixed, -32768, 32767).astype(np.int16)
        self._rate = audio.rate
        self._at = 0
        self._playing = False
        self._lock = threading.Lock()
        try:
            import sounddevice

            self._stream: Any = sounddevice.RawOutputStream(
                samplerate=audio.rate, channels=1, dtype="int16",
                blocksize=round(audio.rate * _BLOCK_SECONDS), callback=self._fill,
            )  # fmt: skip
            self._stream.start()
        except (ImportError, OSError) as err:
            raise DeviceError(f"no sound: {err}", _MEND) from None
        except Exception as err:  # sounddevice's own error derives from Exception alone
            raise DeviceError(f"no sound: {err}", _MEND) from None

    def _fill(self, out: Any, frames: int, time: Any, status: Any) -> None:
        """Called from PortAudio's thread for the next block."""
        with self._lock:
            piece = self._pcm[self._at : self._at + frames] if self._playing else self._pcm[:0]
            self._at += len(piece)
            if self._at >= len(self._pcm):
                self._playing = False
        out[:] = piece.tobytes() + b"\0\0" * (frames - len(piece))

    @property
    def playing(self) -> bool:
        """See :attr:`Player.playing`."""
        return self._playing

    @property
    def position(self) -> float:
        """See :attr:`Player.position`; ahead of the ear by the device's latency, some 50 ms."""
        return self._at / self._rate

    def play(self, start: float) -> None:
        """See :meth:`Player.play`."""
        with self._lock:
            self._at = min(len(self._pcm), max(0, round(start * self._rate)))
            self._playing = self._at < len(self._pcm)

    def stop(self) -> None:
        """See :meth:`Player.stop`."""
        with self._lock:
            self._playing = False

    def close(self) -> None:
        """See :meth:`Player.close`."""
        self.stop()
        self._stream.close()
