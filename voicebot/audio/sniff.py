"""What a file is, by its first bytes; and whether a WAV file holds what it announces."""

from __future__ import annotations

import struct
from enum import Enum, auto
from typing import BinaryIO, Final


class Kind(Enum):
    """What to do with a file."""

    AUDIO = auto()
    """a container that libsndfile may read"""
    OTHER = auto()
    """surely no audio, or none that can be read"""
    UNKNOWN = auto()
    """nothing is recognised: raw audio looks like this"""


_AUDIO: Final = (
    (b"RF64", "a WAV file"),
    (b"fLaC", "a FLAC file"),
    (b"OggS", "an Ogg file"),
    (b"FORM", "an AIFF file"),
    (b".snd", "an AU file"),
    (b"riff", "a Wave64 file"),
    (b"caff", "a CAF file"),
    (b"ID3", "an MP3 file"),
)
_OTHER: Final = (
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG", "a PNG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x7fELF", "a program"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM file"),
    (b"#!AMR", "an AMR file, which is not supported"),
    (b"SQLite format 3", "a database"),
)


def sniff(head: bytes) -> tuple[Kind, str]:
    """Recognise a file.

    Args:
        head: Its first bytes; some kB are enough.

    Returns:
        Its kind, and what it is in words.
    """
    if head[:4] in (b"RIFF", b"RIFX"):
        if head[8:12] in (b"WAVE", b""):
            return Kind.AUDIO, "a WAV file"
        return Kind.OTHER, "a RIFF file of another kind"
    for magic, what in _AUDIO:
        if head.startswith(magic):
            return Kind.AUDIO, what
    for magic, what in _OTHER:
        if head.startswith(magic):
            return Kind.OTHER, what
    if head[4:8] == b"ftyp":
        return Kind.OTHER, "an MP4 file, which is not supported"
    if _is_mp3(head):
        return Kind.AUDIO, "an MP3 file"
    if _is_text(head):
        return Kind.OTHER, "text"
    return Kind.UNKNOWN, "unknown"


def wav_shortfall(stream: BinaryIO, size: int) -> tuple[int, int]:
    """How many bytes of audio a WAV file announces, and how many are there.

    Args:
        stream: Seekable; left anywhere.
        size: Bytes in the whole file.

    Returns:
        Announced and present bytes of the ``data`` chunk.  Both are zero for other
        files, and the announced ones are those present where a writer that could not
        know left the largest number there.
    """
    stream.seek(0)
    head = stream.read(12)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return 0, 0
    at = 12
    while at + 8 <= size:
        stream.seek(at)
        name, length = struct.unpack("<4sI", stream.read(8))
        if name == b"data":
            there = size - at - 8
            if length == 0 and _chunks_end_at(stream, at + 8, size):
                return 0, 0
            # streaming writers (ffmpeg, sox, arecord) put about 2 or 4 GiB there
            return (there if length >= 0x7FFF0000 else length), there
        at += 8 + length + length % 2
    return 0, 0


def _chunks_end_at(stream: BinaryIO, at: int, size: int) -> bool:
    """Whether whole chunks fill the rest of the file, as after a data chunk that is empty."""
    while at + 8 <= size:
        stream.seek(at + 4)
        (length,) = struct.unpack("<I", stream.read(4))
        at += 8 + length + length % 2
    return at in (size, size + 1)


def _is_mp3(head: bytes) -> bool:
    """Two MPEG audio layer III frame headers in their places (a lone 0xFFEx proves nothing)."""
    first = _mp3_frame(head[:4])
    return first is not None and _mp3_frame(head[first : first + 4]) is not None


def _mp3_frame(header: bytes) -> int | None:
    """Length of an MPEG-1/2 layer III frame in bytes, None if this is no header of one."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return None
    version, bitrate, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or bitrate in (0, 15) or rate == 3:
        return None
    one = version == 3
    kbits = (
        (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
        if one
        else (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
    )[bitrate - 1]
    hertz = (44100, 48000, 32000)[rate] >> (0 if one else 1 if version == 2 else 2)
    return (144 if one else 72) * kbits * 1000 // hertz + (header[2] >> 1 & 1)


def _is_text(head: bytes) -> bool:
    """Printable UTF-8 throughout, as audio never is."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as err:
        if err.start < len(head) - 4:  # not merely a character that the end cut in two
            return False
        text = head[: err.start].decode("utf-8")
    return len(text) >= 4 and all(c.isprintable() or c in "\t\r\n\f" for c in text)
