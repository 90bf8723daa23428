from __future__ import annotations

import io
import os
import pty
import struct
import sys
import threading
import tracemalloc
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from tests import signals
from voicebot.audio import files, g711
from voicebot.audio.files import open_file
from voicebot.audio.pcm import to_float
from voicebot.audio.raw import RawFormat
from voicebot.audio.source import AudioSource
from voicebot.errors import AudioError
from voicebot.events import Leg, Pcm

CALLER, AGENT = Leg.CALLER, Leg.AGENT
MULAW = RawFormat.parse("mulaw:8000")


def read(source: AudioSource) -> dict[Leg, Pcm]:
    """All audio of a source, after checking its clock."""
    with source:
        blocks = list(source.blocks())
    for number, block in enumerate(blocks):
        assert tuple(block) == source.legs
        for frame in block.values():
            assert frame.start == pytest.approx(number / 10)
            assert frame.rate == source.rate
            assert len(frame.pcm) == source.rate // 10 or block is blocks[-1]
    empty = np.empty(0, np.int16)
    return {leg: np.concatenate([empty, *(b[leg].pcm for b in blocks)]) for leg in source.legs}


def wav_bytes(
    data: bytes, *, announced: int | None = None, rate: int = 8000, channels: int = 1
) -> bytes:
    """A 16-bit WAV file by hand, whose header may lie."""
    size = len(data) if announced is None else announced
    form = struct.pack("<IHHIIHH", 16, 1, channels, rate, 2 * channels * rate, 2 * channels, 16)
    chunks = b"WAVEfmt " + form + b"data" + struct.pack("<I", size) + data
    return b"RIFF" + struct.pack("<I", (len(chunks) + size - len(data)) & 0xFFFFFFFF) + chunks


# ------------------------------------------------- what can be read


@pytest.mark.parametrize(
    ("suffix", "subtype", "worst"),
    [
        ("wav", "PCM_U8", 256),
        ("wav", "PCM_16", 0),
        ("wav", "PCM_24", 0),
        ("wav", "PCM_32", 0),
        ("wav", "FLOAT", 0),
        ("wav", "DOUBLE", 0),
        ("wav", "ULAW", 700),
        ("wav", "ALAW", 700),
        ("wav", "IMA_ADPCM", None),
        ("flac", "PCM_16", 0),
        ("flac", "PCM_24", 0),
        ("aiff", "PCM_16", 0),
        ("au", "ULAW", 700),
        ("ogg", "VORBIS", None),
        ("ogg", "OPUS", None),
    ],
)
def test_formats(tmp_path: Path, suffix: str, subtype: str, worst: int | None) -> None:
    pcm = signals.speech()
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, to_float(pcm), 8000, subtype=subtype)
    source: AudioSource = open_file(path)
    assert isinstance(source, AudioSource)
    assert (source.rate, source.legs, source.name) == (8000, (CALLER,), str(path))
    assert source.seconds == pytest.approx(len(pcm) / 8000, abs=0.07)
    heard = read(source)[CALLER]
    assert source.warnings == []
    if worst is None:  # lossy: the same sound, not the same samples
        size = min(len(heard), len(pcm))
        assert abs(len(heard) - len(pcm)) < 600
        assert np.corrcoef(heard[:size], pcm[:size])[0, 1] > 0.95
    else:
        assert len(heard) == len(pcm)
        assert np.abs(heard.astype(int) - pcm).max() <= worst


@pytest.mark.parametrize("suffix", ["raw", "txt", "flac", ""])
def test_the_suffix_does_not_matter(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(GOOD)
    np.testing.assert_array_equal(read(open_file(path))[CALLER], signals.speech())


@pytest.mark.parametrize("rate", [6000, 8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000])
def test_rates_keep_length_pitch_and_clock(tmp_path: Path, rate: int) -> None:
    count = round(2.345 * rate)
    tone = signals.tone(2.345, 1000, rate=rate)
    tone[count // 2 :] = 0  # something to see the clock by
    soundfile.write(tmp_path / "a.wav", tone, rate)
    source = open_file(tmp_path / "a.wav")
    assert source.rate == (8000 if rate <= 8000 else 16000)
    heard = read(source)[CALLER]
    assert len(heard) == pytest.approx(2.345 * source.rate, abs=1)
    spectrum = np.abs(np.fft.rfft(heard[: source.rate]))
    assert int(np.argmax(spectrum)) == 1000
    loud = np.flatnonzero(np.abs(heard.astype(int)) > 3000)
    assert loud[-1] / source.rate == pytest.approx(2.345 / 2, abs=0.002)


@pytest.mark.parametrize(
    ("legs", "columns"),
    [
        (None, {CALLER: 0, AGENT: 1}),
        ((AGENT, CALLER), {AGENT: 0, CALLER: 1}),
        ((None, CALLER), {CALLER: 1}),
    ],
)
def test_stereo_is_two_legs(
    tmp_path: Path, legs: Sequence[Leg | None] | None, columns: dict[Leg, int]
) -> None:
    stereo = np.stack((signals.speech()[:20000], signals.tone(2.5, 300)), axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, 8000)
    heard = read(open_file(tmp_path / "a.wav", legs=legs))
    assert set(heard) == set(columns)
    for leg, column in columns.items():
        np.testing.assert_array_equal(heard[leg], stereo[:, column])


def test_many_channels_need_names(tmp_path: Path) -> None:
    four = np.stack([signals.tone(0.5, f) for f in (300, 400, 500, 600)], axis=1)
    soundfile.write(tmp_path / "a.wav", four, 8000)
    with pytest.raises(AudioError, match="4 channels") as caught:
        open_file(tmp_path / "a.wav")
    assert "caller,agent,-,-" in caught.value.mend
    heard = read(open_file(tmp_path / "a.wav", legs=(None, AGENT, None, CALLER)))
    np.testing.assert_array_equal(heard[CALLER], four[:, 3])


def test_a_long_file_is_streamed(tmp_path: Path) -> None:
    minute = np.tile(signals.pink(6), 10)
    with soundfile.SoundFile(tmp_path / "a.wav", "w", 8000, 1, subtype="PCM_16") as out:
        for _ in range(20):
            out.write(minute)
    tracemalloc.start()
    with open_file(tmp_path / "a.wav") as source:
        blocks = sum(1 for _ in source.blocks())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert blocks == 12000
    assert peak < 2**20  # the file has 19 MB


def test_close_ends_the_blocks(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", signals.pink(10), 8000)
    source = open_file(tmp_path / "a.wav")
    blocks = source.blocks()
    next(blocks)
    source.close()
    source.close()
    assert len(list(blocks)) <= 10  # what had been read


# ------------------------------------------------- raw, and standard input


@pytest.mark.parametrize(
    ("spec", "encode"),
    [
        ("mulaw:8000", g711.encode_mulaw),
        ("alaw:8000", g711.encode_alaw),
        ("s16le:8000", lambda pcm: pcm.astype("<i2").tobytes()),
        ("s16be:8000", lambda pcm: pcm.astype(">i2").tobytes()),
    ],
)
def test_raw_files(tmp_path: Path, spec: str, encode: object) -> None:
    pcm = signals.speech()
    assert callable(encode)
    (tmp_path / "a.raw").write_bytes(encode(pcm))
    source = open_file(tmp_path / "a.raw", raw=RawFormat.parse(spec))
    assert source.seconds == pytest.approx(len(pcm) / 8000)
    heard = read(source)[CALLER]
    assert source.warnings == []
    assert np.corrcoef(heard, pcm)[0, 1] > 0.999


def test_raw_stereo_at_44100(tmp_path: Path) -> None:
    left, right = signals.tone(1, 440, rate=44100), signals.tone(1, 660, rate=44100)
    (tmp_path / "a.raw").write_bytes(np.stack((left, right), 1).astype("<i2").tobytes())
    source = open_file(tmp_path / "a.raw", raw=RawFormat.parse("s16le:44100:2"))
    heard = read(source)
    assert source.rate == 16000
    for leg, pitch in ((CALLER, 440), (AGENT, 660)):
        assert len(heard[leg]) == 16000
        assert int(np.argmax(np.abs(np.fft.rfft(heard[leg])))) == pitch


class Stdin:
    """Standard input as a pipe that the test writes into."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        end, self.write_end = os.pipe()
        self.buffer = os.fdopen(end, "rb")
        monkeypatch.setattr(sys, "stdin", self)

    def write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.write_end, data) :]

    def close(self) -> None:
        os.close(self.write_end)


def test_raw_standard_input_does_not_wait_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = Stdin(monkeypatch)
    pcm = signals.speech()[:2000]
    source = open_file("-", raw=MULAW)
    assert (source.name, source.seconds) == ("standard input", None)
    blocks = source.blocks()
    stdin.write(g711.encode_mulaw(pcm)[:900])
    first = next(blocks)[CALLER]  # the pipe is still open
    assert len(first.pcm) == 800
    stdin.write(g711.encode_mulaw(pcm)[900:])
    stdin.close()
    rest = [block[CALLER].pcm for block in blocks]
    heard = np.concatenate([first.pcm, *rest])
    np.testing.assert_array_equal(heard, g711.decode_mulaw(g711.encode_mulaw(pcm)))
    source.close()
    assert not stdin.buffer.closed


@pytest.mark.parametrize("suffix", ["WAV", "FLAC", "OGG"])
def test_container_on_standard_input(monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    pcm = signals.speech()
    data = io.BytesIO()
    soundfile.write(data, pcm, 8000, format=suffix)
    stdin = Stdin(monkeypatch)
    with ThreadPoolExecutor() as pool:
        written = pool.submit(stdin.write, data.getvalue())
        written.add_done_callback(lambda _: stdin.close())
        heard = read(open_file("-"))[CALLER]
    size = min(len(heard), len(pcm))
    assert np.corrcoef(heard[:size], pcm[:size])[0, 1] > 0.95


def test_a_wav_that_a_program_streams_has_no_length(monkeypatch: pytest.MonkeyPatch) -> None:
    pcm = signals.speech()
    monkeypatch.setattr(
        sys, "stdin",
        SimpleNamespace(buffer=io.BytesIO(wav_bytes(pcm.tobytes(), announced=0xFFFFFFFF))),
    )  # fmt: skip
    source = open_file("-")
    np.testing.assert_array_equal(read(source)[CALLER], pcm)
    assert source.warnings == []


def test_standard_input_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "STDIN_LIMIT", 1000)
    data = wav_bytes(signals.speech().tobytes())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    with pytest.raises(AudioError, match="more than 0 MiB through a pipe"):
        open_file("-")


def test_standard_input_that_is_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    main, other = pty.openpty()
    with os.fdopen(other, "rb") as terminal:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=terminal))
        with pytest.raises(AudioError, match="nothing is piped in"):
            open_file("-", raw=MULAW)
    os.close(main)


def test_standard_input_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(AudioError, match="standard input: is closed"):
        open_file("-")


class BadDisk(io.RawIOBase):
    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        raise OSError(5, "Input/output error")


def test_a_disk_that_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BufferedReader(BadDisk())))
    for raw in (MULAW, None):
        with pytest.raises(AudioError, match="input: cannot be read: Input/output error"):
            read(open_file("-", raw=raw))
    (tmp_path / "a.wav").write_bytes(GOOD)
    monkeypatch.setattr(files, "sniff", lambda head: BadDisk().readinto(head))
    with pytest.raises(AudioError, match=r"a\.wav: cannot be read: Input/output error"):
        open_file(tmp_path / "a.wav")


@pytest.mark.parametrize("raw", [None, MULAW])
def test_empty_standard_input(monkeypatch: pytest.MonkeyPatch, raw: RawFormat | None) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO()))
    with pytest.raises(AudioError, match="standard input: empty"):
        read(open_file("-", raw=raw))


def test_a_named_pipe(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    pcm = signals.speech()
    writer = threading.Thread(target=fifo.write_bytes, args=(wav_bytes(pcm.tobytes()),))
    writer.start()
    np.testing.assert_array_equal(read(open_file(fifo))[CALLER], pcm)
    writer.join()


# ------------------------------------------------- bad input


GOOD = wav_bytes(signals.speech().tobytes())


@pytest.mark.parametrize(
    ("data", "raw", "what", "mend"),
    [
        (b"", None, "empty, not one byte", "again"),
        (b"", MULAW, "empty, not one byte", "again"),
        (GOOD[:20], None, "cut off in its header", "again"),
        (GOOD[:40], None, "cut off in its header", "again"),
        (GOOD[:44], None, "header and no audio", "again"),
        (wav_bytes(GOOD[44:], announced=0), None, "bytes follow", "sox --ignore-length"),
        (wav_bytes(GOOD, rate=0), None, "", "again"),
        (wav_bytes(GOOD, rate=4_000_000), None, "4000000 Hz", "again"),
        (wav_bytes(GOOD, channels=0), None, "header", "again"),
        (b"Dear customer,\nyour call is important to us.\n" * 9, None, "is text", "WAV"),
        (b"Dear customer,\nyour call is important to us.\n" * 9, MULAW, "is text", "WAV"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(range(256)), None, "JPEG", "WAV"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(range(256)), MULAW, "JPEG", "WAV"),
        (b"\x00\x00\x00\x18ftypM4A " + bytes(100), None, "MP4", "WAV"),
        (b"RIFF\x00\x00\x00\x00AVI " + bytes(100), None, "RIFF file of another", "WAV"),
        (g711.encode_mulaw(signals.speech()), None, "no audio format", "--raw mulaw:8000"),
        (GOOD, MULAW, "is a WAV file, not raw", "leave --raw out"),
        (b"fLaC" + bytes(50), None, "cut off in its header", "again"),
        (b"OggS" + bytes(50), None, "cut off in its header", "again"),
    ],
    ids=["empty", "empty raw", "header cut", "header cut late", "header only", "unfinished",
         "0 Hz", "4 MHz", "0 channels", "text", "text as raw", "JPEG", "JPEG as raw", "MP4", "AVI",
         "raw unsaid", "WAV as raw", "FLAC broken", "Ogg broken"],
)  # fmt: skip
def test_not_audio(
    tmp_path: Path, data: bytes, raw: RawFormat | None, what: str, mend: str
) -> None:
    path = tmp_path / "bad.wav"
    path.write_bytes(data)
    with pytest.raises(AudioError) as caught:
        read(open_file(path, raw=raw))
    assert caught.value.what.startswith(f"{path}: ")
    assert what in caught.value.what
    assert mend in caught.value.mend
    assert "<_io" not in str(caught.value)  # no Python in it


def test_not_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AudioError, match="no such file"):
        open_file(tmp_path / "none.wav")
    with pytest.raises(AudioError, match="is a directory"):
        open_file(tmp_path)
    with pytest.raises(AudioError, match="cannot be opened"):
        open_file(tmp_path / ("x" * 300))

    def refuse(*args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(AudioError, match=r"cannot be opened: Permission denied.*rights"):
        open_file(tmp_path / "none.wav")


def test_a_file_that_was_refused_is_closed(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"not audio, surely not")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(20):
        with pytest.raises(AudioError):
            open_file(tmp_path / "a.txt")
    assert len(os.listdir("/proc/self/fd")) <= before + 1  # noqa: PTH208


def test_wav_shorter_than_it_says(tmp_path: Path) -> None:
    pcm = signals.speech()
    (tmp_path / "a.wav").write_bytes(wav_bytes(pcm.tobytes()[:20001], announced=2 * len(pcm)))
    source = open_file(tmp_path / "a.wav")
    np.testing.assert_array_equal(read(source)[CALLER], pcm[:10000])
    (warning,) = source.warnings
    assert "only 31% of the audio its header announces" in warning and "a.wav" in warning


def test_flac_cut_off(tmp_path: Path) -> None:
    data = io.BytesIO()
    soundfile.write(data, np.tile(signals.speech(), 5), 8000, format="FLAC")
    (tmp_path / "a.flac").write_bytes(data.getvalue()[: len(data.getvalue()) // 2])
    source = open_file(tmp_path / "a.flac")
    heard = read(source)[CALLER]
    assert 60000 < len(heard) < 100000
    (warning,) = source.warnings
    assert "cut off or damaged" in warning


def test_float_nan_and_infinity_are_silence_and_told(tmp_path: Path) -> None:
    pcm = signals.speech()
    floats = to_float(pcm)
    floats[1000:1010] = np.nan
    floats[2000] = np.inf
    soundfile.write(tmp_path / "a.wav", floats, 8000, subtype="FLOAT")
    source = open_file(tmp_path / "a.wav")
    heard = read(source)[CALLER]
    assert not heard[1000:1010].any() and heard[2000] == 0
    np.testing.assert_array_equal(heard[3000:], pcm[3000:])
    (warning,) = source.warnings
    assert "11 samples are not a number" in warning


def levels(tmp_path: Path, samples: npt.NDArray[np.generic], subtype: str) -> list[str]:
    soundfile.write(tmp_path / "a.wav", samples, 8000, subtype=subtype)
    source = open_file(tmp_path / "a.wav")
    read(source)
    return source.warnings


def test_odd_levels_are_told(tmp_path: Path) -> None:
    pcm = signals.speech()
    assert levels(tmp_path, pcm, "PCM_16") == []
    (zero,) = levels(tmp_path, 0 * pcm, "PCM_16")
    assert "caller leg is digital silence" in zero
    (quiet,) = levels(tmp_path, pcm // 300, "PCM_16")
    assert "all but silent, peak -57 dBFS" in quiet
    (clipped,) = levels(tmp_path, np.clip(40.0 * to_float(pcm), -1, 1), "PCM_16")
    assert "far too loud" in clipped and "clipped" in clipped
    (unscaled,) = levels(tmp_path, pcm.astype(np.float32), "FLOAT")
    assert "times full scale" in unscaled
    (absurd,) = levels(tmp_path, 1e37 * to_float(pcm), "FLOAT")
    assert "times full scale" in absurd
    (agent,) = levels(tmp_path, np.stack((pcm, 0 * pcm), axis=1), "PCM_16")
    assert "agent leg is digital silence" in agent and "--legs" in agent


def test_raw_that_cannot_be_right_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    left = signals.tone(3, 310, 530, 1200, rate=44100)
    right = signals.tone(3, 400, 700, 2100, rate=44100)
    path.write_bytes(np.stack((left, right), 1).astype("<i2").tobytes())
    source = open_file(path, raw=RawFormat.parse("s16le:8000"))
    assert source.seconds == pytest.approx(33.075)  # played far too slowly
    read(source)
    assert any("several channels" in w and "check --raw" in w for w in source.warnings)

    path.write_bytes(signals.speech().astype("<i2").tobytes())
    source = open_file(path, raw=MULAW)
    read(source)
    assert any("encoding another" in w and "mulaw:8000:1" in w for w in source.warnings)

    path.write_bytes(signals.speech().astype("<i2").tobytes()[:-1])
    source = open_file(path, raw=RawFormat.parse("s16le:8000"))
    read(source)
    (warning,) = source.warnings
    assert "in the middle of a sample, 1 bytes left over" in warning


@pytest.mark.shared
def test_real_recordings(shared_data: Path) -> None:
    for name, seconds in (("phone_sales", 45.3), ("auto_service", 277.66), ("azure_call", 120.0)):
        source = open_file(shared_data / "calls" / f"{name}.ogg")
        assert source.seconds == pytest.approx(seconds, abs=0.01)
        assert sum(len(p) for p in read(source).values()) == pytest.approx(seconds * 8000, abs=80)
        assert source.warnings == []
