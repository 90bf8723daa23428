"""The manifest is read or refused with the line and the mend."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.training.corpus import COLUMNS, make_corpus, write_manifest
from voicebot.errors import ModelError
from voicebot.training.speech_corpora import (
    balanced_weights,
    for_testing,
    for_training,
    read_clip,
    read_manifest,
    read_noises,
)

GOOD = ("aa_0_0.wav", "aa", "en", "aa:0", "angry", "1.0", "train", "")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_corpus(tmp_path / "data")


def test_a_good_manifest(folder: Path) -> None:
    clips = read_manifest(folder)
    assert len(clips) == 54
    assert clips[0].angry
    assert clips[0].seconds == 1.0
    assert not clips[1].angry


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"emotion": "furious"}, "2: unknown emotion 'furious'"),
        ({"split": "validation"}, "unknown split"),
        ({"file": "absent.wav"}, "no file"),
        ({"seconds": "long"}, "seconds is 'long'"),
    ],
)
def test_a_bad_line_is_named(folder: Path, change: dict[str, str], found: str) -> None:
    row = tuple(change.get(c, v) for c, v in zip(COLUMNS, GOOD, strict=True))
    write_manifest(folder, [row])
    with pytest.raises(ModelError, match=found):
        read_manifest(folder)


def test_a_speaker_in_two_splits_is_refused(folder: Path) -> None:
    write_manifest(folder, [GOOD, (*GOOD[:6], "test", "")])
    with pytest.raises(ModelError, match="aa:0"):
        read_manifest(folder)


def test_missing_things_are_named_with_what_is_expected(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"manifest\.csv") as caught:
        read_manifest(tmp_path / "nothing")
    assert "--data" in caught.value.mend
    write_manifest(folder, [GOOD[:-2]], COLUMNS[:-2])
    with pytest.raises(ModelError, match="no column 'split'"):
        read_manifest(folder)
    write_manifest(folder, [])
    with pytest.raises(ModelError, match="no clips"):
        read_manifest(folder)
    with pytest.raises(ModelError, match="no background noise"):
        read_noises(folder, lambda name: False)


def test_a_broken_or_empty_clip_is_named(tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFFnot really")
    with pytest.raises(ModelError, match=r"bad\.wav"):
        read_clip(bad)
    empty = tmp_path / "empty.wav"
    soundfile.write(empty, np.zeros(0, np.int16), 8000)
    with pytest.raises(ModelError, match="empty"):
        read_clip(empty)


def test_stereo_at_another_rate_is_brought_to_8_khz_mono(tmp_path: Path) -> None:
    path = tmp_path / "s.wav"
    soundfile.write(path, np.zeros((16000, 2), np.int16), 16000)
    assert read_clip(path).shape == (8000,)


def test_weights_balance_emotions_within_a_corpus(folder: Path) -> None:
    clips = read_manifest(folder)
    weights = balanced_weights(clips)
    assert weights.mean() == pytest.approx(1.0)
    share = {
        emotion: sum(w for w, c in zip(weights, clips, strict=True) if c.emotion == emotion)
        for emotion in {c.emotion for c in clips}
    }
    assert max(share.values()) == pytest.approx(min(share.values()))


def test_noises_for_training_and_tests_are_apart() -> None:
    assert for_training("esc10_dog_bark_4-1-A.ogg")
    assert for_testing("esc10_dog_bark_5-1-A.ogg")
    assert for_testing("street_x.ogg")
    assert not for_training("typing_x.ogg")


@pytest.mark.shared
def test_the_shared_manifest(shared_data: Path) -> None:
    clips = read_manifest(shared_data)
    assert len(clips) == 9195
    assert {c.corpus for c in clips} == {"ravdess", "tess", "nemo", "turev", "ko", "urdu"}
