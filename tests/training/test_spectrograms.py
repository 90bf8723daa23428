"""Spectrograms of clips: what they show, that they are the sound others hear, and the cache."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.training.corpus import make_corpus
from voicebot.emotion.logmel import log_mel
from voicebot.errors import OutputError
from voicebot.training import spectrograms as module
from voicebot.training.augmentation import CLEAN, NOISY, Condition
from voicebot.training.spectrograms import (
    HEARD_BANDS,
    MAX_STEPS,
    Spectrograms,
    spectrogram,
    spectrograms,
)
from voicebot.training.speech_corpora import for_training, read_clip, read_manifest


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus") / "data", clips=2)


def made(
    data: Path, cache: Path, condition: Condition = NOISY, seed: int = 0, workers: int = 1
) -> Spectrograms:
    return spectrograms(
        data, read_manifest(data), condition, for_training, seed=seed, cache=cache,
        progress=lambda share: None, workers=workers,
    )  # fmt: skip


def test_all_bands_that_a_telephone_has_and_no_other() -> None:
    noise = (np.random.default_rng(0).normal(size=8000) * 3000).astype(np.int16)
    moves = log_mel(noise).std(axis=1) > 1e-3
    assert moves[:HEARD_BANDS].all()
    assert not moves[HEARD_BANDS:].any()


def test_a_step_is_twenty_milliseconds_and_the_end_counts() -> None:
    rng = np.random.default_rng(0)
    pcm = (rng.normal(size=80_000) * 3000).astype(np.int16)
    assert spectrogram(pcm[:8000]).shape == (50, HEARD_BANDS)
    whole = spectrogram(pcm)
    assert len(whole) == MAX_STEPS
    frames = log_mel(pcm[-64_000:])[:HEARD_BANDS, -2:].mean(axis=1)
    assert np.allclose(whole[-1], frames, atol=1e-6)


def test_the_shortest_clip_has_one_too() -> None:
    assert np.isfinite(spectrogram(np.ones(10, np.int16))).all()


def test_each_clip_keeps_its_own_length_and_is_its_own(data: Path, tmp_path: Path) -> None:
    found = made(data, tmp_path, CLEAN)
    clips = read_manifest(data)
    assert len(found) == len(clips)
    assert found.lengths.tolist() == [50] * len(clips)
    # Over a clean line a spectrogram is that of the file but for level and codec.
    for index, clip in enumerate(clips):
        own = spectrogram(read_clip(clip.path))
        assert np.corrcoef(found[index].ravel(), own.ravel())[0, 1] > 0.9


def test_chance_is_of_the_seed_and_not_of_the_processes(data: Path, tmp_path: Path) -> None:
    first = made(data, tmp_path / "a")
    assert np.array_equal(first.steps, made(data, tmp_path / "b", workers=2).steps)
    assert not np.array_equal(first.steps, made(data, tmp_path / "a", seed=1).steps)
    assert not np.array_equal(first.steps, made(data, tmp_path / "a", CLEAN).steps)


def test_kept_and_if_broken_made_again(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = made(data, tmp_path)
    (file,) = tmp_path.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(module, "spectrogram", None)
        assert np.array_equal(made(data, tmp_path).steps, first.steps)
    file.write_bytes(file.read_bytes()[:1000])
    assert np.array_equal(made(data, tmp_path).steps, first.steps)


def test_a_cache_that_cannot_be_written(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="spectrograms-") as raised:
        made(data, tmp_path / "file", CLEAN)
    assert "--cache" in raised.value.mend
