"""Messages in a stream of bytes (RFC 3261 section 18.3, RFC 5626 section 3.5.1)."""

from __future__ import annotations

import re

_LENGTH = re.compile(rb"\n(?:content-length|l)\s*:\s*([0-9]{1,9})[ \t]*(?=\r?\n)", re.IGNORECASE)

PING = b"\r\n\r\n"
PONG = b"\r\n"


class FramingError(ValueError):
    """The stream cannot be followed any further; it must be closed."""


class Framer:
    """Cuts a stream into messages by their Content-Length.

    Args:
        max_header: Bytes of start line and headers.
        max_body: Bytes of body.
    """

    def __init__(self, max_header: int, max_body: int) -> None:
        self._max_header = max_header
        self._max_body = max_body
        self._buffer = bytearray()
        self._searched = 0
        self._size = 0
        """of the message at the front, 0 while its headers have no end"""

    @property
    def partial(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._buffer.strip(b"\r\n"))

    def feed(self, data: bytes) -> list[bytes]:
        """Take what came; the buffer never holds more than one message and one read.

        Returns:
            Whole messages, and :data:`PING` for each keep-alive that wants a :data:`PONG`.

        Raises:
            FramingError: No or a wrong Content-Length, or more than the caps allow.
        """
        self._buffer += data
        found: list[bytes] = []
        start = 0
        while True:
            if not self._size:
                while self._buffer.startswith(PING, start):
                    found.append(PING)
                    start += 4
                # A single line break before a message is a pong, or a stray one (7.5).
                while self._buffer.startswith(b"\r\n", start) and len(self._buffer) >= start + 4:
                    start += 2
                end = self._buffer.find(b"\r\n\r\n", max(start, self._searched))
                if end < 0:
                    self._searched = max(start, len(self._buffer) - 3)
                    if len(self._buffer) - start > self._max_header:
                        raise FramingError("headers too long")
                    break
                self._size = end + 4 - start + self._body(start, end)
            if len(self._buffer) - start < self._size:
                break
            found.append(bytes(self._buffer[start : start + self._size]))
            start += self._size
            self._size = 0
            self._searched = start
        del self._buffer[:start]
        self._searched = max(0, self._searched - start)
        return found

    def _body(self, start: int, end: int) -> int:
        if end + 4 - start > self._max_header:
            raise FramingError("headers too long")
        lengths = {int(length) for length in _LENGTH.findall(self._buffer, start, end + 2)}
        if len(lengths) != 1:
            raise FramingError("no content-length, or several")
        length = lengths.pop()
        if length > self._max_body:
            raise FramingError("body too long")
        return length
