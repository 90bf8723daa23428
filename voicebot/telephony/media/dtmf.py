"""DTMF digits as telephone events (RFC 4733): heard, and sent.

One digit is many packets with one timestamp: updates while the key is down, then
the same end three times over.  Any of them may be lost.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

DIGITS: Final = "0123456789*#ABCD"
"""by event number, RFC 4733 section 3.2"""
_EVENT: Final = struct.Struct(">BBH")
_END: Final = 0x80
_LONGEST_MS: Final = 30000
"""an update that claims more is nonsense"""
_LATEST: Final = 10
"""s; timestamps further back are of a peer that began anew"""


class DtmfReceiver:
    """Makes digits of the event packets of one stream.

    Args:
        digit: Given each digit and how long it lasted, in s: once, when it ends.
        timeout: s without a packet after which a digit has ended, all its end packets lost.
    """

    def __init__(self, digit: Callable[[str, float], None], timeout: float = 0.2) -> None:
        self._digit = digit
        self._timeout = timeout
        self._event = -1
        """number of the running event, -1 if none"""
        self._ssrc = -1
        self._timestamp = 0
        """of the running event, or of the last one"""
        self._units = 0
        self._before = 0.0
        """s; of earlier segments"""
        self._duration = 0.0
        """s"""
        self._heard = 0.0

    @property
    def deadline(self) -> float | None:
        """When :meth:`tick` is due; None if no digit is running."""
        return self._heard + self._timeout if self._event >= 0 else None

    def push(self, payload: bytes, ssrc: int, timestamp: int, clock: int, now: float) -> bool:
        """Take a packet, in any order.

        Args:
            payload: Of the RTP packet.
            ssrc: Of the RTP packet.
            timestamp: Of the RTP packet: when the event began.
            clock: Hz of the payload type.
            now: s.

        Returns:
            False if it is malformed.
        """
        if len(payload) < _EVENT.size:
            return False
        event, flags, units = _EVENT.unpack_from(payload)
        if event >= len(DIGITS):
            return True  # flash and tones are no digits
        if units * 1000 > _LONGEST_MS * clock:
            return False
        if self._is_late(ssrc, timestamp, clock):
            return True
        if (event, ssrc, timestamp) != (self._event, self._ssrc, self._timestamp):
            if self._goes_on(event, ssrc, timestamp, clock):
                self._before += ((timestamp - self._timestamp) & 0xFFFFFFFF) / clock
            else:
                self.flush()
                self._before = self._duration = 0.0
            self._event, self._ssrc, self._timestamp, self._units = event, ssrc, timestamp, 0
        self._heard = now
        self._units = max(self._units, units)
        self._duration = max(self._duration, self._before + units / clock)
        if flags & _END:
            self.flush()
        return True

    def tick(self, now: float) -> None:
        """End a digit whose end packets were all lost."""
        if self._event >= 0 and now >= self._heard + self._timeout:
            self.flush()

    def flush(self) -> None:
        """End the digit that is running, if any."""
        if self._event >= 0:
            event, self._event = self._event, -1
            self._digit(DIGITS[event], self._duration)

    def _is_late(self, ssrc: int, timestamp: int, clock: int) -> bool:
        """Whether a packet belongs to an event that has ended: its end is sent several times."""
        if ssrc != self._ssrc:
            return False
        behind = (self._timestamp - timestamp) & 0xFFFFFFFF
        return behind < _LATEST * clock and (behind > 0 or self._event < 0)

    def _goes_on(self, event: int, ssrc: int, timestamp: int, clock: int) -> bool:
        """Whether it is a new segment of a key held for longer than 16 bits can say.

        It begins where the last ended, at its greatest duration (section 2.5.1.3).
        """
        return (
            (event, ssrc) == (self._event, self._ssrc)
            and self._units >= 0xFFFF - clock // 5
            and (timestamp - self._timestamp) & 0xFFFFFFFF <= 0xFFFF
        )


def event_payload(digit: str, duration: int, *, end: bool, volume: int = 10) -> bytes:
    """Payload of one event packet.

    Args:
        digit: One of :data:`DIGITS`.
        duration: In timestamp units, at most 65535.
        end: Whether the key was let go.
        volume: -dBm0, 0-63.

    Raises:
        ValueError: no digit.
    """
    return _EVENT.pack(DIGITS.index(digit.upper()), (_END if end else 0) | volume, duration)
