"""Files and standard input as a source: containers by libsndfile, raw by ourselves.

Everything is streamed from disk; only a container on standard input is kept in
memory, and only up to a bound.  A header is believed: a WAV file that lies
about its rate plays at the wrong speed, and nothing in general can tell.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import numpy as np
import soundfile

from voicebot.audio import pcm
from voicebot.audio.diagnostics import Inspector
from voicebot.audio.raw import MAX_RATE, MIN_RATE, RawFormat, doubt
from voicebot.audio.sniff import Kind, sniff, wav_shortfall
from voicebot.audio.source import assign_legs, cut_blocks, leg_rate
from voicebot.closing import Closing
from voicebot.errors import AudioError
from voicebot.events import Frame, Leg

STDIN_LIMIT: Final = 256 * 2**20
"""bytes of a container that are kept when it comes through a pipe"""
_HEAD: Final = 4096
"""bytes to recognise a file by"""
_DOUBT_SECONDS: Final = 5.0
"""s of raw audio that is not silent, on which it is judged"""


class _Reader(Protocol):
    """Samples of a file at its own rate."""

    name: str
    rate: int
    channels: int
    seconds: float | None
    warnings: list[str]

    def pieces(self) -> Iterator[pcm.Floats]:
        """Samples in pieces of any length, shape ``(samples, channels)``."""
        ...

    def close(self) -> None: ...


class FileSource(Closing):
    """A file or standard input as an :class:`~voicebot.audio.source.AudioSource`.

    Opened by :func:`open_file`.
    """

    def __init__(self, reader: _Reader, legs: Sequence[Leg | None] | None) -> None:
        self.name = reader.name
        self.rate = leg_rate(reader.rate)
        self.seconds = reader.seconds
        chosen = assign_legs(reader.name, reader.channels, legs)
        self.legs = tuple(leg for _, leg in chosen)
        self._columns = [channel for channel, _ in chosen]
        self._reader = reader
        self._inspector = Inspector(self.name, self.legs)
        self._ended = False

    @property
    def warnings(self) -> list[str]:
        """What is odd, a sentence each; complete once the last block was read."""
        return [*self._reader.warnings, *(self._inspector.findings() if self._ended else ())]

    def blocks(self) -> Iterator[dict[Leg, Frame]]:
        """See :meth:`voicebot.audio.source.AudioSource.blocks`."""
        return cut_blocks(self._pieces(), self.legs, self.rate)

    def _pieces(self) -> Iterator[np.ndarray]:
        resampler = pcm.StreamResampler(self._reader.rate, self.rate, len(self.legs))
        for piece in self._reader.pieces():
            samples = self._inspector.clean(piece[:, self._columns])
            yield pcm.to_int16(resampler.push(samples))
        yield pcm.to_int16(resampler.push(np.empty((0, len(self.legs)), np.float32), last=True))
        self._ended = True

    def close(self) -> None:
        """Close the file; standard input stays open."""
        self._reader.close()


def open_file(
    path: str | Path,
    *,
    legs: Sequence[Leg | None] | None = None,
    raw: RawFormat | None = None,
) -> FileSource:
    """Open an audio file, or standard input.

    Args:
        path: A WAV, FLAC, Ogg (Vorbis, Opus), AIFF, AU or MP3 file, a pipe, or ``-``
            for standard input; with ``raw``, headerless audio.
        legs: One leg a channel, None for a channel to leave out; by default mono is
            the caller and stereo is caller and agent.
        raw: What headerless audio is.

    Raises:
        AudioError: missing, a directory, unreadable, empty, no audio, a broken or
            implausible header, or ``legs`` that do not fit.
    """
    if str(path) == "-":
        if sys.stdin is None:  # closed by whoever started us
            raise AudioError("standard input: is closed", "name a file, or pipe one in")
        stream: BinaryIO = sys.stdin.buffer
        if stream.isatty():
            raise AudioError("standard input: nothing is piped in", "name a file, or pipe one in")
        return FileSource(_from_stream("standard input", stream, raw), legs)
    path = Path(path)
    name = str(path)
    try:
        if path.is_dir():
            raise AudioError(f"{name}: is a directory", "name the files in it")
        stream = path.open("rb")
    except FileNotFoundError:
        raise AudioError(f"{name}: no such file", "check the path") from None
    except OSError as err:
        raise AudioError(f"{name}: cannot be opened: {err.strerror}", "check its rights") from err
    try:
        if path.is_file():
            return FileSource(_from_file(name, stream, raw), legs)
        return FileSource(_from_stream(name, stream, raw), legs)
    except OSError as err:
        stream.close()
        raise _unreadable(name, err) from err
    except BaseException:
        stream.close()
        raise


def _unreadable(name: str, err: OSError) -> AudioError:
    return AudioError(f"{name}: cannot be read: {err.strerror}", "copy it to a sound disk")


def _from_file(name: str, stream: BinaryIO, raw: RawFormat | None) -> _Reader:
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    head = stream.read(_HEAD)
    stream.seek(0)
    _check_head(name, head, raw)
    if raw is None:
        return _ContainerReader(name, stream, size)
    return _RawReader(name, stream, raw, size=size, piece_seconds=1.0)


def _from_stream(name: str, stream: BinaryIO, raw: RawFormat | None) -> _Reader:
    if raw is not None:
        # The head cannot be put back, so the reader looks at its first piece instead.
        return _RawReader(name, stream, raw, size=None, piece_seconds=0.1)
    try:
        data = stream.read(STDIN_LIMIT + 1)
    except OSError as err:
        raise _unreadable(name, err) from err
    if len(data) > STDIN_LIMIT:
        raise AudioError(
            f"{name}: more than {STDIN_LIMIT // 2**20} MiB through a pipe",
            "save it as a file first, or pipe raw audio with --raw",
        )
    _check_head(name, data[:_HEAD], raw)
    return _ContainerReader(name, io.BytesIO(data), len(data))


def _check_head(name: str, head: bytes, raw: RawFormat | None) -> None:
    """Refuse what cannot be audio, or not of the kind it is said to be."""
    if not head:
        raise AudioError(f"{name}: empty, not one byte", "record or export it again")
    kind, what = sniff(head)
    if raw is not None and kind is Kind.AUDIO:
        raise AudioError(f"{name}: is {what}, not raw audio", "leave --raw out")
    if kind is Kind.OTHER:
        raise AudioError(f"{name}: is {what}, not audio", "give a WAV, FLAC or Ogg file")
    if raw is None and kind is Kind.UNKNOWN:
        raise AudioError(
            f"{name}: no audio format that is known",
            "give a WAV, FLAC or Ogg file, or say what it is, for example --raw mulaw:8000",
        )


class _ContainerReader:
    """Whatever libsndfile reads."""

    def __init__(self, name: str, stream: BinaryIO, size: int) -> None:
        self.name = name
        self.warnings: list[str] = []
        self._stream = stream
        self._closed = False
        claimed, there = wav_shortfall(stream, size)
        if there and not claimed:
            raise AudioError(
                f"{name}: its header says that it holds no audio, yet {there} bytes follow;"
                " the recorder did not finish it",
                "mend the header: sox --ignore-length IN.wav OUT.wav",
            )
        handle: BinaryIO | int = stream
        if isinstance(stream, io.BytesIO):
            stream.seek(0)
        else:  # the bare descriptor: libsndfile reads it itself, and sees no misleading suffix
            handle = stream.fileno()
            os.lseek(handle, 0, os.SEEK_SET)
        try:
            self._file = soundfile.SoundFile(handle, closefd=False)
        except (soundfile.SoundFileError, TypeError) as err:
            # soundfile puts the repr of the stream in front of what libsndfile says
            why = str(getattr(err, "error_string", err)).rstrip(".")
            raise AudioError(
                f"{name}: broken or cut off in its header: {why}", "record or export it again"
            ) from err
        self.rate = int(self._file.samplerate)
        self.channels = int(self._file.channels)
        if not MIN_RATE <= self.rate <= MAX_RATE:
            raise AudioError(
                f"{name}: its header says {self.rate} Hz, which is no rate of audio",
                "export it again",
            )
        self._frames = int(self._file.frames)
        known = 0 <= self._frames < 2**40  # libsndfile says 2**63-1 for a FLAC stream
        self.seconds = self._frames / self.rate if known else None
        if not self._frames:
            raise AudioError(f"{name}: holds a header and no audio", "record or export it again")
        if there < claimed:
            self._warn_cut(f"only {there / claimed:.0%} of the audio its header announces is there")

    def _warn_cut(self, what: str) -> None:
        self.warnings.append(
            f"{self.name}: cut off or damaged, {what}; what is there was read (copy it again)"
        )

    def pieces(self) -> Iterator[pcm.Floats]:
        done = 0
        while not self._closed:
            try:
                piece: pcm.Floats = self._file.read(self.rate, dtype="float32", always_2d=True)
            except soundfile.SoundFileError as err:
                why = str(getattr(err, "error_string", err)).rstrip(".")
                self._warn_cut(f"{why} after {done / self.rate:.1f} s")
                return
            if not len(piece):
                break
            done += len(piece)
            yield piece
        if self.seconds is not None and done < self._frames and not self._closed:
            self._warn_cut(f"it ends after {done / self.rate:.1f} of {self.seconds:.1f} s")

    def close(self) -> None:
        self._closed = True
        self._file.close()
        self._stream.close()


class _RawReader:
    """Headerless audio, decoded as it comes."""

    def __init__(
        self, name: str, stream: BinaryIO, raw: RawFormat, *, size: int | None, piece_seconds: float
    ) -> None:
        self.name = name
        self.rate = raw.rate
        self.channels = raw.channels
        self.seconds = None if size is None else size // raw.frame_bytes / raw.rate
        self.warnings: list[str] = []
        self._stream = stream
        self._raw = raw
        self._piece_bytes = max(1, round(raw.rate * piece_seconds)) * raw.frame_bytes
        self._closed = False
        self._sample: list[np.ndarray] = []  # of the first channel, to judge it by
        self._sampled = 0

    def pieces(self) -> Iterator[pcm.Floats]:
        first = True
        while not self._closed:
            try:
                data = self._stream.read(self._piece_bytes)
            except OSError as err:
                raise _unreadable(self.name, err) from err
            if first:
                _check_head(self.name, data[:_HEAD], self._raw)
                first = False
            if over := len(data) % self._raw.frame_bytes:
                self.warnings.append(
                    f"{self.name}: ends in the middle of a sample, {over} bytes left over"
                    f" (cut off, or not {self._raw})"
                )
                data = data[:-over]
            if not data:
                break
            piece = self._raw.decode(data)
            self._judge(piece)
            yield piece
        self._judge(None)

    def _judge(self, piece: pcm.Floats | None) -> None:
        """Gather audio that is not silent; judge it once, when enough or at the end (None)."""
        wanted = _DOUBT_SECONDS * self.rate
        if self._sampled >= wanted:
            return
        if piece is not None:
            samples = pcm.to_int16(piece[:, 0])
            if pcm.peak(samples) > 64:
                self._sample.append(samples)
                self._sampled += len(samples)
            if self._sampled < wanted:
                return
        if self._sample and (why := doubt(np.concatenate(self._sample), self.rate)):
            self.warnings.append(f"{self.name}: as {self._raw} it {why} (check --raw)")
        self._sample.clear()
        self._sampled = int(wanted)

    def close(self) -> None:
        self._closed = True
        if self._stream is not sys.stdin.buffer:
            self._stream.close()
