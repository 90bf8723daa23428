"""Events as JSON lines in a file, never half a line of it."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import sys
import threading
from pathlib import Path
from typing import BinaryIO

from voicebot.closing import Closing
from voicebot.errors import OutputError
from voicebot.events import Event

STDOUT = "-"
"""Name that stands for standard output."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class EventWriter(Closing):
    """Writes each event as one line as it happens.  A context manager.

    A line is handed to the system whole and at once, so that a reader may
    follow the file.  If that fails half-way (a full disk, Ctrl-C) the half is
    taken back; where it cannot be taken back, as in a pipe, the rest follows.

    Args:
        path: File to write, replaced if it exists; ``-`` for standard output.

    Raises:
        OutputError: the file cannot be opened.
    """

    def __init__(self, path: Path | str) -> None:
        self._own = str(path) != STDOUT
        self.name = str(path) if self._own else "standard output"
        self._lock = threading.Lock()
        self._broken = False
        try:
            self._file, self._regular = _open(Path(path)) if self._own else (_stdout(), False)
        except OSError as err:
            raise self._error("cannot be opened", err) from None

    def write(self, event: Event) -> None:
        """Write one event.

        Raises:
            OutputError: the disk is full, the reader of the pipe has gone, ...;
                one may go on and try the next event.
        """
        line = event.to_json().encode(errors="backslashreplace") + b"\n"
        with self._lock:
            try:
                if self._regular:
                    _write_or_take_back(self._file, line)
                else:
                    self._file.write(line)
                    self._file.flush()
            except OSError as err:
                self._broken = True
                raise self._error("cannot be written", err) from None

    def close(self) -> None:
        """Close the file.

        Raises:
            OutputError: what was written could not be kept.
        """
        with self._lock:
            try:
                if self._own:
                    self._file.close()
                elif self._broken:
                    _discard_stdout()
            except OSError as err:
                if not self._broken:  # else it was told already
                    raise self._error("cannot be closed", err) from None

    def _error(self, what: str, err: OSError) -> OutputError:
        mend = "name a file that can be written with --events"
        if isinstance(err, BrokenPipeError):
            mend = "the program that was reading it has ended"
        elif isinstance(err, FileNotFoundError):
            mend = f"make the folder {Path(self.name).parent} first"
        elif err.errno in _FULL:
            mend = "make room on the disk"
        return OutputError(f"{self.name}: {what}: {err.strerror or err}", mend)


def _open(path: Path) -> tuple[BinaryIO, bool]:
    """Open a file, and say whether it is a regular one, from which bytes can be taken back."""
    # Regular files unbuffered: what is written is out, and what failed is not tried again.  A
    # pipe buffered: the buffer knows how much of a line is out when a signal interrupts it.
    file: BinaryIO = path.open("wb", buffering=0)
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file, True
    return io.BufferedWriter(file), False


def _stdout() -> BinaryIO:
    sys.stdout.flush()
    return sys.stdout.buffer


def _write_or_take_back(file: BinaryIO, line: bytes) -> None:
    """Write a line to a regular file, or leave the file as it was."""
    start = file.tell()
    rest = memoryview(line)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except BaseException:
        with contextlib.suppress(OSError):
            file.seek(start)
            file.truncate()
        raise


def _discard_stdout() -> None:
    """Let nothing more be written to a broken standard output, so that exit does not complain."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
