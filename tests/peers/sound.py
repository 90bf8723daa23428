"""Speech to send, and how well it arrived."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from voicebot.audio.g711 import encode_alaw, encode_mulaw
from voicebot.events import Pcm

DEMO = Path(__file__).parents[2] / "voicebot" / "assets" / "demo"
RATE = 8000


def speech(seconds: float, name: str = "angry_en", start: float = 0.0, channel: int = 0) -> Pcm:
    """Real speech at 8 kHz out of a demo call: channel 0 is the caller."""
    pcm, rate = soundfile.read(DEMO / f"{name}.flac", dtype="int16", always_2d=True)
    one = pcm[int(start * rate) :, channel]
    if rate != RATE:
        one = soxr.resample(one, rate, RATE)
    out: Pcm = np.asarray(one[: int(seconds * RATE)], np.int16)
    assert len(out) == int(seconds * RATE), "the demo call is shorter"
    return out


def write_wav(path: Path, pcm: Pcm) -> Path:
    """As baresip's aufile wants it: mono, 16 bit, 8 kHz."""
    soundfile.write(path, pcm, RATE, subtype="PCM_16")
    return path


def read_wav(path: Path) -> Pcm:
    """Mono, 16 bit, 8 kHz."""
    pcm, rate = soundfile.read(path, dtype="int16")
    assert rate == RATE
    out: Pcm = pcm
    return out


def write_raw(path: Path, pcm: Pcm, law: str = "PCMU") -> Path:
    """As sipp's rtp_stream wants it: bare payload."""
    path.write_bytes(bytes(encode_mulaw(pcm) if law == "PCMU" else encode_alaw(pcm)))
    return path


@dataclass(frozen=True)
class Match:
    """How well what was heard is what was sent."""

    correlation: float
    """over the part that both have, at the best offset"""
    offset: float
    """s; how much later it begins in what was heard"""
    sent: float
    """s"""
    heard: float
    """s"""


def compare(sent: Pcm, heard: Pcm) -> Match:
    """Find what was sent in what was heard, and say how alike they are."""
    assert len(heard), "nothing was heard"
    a, b = sent.astype(np.float64), heard.astype(np.float64)
    size = 1 << (len(a) + len(b) - 1).bit_length()
    cross = np.fft.irfft(np.fft.rfft(b, size) * np.conj(np.fft.rfft(a, size)), size)
    offset = int(np.argmax(cross))
    if offset > size // 2:
        offset -= size
    a, b = a[max(0, -offset) :], b[max(0, offset) :]
    count = min(len(a), len(b))
    a, b = a[:count], b[:count]
    norm = float(np.sqrt(np.dot(a, a) * np.dot(b, b)))
    return Match(
        correlation=float(np.dot(a, b)) / norm if norm else 0.0,
        offset=offset / RATE,
        sent=len(sent) / RATE,
        heard=len(heard) / RATE,
    )
