"""The fitted classifiers: the graph says what scikit-learn says, and so does our numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from voicebot.emotion.acoustic import INPUT
from voicebot.emotion.calibration import ANGER, Calibration
from voicebot.emotion.features import FEATURES
from voicebot.emotion.onnx_model import load_model
from voicebot.training.acoustic_model import CLIP, Recipe, fit
from voicebot.training.export import write_model
from voicebot.training.speech_corpora import Clip


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


def test_a_constant_feature_and_a_wild_one_do_no_harm() -> None:
    x, clips = toy()
    x[..., 5] = 7.0
    fitted = fit(x, clips, Recipe(hidden=4, members=1, samples=500), seed=0)
    wild = x[0, :1].copy()
    wild[0, 5] = 1e6
    _, anger = fitted.predict(np.concatenate([x[0, :1], wild]))
    assert np.isfinite(anger).all()
    assert abs(anger[1] - anger[0]) < 5.0
