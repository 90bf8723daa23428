from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

from tests.training.corpus import make_corpus
from voicebot.training.augmentation import CLEAN, NOISY, degrade
from voicebot.training.hearing import Hearing
from voicebot.training.speech_corpora import (
    Clip,
    for_training,
    read_clip,
    read_manifest,
    read_noises,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus") / "data", clips=4)


@pytest.fixture(scope="module")
def clips(data: Path) -> list[Clip]:
    return read_manifest(data)


def test_chance_is_of_seed_condition_and_name_alone(data: Path, clips: list[Clip]) -> None:
    hearing = Hearing(data, for_training, NOISY, 3)
    clip = clips[1]
    salt, name = zlib.crc32(repr(NOISY).encode()), zlib.crc32(clip.file.encode())
    expected = degrade(
        read_clip(clip.path), NOISY, np.random.default_rng((3, salt, name)),
        read_noises(data, for_training),
    )  # fmt: skip
    hearing.of(clips[0])
    assert np.array_equal(hearing.of(clip), expected)
    assert np.array_equal(hearing.of(clip), expected), "however often it was heard before"
    assert not np.array_equal(Hearing(data, for_training, NOISY, 4).of(clip), expected)


def test_where_no_noise_is_asked_for_none_is_needed(tmp_path: Path, clips: list[Clip]) -> None:
    assert len(Hearing(tmp_path / "absent", for_training, CLEAN, 0).of(clips[0]))
