"""Training: reproducible from the seed, the graph says what scikit-learn says, errors mend."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.corpus import COLUMNS, make_corpus, write_manifest
from tests.training.whisper import install, packed, weights
from voicebot.emotion.acoustic import WITH_ENCODER, AcousticModel
from voicebot.emotion.features import FEATURE_SET
from voicebot.emotion.onnx_model import load_model
from voicebot.errors import ModelError
from voicebot.training import feature_cache
from voicebot.training.acoustic import train, train_small
from voicebot.training.acoustic_model import Recipe
from voicebot.training.augmentation import CLEAN, NOISY
from voicebot.training.report import Progress, TrainReport
from voicebot.training.speech_corpora import read_clip, read_manifest

SMALL = Recipe(hidden=8, members=2, samples=2000)


def quiet(what: str, share: float) -> None:
    assert 0.0 <= share <= 1.0


def small(
    data: Path, out: Path, cache: Path, seed: int = 0, *, progress: Progress = quiet,
    workers: int = 1,
) -> TrainReport:  # fmt: skip
    return train_small(
        data, out, seed=seed, progress=progress, cache=cache, workers=workers, recipe=SMALL,
        conditions=(CLEAN, NOISY),
    )  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus") / "data")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_the_same_seed_gives_the_same_weights(data: Path, cache: Path, tmp_path: Path) -> None:
    digests = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        small(data, tmp_path / name, cache, seed)
        digests.append(hashlib.sha256((tmp_path / name / "model.onnx").read_bytes()).hexdigest())
    assert digests[0] == digests[1] != digests[2]
    for file in ("calibration.json", "card.md"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_the_trained_model_knows_anger_when_it_hears_it(
    data: Path, cache: Path, tmp_path: Path
) -> None:
    report = small(data, tmp_path / "m", cache)
    assert report.figures["mean test"]["auc"] > 0.9
    assert report.figures["mean unseen"]["auc"] > 0.9
    model = AcousticModel.load(tmp_path / "m")
    anger: dict[bool, list[float]] = {True: [], False: []}
    for clip in read_manifest(data):
        if clip.split == "test":
            reading = model.score(read_clip(clip.path), 8000, 1.0)
            assert reading.score is not None
            anger[clip.angry].append(reading.score.anger_logit)
    assert np.mean(anger[True]) > np.mean(anger[False]) + 1.0


def test_the_card_says_first_what_governs_the_weights(
    data: Path, cache: Path, tmp_path: Path
) -> None:
    small(data, tmp_path / "m", cache)
    card = (tmp_path / "m" / "card.md").read_text()
    assert "Licence of these weights" in card.splitlines()[0]
    assert "voicebot train acoustic --small --data" in "".join(card.splitlines()[:8])
    assert "| aa | en | 3 |" in card


def test_one_corpus_is_not_enough(data: Path, cache: Path, tmp_path: Path) -> None:
    rows = [
        (c.file, "aa", "en", c.speaker, ("angry", "sad")[not c.angry], "1", c.split, "")
        for c in read_manifest(data)
    ]
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("speech", "noise"):
        (folder / name).mkdir()
        for file in (data / name).glob("*.[wo][ag][vg]"):
            (folder / name / file.name).hardlink_to(file)
    write_manifest(folder, rows, COLUMNS)
    with pytest.raises(ModelError, match="only one corpus"):
        small(folder, tmp_path / "m", cache)


def test_data_without_anger_is_refused(tmp_path: Path) -> None:
    folder = make_corpus(tmp_path / "data", clips=1)
    with pytest.raises(ModelError, match="both angry and other"):
        small(folder, tmp_path / "m", tmp_path / "c")


def rows_of(data: Path) -> list[tuple[str, ...]]:
    lines = (data / "speech" / "manifest.csv").read_text().splitlines()[1:]
    return [tuple(line.split(",")) for line in lines]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_broken_clip_is_named_and_nothing_is_written(workers: int, tmp_path: Path) -> None:
    folder = make_corpus(tmp_path / "data")
    broken = folder / "speech" / rows_of(folder)[7][0]
    broken.write_bytes(broken.read_bytes()[:30])
    with pytest.raises(ModelError, match=broken.name) as caught:
        small(folder, tmp_path / "m", tmp_path / "c", workers=workers)
    assert caught.value.mend
    assert not (tmp_path / "m").exists()


def test_a_label_that_nobody_knows_is_named_with_its_line(tmp_path: Path) -> None:
    folder = make_corpus(tmp_path / "data")
    rows = rows_of(folder)
    rows[4] = (*rows[4][:4], "furious", *rows[4][5:])
    write_manifest(folder, rows)
    with pytest.raises(ModelError, match=r"manifest\.csv:6: unknown emotion 'furious'") as caught:
        small(folder, tmp_path / "m", tmp_path / "c")
    assert "angry" in caught.value.mend


def test_one_speaker_is_not_enough(tmp_path: Path) -> None:
    folder = make_corpus(tmp_path / "data")
    write_manifest(folder, [row for row in rows_of(folder) if row[3] == "aa:0"])
    with pytest.raises(ModelError, match="the split 'test' needs both") as caught:
        small(folder, tmp_path / "m", tmp_path / "c")
    assert "move speakers between the splits" in caught.value.mend


class Interrupted(Exception):
    """Somebody pressed Ctrl-C."""


@pytest.mark.parametrize("during", ["features", "corpora left out", "final model"])
def test_interrupted_and_resumed_is_the_same_to_the_byte(
    during: str, data: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(data, tmp_path / "whole", cache)

    def stop(what: str, share: float) -> None:
        if what == during and share >= (0.6 if what == "features" else 0.0):
            raise Interrupted

    own = tmp_path / "cache" if during == "features" else cache
    with pytest.raises(Interrupted):
        small(data, tmp_path / "cut", own, progress=stop)
    assert not (tmp_path / "cut").exists()
    computed: list[str] = []
    features = feature_cache.clip_features

    def counted(*args: Any) -> Any:
        computed.append("clip")
        return features(*args)

    monkeypatch.setattr(feature_cache, "clip_features", counted)
    small(data, tmp_path / "cut", own)
    clips = len(read_manifest(data))
    assert len(computed) == (clips if during == "features" else 0), "what was done is kept"
    for file in ("model.onnx", "calibration.json", "card.md"):
        assert (tmp_path / "cut" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_missing_data_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"manifest\.csv") as caught:
        small(tmp_path / "absent", tmp_path / "m", tmp_path / "c")
    assert "columns" in caught.value.mend


def test_with_an_encoder_three_kinds_of_models_come_of_one_table(
    data: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, tmp_path / "whisper", packed(weights()))
    report = train(
        data, tmp_path / "m", seed=0, progress=lambda what, share: None, cache=cache, workers=1,
        recipe=SMALL, conditions=(CLEAN,), small=tmp_path / "s", left_out=tmp_path / "left",
    )  # fmt: skip
    assert report.folders == (tmp_path / "m", tmp_path / "s")
    assert report.figures["mean test"]["auc"] > 0.9
    assert report.figures["small: mean test"]["auc"] > 0.9
    corpora = {c.corpus for c in read_manifest(data)}
    folders = {"m": corpora, "s": corpora, **{f"left/acoustic-{c}": corpora - {c} for c in corpora}}
    for folder, heard in folders.items():
        model = load_model(tmp_path / folder, "acoustic")
        assert model.metadata["voicebot.corpora"] == ",".join(sorted(heard))
        assert model.features == (FEATURE_SET if folder == "s" else WITH_ENCODER)

    # What the graph says in a call is what was fitted: the loudest check of the whole chain.
    clips = [c for c in read_manifest(data) if c.split == "test"]
    loaded = AcousticModel.load(tmp_path / "m")
    readings = [loaded.score(read_clip(c.path), 8000, 1.0) for c in clips]
    logits = np.array([r.score.anger_logit for r in readings if r.score is not None])
    angry = np.array([c.angry for c in clips])
    assert logits[angry].min() > logits[~angry].max()
    assert "Whisper" in (tmp_path / "m" / "card.md").read_text()
    assert "Whisper" not in (tmp_path / "s" / "card.md").read_text()
