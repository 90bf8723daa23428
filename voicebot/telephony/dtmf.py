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
        self._timestamp = -1
        self._duration = 0.0
        self._extra = 0.0
        self._last_units = 0
        self._heard = 0.0
        self._ended: tuple[int, int] | None = None
        """stream and timestamp of the last event that ended: its end is sent several times"""
        self._ssrc = 0

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
        if (ssrc, timestamp) == self._ended:
            return True
        if self._event >= 0 and (event, ssrc) == (self._event, self._ssrc):
            ahead = (timestamp - self._timestamp) & 0xFFFFFFFF
            if ahead >= 0x80000000:
                return True  # late, of an event before this one
            # A key that is held for longer than 16 bits can say goes on in a new segment
            # (section 2.5.1.3), which begins where the last ended at its greatest duration.
            if ahead and self._last_units >= 0xFFFF - clock // 5 and ahead <= 0xFFFF:
                self._extra += ahead / clock
                self._timestamp = timestamp
                self._last_units = 0
        if self._event >= 0 and (event, ssrc, timestamp) != (
            self._event,
            self._ssrc,
            self._timestamp,
        ):
            if ssrc == self._ssrc and (timestamp - self._timestamp) & 0xFFFFFFFF >= 0x80000000:
                return True
            self._finish()
        elif (
            self._event < 0
            and self._ended is not None
            and ssrc == self._ended[0]
            and (timestamp - self._ended[1]) & 0xFFFFFFFF >= 0x80000000
        ):
            return True  # late, of an event before the last
        if self._event < 0:
            self._event, self._ssrc, self._timestamp = event, ssrc, timestamp
            self._duration = self._extra = 0.0
            self._last_units = 0
        self._heard = now
        self._last_units = max(self._last_units, units)
        self._duration = max(self._duration, self._extra + units / clock)
        if flags & _END:
            self._finish()
        return True

    def tick(self, now: float) -> None:
        """End a digit whose end packets were all lost."""
        if self._event >= 0 and now >= self._heard + self._timeout:
            self._finish()

    def flush(self) -> None:
        """End the digit that is running, if any."""
        if self._event >= 0:
            self._finish()

    def _finish(self) -> None:
        event, self._event = self._event, -1
        self._ended = (self._ssrc, self._timestamp)
        self._digit(DIGITS[event], self._duration)


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
