"""Coders and decoders of telephone audio, by the names that SDP has for them.

G.711 is our own.  G.722 (ITU-T G.722, 64 kbit/s: 16 kHz audio) is by the library ``G722``
(public domain), if it is installed.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import structlog

from voicebot.audio.g711 import decode_alaw, decode_mulaw, encode_alaw, encode_mulaw
from voicebot.events import Pcm

_log = structlog.get_logger(__name__)

NARROW: Final = 8000
WIDE: Final = 16000
_G722_BITS: Final = 64000


@dataclass(frozen=True, slots=True)
class Coder:
    """One stream's coder and decoder; those of G.722 remember what went before.

    Attributes:
        decode: Of one packet's payload.
        encode: Of one packet's samples.
        rate: Hz of the samples.
        per_tick: Samples for each step of the RTP timestamp: 2 for G.722, whose clock is 8000 Hz
            for historical reasons (RFC 3551 section 4.5.2).
    """

    decode: Callable[[bytes], Pcm]
    encode: Callable[[Pcm], bytes]
    rate: int
    per_tick: int


def rate_of(name: str) -> int:
    """Hz of a codec's audio.

    Raises:
        KeyError: no codec of ours.
    """
    return {"PCMU": NARROW, "PCMA": NARROW, "G722": WIDE}[name]


def make_coder(name: str) -> Coder:
    """A coder for one stream.

    Args:
        name: ``PCMU``, ``PCMA`` or ``G722``; one of :func:`available`.

    Raises:
        KeyError: no codec of ours.
        ModuleNotFoundError: its library is missing.
    """
    if name == "G722":
        return _g722()
    decode, encode = {
        "PCMU": (decode_mulaw, encode_mulaw),
        "PCMA": (decode_alaw, encode_alaw),
    }[name]
    return Coder(decode, encode, NARROW, 1)


def available(names: Iterable[str]) -> tuple[str, ...]:
    """Those codecs that can be used here, in the same order; what is missing is logged once.

    Args:
        names: ``PCMU``, ``PCMA``, ``G722``.
    """
    return tuple(name for name in names if name != "G722" or _has_g722())


@functools.cache
def _has_g722() -> bool:
    found = importlib.util.find_spec("G722") is not None
    if not found:
        _log.warning("codec_missing", codec="G722", mend="pip install 'voicebot[wideband]'")
    return found


def _g722() -> Coder:
    module: Any = importlib.import_module("G722")
    decoder = module.G722(WIDE, _G722_BITS)
    encoder = module.G722(WIDE, _G722_BITS)

    def decode(data: bytes) -> Pcm:
        # The library gives array.array, or numpy where it was built with it: both are buffers.
        return np.frombuffer(decoder.decode(data), np.int16)

    def encode(pcm: Pcm) -> bytes:
        return bytes(encoder.encode(np.ascontiguousarray(pcm, np.int16)))

    return Coder(decode, encode, WIDE, 2)
