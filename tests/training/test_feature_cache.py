"""The cache gives what computing gives, whatever the number of workers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.training.corpus import make_corpus
from voicebot.emotion.features import FEATURES
from voicebot.errors import OutputError
from voicebot.training.augmentation import CLEAN, NOISY, Condition
from voicebot.training.feature_cache import clip_features, default_cache, feature_table
from voicebot.training.speech_corpora import for_training, read_manifest


def table(
    folder: Path, cache: Path, condition: Condition = NOISY, workers: int = 1, seed: int = 0
) -> tuple[np.ndarray, list[float]]:
    told: list[float] = []
    out = feature_table(
        folder, read_manifest(folder), condition, for_training, seed=seed, cache=cache,
        progress=lambda what, share: told.append(share), workers=workers,
    )  # fmt: skip
    return out, told


def test_computed_once_and_the_same_for_any_number_of_workers(tmp_path: Path) -> None:
    folder = make_corpus(tmp_path / "data", clips=2)
    one, told = table(folder, tmp_path / "a")
    assert one.shape == (18, len(FEATURES))
    assert told[-1] == 1.0
    two, _ = table(folder, tmp_path / "b", workers=2)
    assert np.array_equal(one, two)
    again, told = table(folder, tmp_path / "a")
    assert np.array_equal(one, again)
    assert told == []


def test_what_matters_makes_another_table(tmp_path: Path) -> None:
    folder = make_corpus(tmp_path / "data", clips=2)
    base, _ = table(folder, tmp_path / "c")
    assert not np.array_equal(base, table(folder, tmp_path / "c", CLEAN)[0])
    assert not np.array_equal(base, table(folder, tmp_path / "c", seed=1)[0])
    assert len(list((tmp_path / "c").glob("*.npy"))) == 3


def test_a_broken_cache_is_computed_again(tmp_path: Path) -> None:
    folder = make_corpus(tmp_path / "data", clips=2)
    base, _ = table(folder, tmp_path / "c")
    (file,) = (tmp_path / "c").glob("*.npy")
    file.write_bytes(file.read_bytes()[:100])
    again, told = table(folder, tmp_path / "c")
    assert told
    assert np.array_equal(base, again)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    folder = make_corpus(tmp_path / "data", clips=2)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="--cache"):
        table(folder, tmp_path / "file", CLEAN)


def test_a_very_short_clip_has_features() -> None:
    assert clip_features(np.ones(100, np.int16)).shape == (len(FEATURES),)


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "voicebot" / "features"
