from __future__ import annotations

import numpy as np
import pytest

from tests import signals
from voicebot.audio import g711
from voicebot.audio.pcm import resample, to_int16
from voicebot.audio.raw import Encoding, RawFormat, doubt
from voicebot.errors import AudioError
from voicebot.events import Pcm

SPEECH = np.concatenate([signals.speech(), signals.speech("speech_en_2")])


def decoded(data: bytes, spec: str) -> Pcm:
    raw = RawFormat.parse(spec)
    whole = data[: len(data) // raw.frame_bytes * raw.frame_bytes]
    return to_int16(raw.decode(whole)[:, 0])


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("mulaw:8000", RawFormat(Encoding.MULAW, 8000)),
        ("PCMU", RawFormat(Encoding.MULAW, 8000)),
        ("ulaw", RawFormat(Encoding.MULAW, 8000)),
        ("alaw:8000:2", RawFormat(Encoding.ALAW, 8000, 2)),
        ("s16le:16000", RawFormat(Encoding.S16LE, 16000)),
        (" l16:44100:2 ", RawFormat(Encoding.S16BE, 44100, 2)),
    ],
)
def test_specification(text: str, parsed: RawFormat) -> None:
    assert RawFormat.parse(text) == parsed
    assert RawFormat.parse(str(parsed)) == parsed


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "unknown encoding"),
        ("mp3:8000", "unknown encoding"),
        ("s16le", "rate or channels missing"),
        ("s16le:", "rate or channels missing"),
        ("s16le:16k", "rate or channels missing"),
        ("s16le:-8000", "rate or channels missing"),
        ("mulaw:8000:2:2", "rate or channels missing"),
        ("mulaw:8", "8 Hz is no rate"),
        ("mulaw:99999999", "no rate"),
        ("mulaw:8000:0", "channels must be"),
    ],
)
def test_wrong_specification(text: str, what: str) -> None:
    with pytest.raises(AudioError, match=what) as caught:
        RawFormat.parse(text)
    assert "mulaw:8000" in caught.value.mend


def test_decodes_channels_and_byte_orders() -> None:
    stereo = np.array([[1, -2], [300, -400]], np.int16)
    little = RawFormat.parse("s16le:8000:2").decode(stereo.astype("<i2").tobytes())
    big = RawFormat.parse("s16be:8000:2").decode(stereo.astype(">i2").tobytes())
    np.testing.assert_array_equal(to_int16(little), stereo)
    np.testing.assert_array_equal(to_int16(big), stereo)
    codes = bytes([0xFF, 0x80, 0x00, 0xFF])
    mulaw = to_int16(RawFormat.parse("mulaw:8000:2").decode(codes))
    assert mulaw.tolist() == [[0, 32124], [-32124, 0]]


@pytest.mark.parametrize("spec", ["mulaw", "alaw", "s16le:8000"])
def test_speech_as_it_should_be_is_not_doubted(spec: str) -> None:
    data = {
        "mulaw": g711.encode_mulaw(SPEECH),
        "alaw": g711.encode_alaw(SPEECH),
        "s16le:8000": SPEECH.astype("<i2").tobytes(),
    }[spec]
    assert doubt(decoded(data, spec), 8000) is None


def test_silence_noise_and_music_on_hold_are_not_doubted() -> None:
    for pcm in (
        signals.silence(5),
        signals.silence(5, dbfs=-60),
        signals.pink(5),
        signals.music(5),
        signals.dtmf(),
        SPEECH[:2000],
    ):
        assert doubt(pcm, 8000) is None


LEFT = resample(SPEECH, 8000, 44100)
RIGHT = np.roll(LEFT, 90000)
WIDE = np.random.default_rng(0).normal(0, 20, len(LEFT)).astype(np.int16)  # a wideband floor


@pytest.mark.parametrize(
    ("pcm", "what"),
    [
        (decoded(SPEECH.astype(">i2").tobytes(), "s16le:8000"), "loud noise"),
        (decoded(SPEECH.astype("<i2").tobytes()[1:], "s16le:8000"), "loud noise"),
        (decoded(g711.encode_mulaw(SPEECH), "s16le:8000"), "large offset"),
        (decoded(SPEECH.astype("<i2").tobytes(), "mulaw"), "large offset"),
        (np.stack((LEFT, RIGHT), 1).ravel(), "several channels"),
        (np.stack((LEFT, LEFT + WIDE), 1).ravel(), "several channels"),
        (np.stack((LEFT, LEFT), 1).ravel(), "several channels"),
        (np.stack((LEFT, (0.8 * LEFT).astype(np.int16)), 1).ravel(), "several channels"),
        (np.stack((LEFT, 0 * LEFT), 1).ravel(), "several channels"),
        (LEFT, "rate higher than 8000 Hz"),
    ],
    ids=["byte-order", "offset", "mulaw-as-pcm", "pcm-as-mulaw", "44k-stereo", "44k-near-mono",
         "44k-mono-twice", "44k-panned", "44k-one-silent", "44k-mono"],
)  # fmt: skip
def test_what_cannot_be_is_doubted(pcm: Pcm, what: str) -> None:
    said = doubt(pcm, 8000)
    assert said is not None and what in said


@pytest.mark.parametrize("right", ["mulaw", "alaw"])
def test_the_other_law_is_doubted(right: str) -> None:
    quiet = signals.mixed((SPEECH // 4).astype(np.int16), signals.white(8, dbfs=-60))
    encode = g711.encode_mulaw if right == "mulaw" else g711.encode_alaw
    wrong = "alaw" if right == "mulaw" else "mulaw"
    said = doubt(decoded(encode(quiet), wrong), 8000)
    assert said is not None and "other of mu-law and A-law" in said
