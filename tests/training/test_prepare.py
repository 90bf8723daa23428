"""What is prepared: all in order, without copies; what was interrupted ends the same."""

from __future__ import annotations

import csv
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.emotion.test_features import speechlike
from tests.training.corpus import COLUMNS, make_corpus, write_manifest
from voicebot.audio.pcm import to_float
from voicebot.errors import ModelError, OutputError
from voicebot.training import prepare as module
from voicebot.training.augmentation import TARGET_DBFS, active_rms
from voicebot.training.prepare import Prepared, prepare
from voicebot.training.prepared_parts import Fault, Part, write_part
from voicebot.training.speech_corpora import read_manifest


def nothing(what: str, share: float) -> None:
    """Progress that nobody watches."""


def run(data: Path, cache: Path, workers: int = 1) -> Prepared:
    return prepare(data, nothing, workers, cache=cache)


def everything(prepared: Prepared) -> list[tuple[str, bytes]]:
    files = sorted(p for p in prepared.folder.iterdir())
    return [(p.name, p.read_bytes()) for p in files]


def add(data: Path, name: str, samples: np.ndarray, emotion: str, split: str, rate: int) -> None:
    soundfile.write(data / "speech" / name, samples, rate)
    with (data / "speech" / "manifest.csv").open("a", newline="") as file:
        csv.writer(file).writerow((name, "aa", "en", f"x:{split}", emotion, "1.0", split, ""))


def write_first(data: Path, name: str, samples: np.ndarray) -> None:
    """Put an angry training clip before all others in the manifest."""
    soundfile.write(data / "speech" / name, samples, 8000)
    manifest = data / "speech" / "manifest.csv"
    header, rest = manifest.read_text().split("\n", 1)
    manifest.write_text(f"{header}\n{name},aa,en,x,angry,1.0,train,\n{rest}")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_corpus(tmp_path / "data", clips=3)


def test_every_clip_at_the_same_level_and_in_order(data: Path, tmp_path: Path) -> None:
    prepared = run(data, tmp_path / "cache")
    assert [c.file for c in prepared.clips] == [c.file for c in read_manifest(data)]
    assert not prepared.dropped
    for index, clip in enumerate(prepared.clips):
        pcm = prepared.pcm(index)
        assert pcm.dtype == np.int16 and type(pcm) is np.ndarray
        assert clip.seconds == len(pcm) / 8000
        assert 20 * np.log10(active_rms(to_float(pcm))) == pytest.approx(TARGET_DBFS, abs=0.1)
    assert len(pickle.dumps(prepared)) < 20_000  # light enough to send to workers


def test_silence_around_is_cut_but_a_margin_stays(data: Path, tmp_path: Path) -> None:
    voice = speechlike(hz=180, seconds=1.0)
    quiet = np.random.default_rng(0).normal(size=16000).astype(np.int16)
    add(data, "long.wav", np.concatenate([quiet, voice, quiet]), "sad", "train", 8000)
    prepared = run(data, tmp_path / "cache")
    assert prepared.clips[-1].seconds == pytest.approx(1.2, abs=0.03)


def test_another_rate_is_resampled(data: Path, tmp_path: Path) -> None:
    t = np.arange(44100) / 44100
    add(data, "wide.wav", np.sin(2 * np.pi * 440 * t) * 0.5, "sad", "train", 44100)
    prepared = run(data, tmp_path / "cache")
    pcm = prepared.pcm(len(prepared.clips) - 1)
    assert len(pcm) == 8000
    assert np.argmax(np.abs(np.fft.rfft(pcm))) == 440


def test_broken_silent_and_empty_files_are_named_and_left_out(data: Path, tmp_path: Path) -> None:
    add(data, "silent.wav", np.full(8000, 7, np.int16), "sad", "train", 8000)
    add(data, "empty.wav", np.zeros(0, np.int16), "sad", "train", 8000)
    (data / "speech" / "aa_0_1.wav").write_bytes(b"RIFFrubbish")
    prepared = run(data, tmp_path / "cache")
    assert {d.file: d.fault for d in prepared.dropped} == {
        "aa_0_1.wav": Fault.BROKEN, "silent.wav": Fault.SILENT, "empty.wav": Fault.BROKEN,
    }  # fmt: skip
    assert "aa_0_1.wav" in prepared.dropped[0].detail
    assert len(prepared.clips) == 26
    kept = [c.file for c in prepared.clips]
    index = kept.index("aa_0_2.wav")  # what follows a hole is still itself
    clean = make_corpus(tmp_path / "clean", clips=3)
    same = run(clean, tmp_path / "cache2")
    whole = [c.file for c in same.clips].index("aa_0_2.wav")
    assert np.array_equal(prepared.pcm(index), same.pcm(whole))


def test_of_copies_the_one_in_the_test_split_stays(data: Path, tmp_path: Path) -> None:
    samples, _ = soundfile.read(data / "speech" / "aa_2_0.wav", dtype="int16")  # angry, test
    write_first(data, "copy.wav", samples)
    samples, _ = soundfile.read(data / "speech" / "bb_0_1.wav", dtype="int16")  # happy, train
    add(data, "twice.wav", samples, "happy", "train", 8000)
    prepared = run(data, tmp_path / "cache")
    told = {d.file: (d.fault, d.detail) for d in prepared.dropped}
    assert told == {
        "copy.wav": (Fault.DUPLICATE, "a copy of aa_2_0.wav"),
        "twice.wav": (Fault.DUPLICATE, "a copy of bb_0_1.wav"),
    }


def test_copies_with_different_labels_all_go(data: Path, tmp_path: Path) -> None:
    samples, _ = soundfile.read(data / "speech" / "bb_0_1.wav", dtype="int16")
    add(data, "other.wav", samples, "sad", "train", 8000)
    prepared = run(data, tmp_path / "cache")
    assert {d.file for d in prepared.dropped} == {"bb_0_1.wav", "other.wav"}
    assert all(d.fault == Fault.CONTRADICTION for d in prepared.dropped)
    assert "happiness" in prepared.dropped[0].detail and "sadness" in prepared.dropped[0].detail


def test_nothing_left(tmp_path: Path) -> None:
    (tmp_path / "speech").mkdir()
    (tmp_path / "speech" / "a.wav").write_bytes(b"")
    write_manifest(tmp_path, [("a.wav", "aa", "en", "s", "sad", "1", "train", "")], COLUMNS)
    with pytest.raises(ModelError, match=r"no clip can be used.*a\.wav"):
        run(tmp_path, tmp_path / "cache")


def test_interrupted_and_resumed_is_the_same_to_the_byte(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PART", 4)
    (data / "speech" / "aa_0_1.wav").write_bytes(b"RIFFrubbish")
    whole = run(data, tmp_path / "whole")
    written: list[Path] = []

    def interrupted(path: Path, part: Part) -> None:
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(path)
        write_part(path, part)

    monkeypatch.setattr(module, "write_part", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path / "cut")
    written[1].write_bytes(written[1].read_bytes()[:50])  # and the disk lost something too
    monkeypatch.setattr(module, "write_part", write_part)
    told: list[float] = []
    resumed = prepare(data, lambda _, share: told.append(share), 2, cache=tmp_path / "cut")
    assert told[0] == pytest.approx(2 / 7) and told[-1] == 1.0
    assert everything(resumed) == everything(whole)
    assert not list((tmp_path / "cut").glob("*.parts"))


def test_done_once_until_something_changes(data: Path, tmp_path: Path) -> None:
    told: list[float] = []

    def watched(what: str, share: float) -> None:
        told.append(share)

    first = prepare(data, watched, 1, cache=tmp_path / "cache")
    assert told
    told.clear()
    assert prepare(data, watched, 1, cache=tmp_path / "cache") == first
    assert not told
    clip = data / "speech" / "aa_0_0.wav"
    os.utime(clip, (1, 1))
    assert prepare(data, watched, 1, cache=tmp_path / "cache").folder != first.folder
    assert told


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / "samples.i16").write_bytes(b"12"),
        lambda folder: (folder / "index.json").write_text("{"),
        lambda folder: (folder / "index.json").unlink(),
    ],
)
def test_a_harmed_cache_is_made_again(
    data: Path, tmp_path: Path, harm: Callable[[Path], object]
) -> None:
    first = run(data, tmp_path / "cache")
    before = everything(first)
    harm(first.folder)
    assert everything(run(data, tmp_path / "cache")) == before


def test_a_cache_that_cannot_be_written_is_named(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="--cache"):
        run(data, tmp_path / "file")
