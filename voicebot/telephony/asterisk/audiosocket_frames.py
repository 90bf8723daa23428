"""The protocol of Asterisk's AudioSocket, as bytes.

As in Asterisk's ``include/asterisk/res_audiosocket.h`` and ``res/res_audiosocket.c``: frames of a
kind (1 byte), a length (2 bytes, big endian) and a payload.  Audio is signed 16-bit little endian,
its rate is told by the kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class Kind(IntEnum):
    """What a frame is (``enum ast_audiosocket_msg_kind``)."""

    HANGUP = 0x00
    UUID = 0x01
    DTMF = 0x03
    SLIN = 0x10
    SLIN12 = 0x11
    SLIN16 = 0x12
    SLIN24 = 0x13
    SLIN32 = 0x14
    SLIN44 = 0x15
    SLIN48 = 0x16
    SLIN96 = 0x17
    SLIN192 = 0x18
    ERROR = 0xFF


RATES: Final[dict[Kind, int]] = {Kind.SLIN: 8000, Kind.SLIN16: 16000}
"""Hz of the kinds of audio that are taken"""
_LONGEST: Final = {Kind.UUID: 16, Kind.DTMF: 1, Kind.HANGUP: 0, Kind.ERROR: 64}
"""bytes; HANGUP and ERROR may be padded, and are not read further"""
_LONGEST_AUDIO: Final = 32_000
"""bytes: a second at 16 kHz; Asterisk sends 20 to 60 ms"""


class FrameError(ValueError):
    """The peer does not speak the protocol.

    Args:
        counter: Name of the fault in the counters.
        what: For people.
    """

    def __init__(self, counter: str, what: str) -> None:
        super().__init__(what)
        self.counter = counter


@dataclass(frozen=True, slots=True)
class SocketFrame:
    """One frame of the protocol."""

    kind: Kind
    payload: bytes


class FrameParser:
    """Cuts a byte stream into frames; holds at most one frame that is not yet whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def in_frame(self) -> bool:
        """Whether a frame has begun and is not yet whole."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> Iterator[SocketFrame]:
        """Take bytes as they come.

        Yields:
            The frames that are whole now.  Nothing after a hang-up or error frame is read.

        Raises:
            FrameError: unknown kind, refused rate, odd or impossible length.
        """
        buffer = self._buffer
        buffer += data
        while len(buffer) >= 3:
            kind, length = self._header()
            last = kind in (Kind.HANGUP, Kind.ERROR)
            if len(buffer) < 3 + length and not last:
                return
            payload = bytes(buffer[3 : 3 + length])
            del buffer[: len(buffer) if last else 3 + length]
            yield SocketFrame(kind, payload)

    def _header(self) -> tuple[Kind, int]:
        try:
            kind = Kind(self._buffer[0])
        except ValueError:
            raise FrameError(
                "audiosocket_unknown_kind", f"kind 0x{self._buffer[0]:02x} is unknown"
            ) from None
        length = int.from_bytes(self._buffer[1:3], "big")
        if kind >= Kind.SLIN and kind != Kind.ERROR:
            if kind not in RATES:
                raise FrameError(
                    "audiosocket_rate_refused",
                    f"{kind.name.lower()} is not taken; let Asterisk send slin or slin16",
                )
            if length % 2:
                raise FrameError("audiosocket_odd_length", f"{length} bytes of 16-bit audio")
            if length > _LONGEST_AUDIO:
                raise FrameError("audiosocket_huge_frame", f"{length} bytes of audio in one frame")
        elif kind in (Kind.UUID, Kind.DTMF) and length != _LONGEST[kind]:
            raise FrameError("audiosocket_bad_length", f"{kind.name.lower()} of {length} bytes")
        return kind, min(length, _LONGEST.get(kind, length))


def write_frame(kind: Kind, payload: bytes = b"") -> bytes:
    """One frame as bytes; at most 65,535 bytes of payload."""
    return bytes((kind,)) + len(payload).to_bytes(2, "big") + payload
