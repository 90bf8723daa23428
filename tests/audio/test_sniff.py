from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile

from tests import signals
from voicebot.audio import g711
from voicebot.audio.sniff import Kind, sniff, wav_shortfall


@pytest.mark.parametrize("form", ["WAV", "RF64", "FLAC", "OGG", "AIFF", "AU", "CAF", "W64", "MP3"])
def test_containers(form: str) -> None:
    data = io.BytesIO()
    soundfile.write(data, signals.speech(), 8000, format=form)
    kind, what = sniff(data.getvalue()[:4096])
    assert kind is Kind.AUDIO and what.endswith("file")


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"\xff\xd8\xff\xe1 1234", "a JPEG picture"),
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"PK\x03\x04....", "a ZIP archive"),
        (b"{\"a\": 1}\n", "text"),
        ("전화를 끊지 마세요. ".encode() * 9, "text"),
        ("好的".encode() * 9 + "好".encode()[:2], "text"),  # cut in a character
    ],
)  # fmt: skip
def test_other_things(head: bytes, what: str) -> None:
    assert sniff(head) == (Kind.OTHER, what)


def test_raw_audio_is_nothing_known() -> None:
    for pcm in (signals.speech(), signals.silence(1), signals.white(1, dbfs=-10), signals.dtmf()):
        for at in (0, 3000, 5000):
            piece = pcm[at : at + 4096]
            for data in (piece.tobytes(), g711.encode_mulaw(piece), g711.encode_alaw(piece)):
                assert sniff(data)[0] is Kind.UNKNOWN or not data


def test_noise_is_never_taken_for_mp3() -> None:
    rng = np.random.default_rng(5)
    for _ in range(500):
        head = b"\xff\xfb" + rng.bytes(4000)
        assert sniff(head)[0] is Kind.UNKNOWN


def chunk(name: bytes, data: bytes, size: int | None = None) -> bytes:
    padding = b"\0" * (len(data) % 2)
    return name + struct.pack("<I", len(data) if size is None else size) + data + padding


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (chunk(b"data", bytes(100)), (100, 100)),
        (chunk(b"LIST", bytes(7)) + chunk(b"data", bytes(100)), (100, 100)),
        (chunk(b"data", bytes(100), 250), (250, 100)),
        (chunk(b"data", b"", 0) + b"\1\2\3\4" * 25, (0, 100)),
        (chunk(b"data", b""), (0, 0)),
        (chunk(b"data", b"") + chunk(b"LIST", bytes(7)), (0, 0)),
        (chunk(b"data", bytes(100), 0xFFFFFFFF), (100, 100)),
        (chunk(b"data", bytes(100), 0x7FFFFFFF - 36), (100, 100)),
        (chunk(b"LIST", bytes(7), 0xFFFFFFF0), (0, 0)),
        (b"", (0, 0)),
        (b"dat", (0, 0)),
    ],
)
def test_what_a_wav_announces(data: bytes, expected: tuple[int, int]) -> None:
    whole = b"RIFF\0\0\0\0WAVE" + data
    assert wav_shortfall(io.BytesIO(whole), len(whole)) == expected


def test_other_files_announce_nothing() -> None:
    assert wav_shortfall(io.BytesIO(b"fLaC" + bytes(99)), 103) == (0, 0)
