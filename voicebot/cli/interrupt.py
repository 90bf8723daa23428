"""Ctrl-C and SIGTERM, taken only where a call can be closed cleanly."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self


class Interrupt:
    """Turns signals into a request to stop between two blocks of audio.

    While the call is at work the signal is only noted; while it waits for audio
    (:meth:`waiting`) it raises :class:`KeyboardInterrupt` at once, because a
    silent pipe or device might never deliver the next block.  A second signal
    raises at work, too, so that a stage that hangs can be left; only while the
    call is being closed (:meth:`shielded`) it does not.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.received: int | None = None
        self._waiting = False
        self._shielded = False
        self._previous: dict[int, object] = {}

    @property
    def exit_code(self) -> int:
        """Shell convention: 128 + signal number (130 for Ctrl-C)."""
        return 128 + (self.received or signal.SIGINT)

    def __enter__(self) -> Self:
        """Take the signals over (on the main thread; elsewhere nothing is done)."""
        if threading.current_thread() is threading.main_thread():
            for number in self.SIGNALS:
                self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the signals back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        repeated, self.received = self.received is not None, number
        if self._waiting or (repeated and not self._shielded):
            raise KeyboardInterrupt

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Mark a stretch in which a signal may raise at once.

        Raises:
            KeyboardInterrupt: a signal came, now or while the call was at work.
        """
        self._waiting = True
        try:
            if self.received is not None:
                raise KeyboardInterrupt
            yield
        finally:
            self._waiting = False

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """Mark a stretch in which no signal raises: the closing of a call."""
        self._shielded = True
        try:
            yield
        finally:
            self._shielded = False
