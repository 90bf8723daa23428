"""Where audio comes from: the protocol of every source, and what they share.

A source gives all its legs in step, 100 ms at a time, at one rate and on the
audio clock.  Telephone audio stays at 8 kHz; everything wider becomes 16 kHz.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Final, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from voicebot.errors import AudioError
from voicebot.events import Frame, Leg

NARROW: Final = 8000
"""Hz; the telephone band"""
WIDE: Final = 16000
"""Hz; everything better than the telephone"""
BLOCK_SECONDS: Final = 0.1
"""s; length of a block"""


@runtime_checkable
class AudioSource(Protocol):
    """Audio of one call, leg by leg, on the audio clock.  A context manager; read once."""

    @property
    def name(self) -> str:
        """File or device, for people."""
        ...

    @property
    def rate(self) -> int:
        """Hz, inside the legs: :data:`NARROW` or :data:`WIDE`."""
        ...

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The legs that every block holds."""
        ...

    @property
    def seconds(self) -> float | None:
        """Length in seconds of audio; None if it is not known beforehand."""
        ...

    @property
    def warnings(self) -> list[str]:
        """What is odd about the audio, a sentence each with file or device and mend.

        Grows while the audio is read: whether a file is silent is known at its end.
        """
        ...

    def blocks(self) -> Iterator[dict[Leg, Frame]]:
        """All legs in step, 100 ms at a time; the last block may be shorter.

        Raises:
            AudioError: the audio cannot be read any further.
            DeviceError: the device failed or was unplugged.
        """
        ...

    def close(self) -> None:
        """Let go of the file or device.  May be called twice, and from another thread."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def leg_rate(rate: int) -> int:
    """The rate inside the legs for a source of ``rate`` Hz: 8000, or 16000 if it is wider."""
    return NARROW if rate <= NARROW else WIDE


def parse_legs(text: str) -> tuple[Leg | None, ...]:
    """Read ``--legs``: one name a channel, ``-`` for a channel to leave out.

    Example:
        >>> parse_legs("agent,caller")
        (<Leg.AGENT: 'agent'>, <Leg.CALLER: 'caller'>)
        >>> parse_legs("-,caller")
        (None, <Leg.CALLER: 'caller'>)

    Raises:
        AudioError: an unknown or repeated name, or no leg at all.
    """
    names = [name.strip().lower() for name in text.split(",")]
    known = {leg.value: leg for leg in Leg}
    mend = "name each channel caller, agent or -, for example caller,agent"
    for name in names:
        if name != "-" and name not in known:
            raise AudioError(f"legs {text!r}: unknown leg {name!r}", mend)
    chosen = tuple(known.get(name) for name in names)
    named = [leg for leg in chosen if leg is not None]
    if len(set(named)) < len(named):
        raise AudioError(f"legs {text!r}: a leg is named twice", mend)
    if not named:
        raise AudioError(f"legs {text!r}: every channel is left out", mend)
    return chosen


def assign_legs(
    name: str, channels: int, legs: Sequence[Leg | None] | None
) -> tuple[tuple[int, Leg], ...]:
    """Say which channel is which leg.

    Args:
        name: File or device, for the error.
        channels: How many channels there are.
        legs: One leg a channel in their order, None for a channel to leave out.
            By default one channel is the caller, and two are caller and agent.

    Returns:
        Channel and leg, for each leg.

    Raises:
        AudioError: more than two channels without ``legs``, or not as many legs as channels.
    """
    if legs is None:
        if channels > 2:
            raise AudioError(
                f"{name}: {channels} channels, and no saying who is on which",
                "name each with --legs, for example caller,agent" + ",-" * (channels - 2),
            )
        legs = (Leg.CALLER, Leg.AGENT)[:channels]
    if len(legs) != channels:
        channel = "1 channel" if channels == 1 else f"{channels} channels"
        raise AudioError(
            f"{name}: {channel}, but --legs names {len(legs)}",
            "leave --legs out for mono" if channels == 1 else "name each channel, - to leave out",
        )
    return tuple((channel, leg) for channel, leg in enumerate(legs) if leg is not None)


def cut_blocks(
    pieces: Iterable[npt.NDArray[np.int16]], legs: Sequence[Leg], rate: int, *, start: int = 0
) -> Iterator[dict[Leg, Frame]]:
    """Cut pieces of any length into 100 ms blocks.

    Args:
        pieces: Shape ``(samples, legs)`` each.
        legs: The leg of each column.
        rate: Hz.
        start: Samples on the audio clock before the first piece.

    Yields:
        A frame for each leg; only the last block is shorter.
    """
    size = round(rate * BLOCK_SECONDS)
    rest = np.empty((0, len(legs)), np.int16)
    done = start
    for piece in pieces:
        rest = np.concatenate((rest, piece)) if len(rest) else piece
        whole = len(rest) // size * size
        for at in range(0, whole, size):
            yield _block(rest[at : at + size], legs, rate, done)
            done += size
        rest = rest[whole:]
    if len(rest):
        yield _block(rest, legs, rate, done)


def _block(
    samples: npt.NDArray[np.int16], legs: Sequence[Leg], rate: int, done: int
) -> dict[Leg, Frame]:
    start = done / rate
    return {
        leg: Frame(np.ascontiguousarray(samples[:, column]), rate, start)
        for column, leg in enumerate(legs)
    }
