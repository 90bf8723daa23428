from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest

from voicebot.audio import g711
from voicebot.events import Pcm

ALL = bytes(range(256))
EVERY: Pcm = np.arange(-32768, 32768).astype(np.int16)


def test_values_of_the_standard() -> None:
    # G.711 table 2a: quantised values of mu-law, here at 16 bits (times 4); code 0 is the
    # largest negative one on the line, 0x80 the largest positive one, 0xFF is zero.
    assert g711.decode_mulaw(bytes([0x80, 0x00, 0xFF, 0x7F])).tolist() == [32124, -32124, 0, 0]
    assert g711.decode_mulaw(bytes([0x8F, 0x9F, 0xFE])).tolist() == [16764, 8316, 8]
    # G.711 table 1a: A-law at 16 bits (times 8, for 13 bits); even bits inverted on the line.
    assert g711.decode_alaw(bytes([0xAA, 0x2A, 0xD5, 0x55])).tolist() == [32256, -32256, 8, -8]


def test_digital_silence_on_the_line() -> None:
    zero = np.zeros(3, np.int16)
    assert g711.encode_mulaw(zero) == b"\xff" * 3
    assert g711.encode_alaw(zero) == b"\xd5" * 3


def test_the_digital_milliwatt() -> None:
    """G.711 table 5 and 6: these eight codes are a 1 kHz tone of 0 dBm0, 3.17/3.14 dB below
    the largest sine."""
    mulaw = g711.decode_mulaw(bytes([0x1E, 0x0B, 0x0B, 0x1E, 0x9E, 0x8B, 0x8B, 0x9E]) * 100)
    alaw = g711.decode_alaw(bytes([0x34, 0x21, 0x21, 0x34, 0xB4, 0xA1, 0xA1, 0xB4]) * 100)
    for pcm, largest, below in ((mulaw, 32124 + 512, 3.17), (alaw, 32256 + 512, 3.14)):
        rms = np.sqrt(np.mean(pcm.astype(float) ** 2))
        assert 20 * np.log10(rms * np.sqrt(2) / largest) == pytest.approx(-below, abs=0.02)


def test_every_code_survives() -> None:
    assert g711.encode_alaw(g711.decode_alaw(ALL)) == ALL
    # mu-law has two zeros; both mean 0
    decoded = g711.decode_mulaw(ALL)
    assert g711.encode_mulaw(decoded) == ALL.replace(b"\x7f", b"\xff")


@pytest.mark.parametrize("law", ["mulaw", "alaw"])
def test_error_is_at_most_half_a_step(law: str) -> None:
    encode = getattr(g711, f"encode_{law}")
    decode = getattr(g711, f"decode_{law}")
    values = np.unique(decode(ALL).astype(int))
    inside = np.arange(values[0], values[-1] + 1)
    got = decode(encode(inside.astype(np.int16))).astype(int)
    gaps = np.diff(values)
    widest = np.maximum(np.append(gaps, 0), np.append(0, gaps))  # beside each value
    half = widest[np.searchsorted(values, got)] / 2
    # 4 and 16: what lies below the resolution of the code's own 14 and 12 bits
    assert np.all(np.abs(got - inside) <= half + (4 if law == "mulaw" else 16))
    assert np.all(np.diff(got) >= 0)


def test_loud_samples_are_clipped_and_never_wrap() -> None:
    loud = np.array([32767, -32768], np.int16)
    assert g711.decode_mulaw(g711.encode_mulaw(loud)).tolist() == [32124, -32124]
    assert g711.decode_alaw(g711.encode_alaw(loud)).tolist() == [32256, -32256]


def test_no_samples() -> None:
    assert len(g711.decode_alaw(b"")) == 0
    assert g711.encode_mulaw(np.empty(0, np.int16)) == b""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_agrees_with_audioop() -> None:
    if sys.version_info >= (3, 13):
        return  # the module is gone; the values above stand on their own
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import audioop
    assert g711.decode_mulaw(ALL).tobytes() == audioop.ulaw2lin(ALL, 2)
    assert g711.decode_alaw(ALL).tobytes() == audioop.alaw2lin(ALL, 2)
    assert g711.encode_alaw(EVERY) == audioop.lin2alaw(EVERY.tobytes(), 2)
    positive = EVERY[EVERY >= 0]
    assert g711.encode_mulaw(positive) == audioop.lin2ulaw(positive.tobytes(), 2)
    # audioop rounds negative samples away from zero before it looks at the decision
    # values; G.191 mirrors the positive side, and so do we.
    mirrored = bytes(code & 0x7F for code in g711.encode_mulaw(positive))
    assert g711.encode_mulaw(~positive) == mirrored
