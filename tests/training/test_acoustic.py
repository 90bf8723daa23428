"""Training: reproducible from the seed, the graph says what scikit-learn says, errors mend."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from tests.training.corpus import COLUMNS, make_corpus, write_manifest
from voicebot.emotion.acoustic import INPUT, AcousticModel
from voicebot.emotion.calibration import ANGER, Calibration
from voicebot.emotion.features import FEATURES
from voicebot.emotion.onnx_model import load_model
from voicebot.errors import ModelError
from voicebot.training.acoustic import CLIP, Recipe, fit, train
from voicebot.training.augmentation import CLEAN, NOISY
from voicebot.training.export import write_model
from voicebot.training.report import TrainReport
from voicebot.training.speech_corpora import Clip, read_clip, read_manifest

SMALL = Recipe(hidden=8, members=2, samples=2000)


def small(data: Path, out: Path, cache: Path, seed: int = 0) -> TrainReport:
    return train(
        data, out, seed=seed, progress=lambda what, share: None, cache=cache, workers=1,
        recipe=SMALL, conditions=(CLEAN, NOISY),
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
    assert "voicebot train acoustic --data" in "".join(card.splitlines()[:8])
    assert "| aa | en | 3 |" in card


def toy(n: int = 120, emotions: int = 4) -> tuple[np.ndarray, list[Clip]]:
    rng = np.random.default_rng(0)
    clips = [
        Clip(Path(), f"{i}", "ab"[i % 2], "en", f"s{i % 5}", i % emotions, 1.0, "train", "")
        for i in range(n)
    ]
    x = rng.normal(size=(1, n, len(FEATURES))).astype(np.float32)
    x[0, :, 0] += [3.0 * c.angry for c in clips]
    return x, clips


@pytest.mark.parametrize("emotions", [2, 4])
def test_the_graph_says_what_scikit_learn_says(tmp_path: Path, emotions: int) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier

    kept: list[object] = []
    fit_logistic, fit_network = LogisticRegression.fit, MLPClassifier.fit
    with pytest.MonkeyPatch.context() as patch:
        for cls, original in ((LogisticRegression, fit_logistic), (MLPClassifier, fit_network)):

            def keep(self: object, *args: object, _fit: object = original, **kw: object) -> object:
                kept.append(self)
                return _fit(self, *args, **kw)  # type: ignore[operator]

            patch.setattr(cls, "fit", keep)
        x, clips = toy(emotions=emotions)
        fitted = fit(x, clips, Recipe(hidden=6, members=1, samples=2000), seed=0)
    logistic, network = kept
    write_model(tmp_path, fitted.to_onnx({}), Calibration(), "card\n")
    new = np.random.default_rng(1).normal(size=(20, len(FEATURES))).astype(np.float32) * 3
    out = load_model(tmp_path, "acoustic").run({INPUT: new})

    z = np.clip((new - fitted.mean) / fitted.scale, -CLIP, CLIP)
    expected = np.zeros((20, 7))
    expected[:, network.classes_] = network.predict_proba(z)  # type: ignore[attr-defined]
    assert np.allclose(out.probabilities, expected, atol=1e-4)
    p = np.clip(expected[:, ANGER].astype(np.float64), 1e-9, 1)
    odds = np.log(p / (1 - p))
    linear = logistic.decision_function(z)  # type: ignore[attr-defined]
    assert np.allclose(out.anger_logit, 0.5 * odds + 0.5 * linear, atol=2e-3)
    logits, anger = fitted.predict(new)
    assert np.allclose(out.anger_logit, anger, atol=1e-4)
    assert logits.shape == (20, 7)


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


def test_missing_data_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"manifest\.csv") as caught:
        small(tmp_path / "absent", tmp_path / "m", tmp_path / "c")
    assert "columns" in caught.value.mend
