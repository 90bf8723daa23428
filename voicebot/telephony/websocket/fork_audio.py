"""Pieces that the forks share: pacing, interleaved samples, fields of JSON in bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np

from voicebot.events import Pcm

_MOST_PARAMETERS: Final = 32
_PARAMETER_LENGTH: Final = 512


async def paced(
    pcm: Pcm, rate: int, send: Callable[[Pcm], Awaitable[None]], chunk: float = 0.02,
    ahead: float = 0.2,
) -> None:  # fmt: skip
    """Send audio in pieces at the pace of speech.

    Args:
        pcm: At ``rate`` Hz.
        rate: Hz.
        send: Takes one piece.
        chunk: s of audio in a piece.
        ahead: s by which pieces go out before they are due, against jitter on the way.

    Returns:
        When the last piece was sent, so up to ``ahead`` before it is heard.
    """
    loop = asyncio.get_running_loop()
    begun = loop.time()
    size = max(1, round(chunk * rate))
    for at in range(0, len(pcm), size):
        wait = begun + at / rate - ahead - loop.time()
        if wait > 0:
            await asyncio.sleep(wait)
        await send(pcm[at : at + size])


class L16:
    """Takes interleaved 16-bit little-endian samples apart, wherever messages are cut.

    Args:
        channels: 1 or 2.
    """

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._rest = b""

    def split(self, data: bytes) -> tuple[Pcm, ...]:
        """Samples of each channel; bytes of an incomplete sample wait for the next message."""
        data = self._rest + data
        width = 2 * self._channels
        whole = len(data) - len(data) % width
        self._rest = data[whole:]
        samples = np.frombuffer(data[:whole], "<i2").astype(np.int16)
        return tuple(
            np.ascontiguousarray(samples[channel :: self._channels])
            for channel in range(self._channels)
        )


def texts(fields: object) -> dict[str, str]:
    """The text and number fields of a JSON object, in bounds, for :attr:`Offer.parameters`."""
    return dict(_texts(fields)) if isinstance(fields, dict) else {}


def _texts(fields: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    count = 0
    for name, value in fields.items():
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            count += 1
            if count > _MOST_PARAMETERS:
                return
            yield str(name)[:64], str(value)[:_PARAMETER_LENGTH]


def text_of(fields: Mapping[str, Any], *names: str) -> str:
    """The first of these fields that is there, as text; else empty."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool):
            return str(value)[:_PARAMETER_LENGTH]
    return ""
