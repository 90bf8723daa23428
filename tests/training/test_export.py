"""Graphs say what numpy says, and a folder loads as what was written."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from voicebot.emotion.calibration import ANGER, Calibration, Platt
from voicebot.emotion.onnx_model import load_model
from voicebot.errors import ModelError, OutputError
from voicebot.training.export import Dense, Graph, need_train_extra, write_model

RNG = np.random.default_rng(0)
LAYERS = (
    Dense(RNG.normal(size=(5, 8)).astype("f4"), RNG.normal(size=8).astype("f4"), "Relu"),
    Dense(RNG.normal(size=(8, 7)).astype("f4"), RNG.normal(size=7).astype("f4")),
)
INPUTS = {"features": ("float32", ("batch", 5))}


def logits(x: np.ndarray) -> np.ndarray:
    hidden = np.maximum(x @ LAYERS[0].weight + LAYERS[0].bias, 0)
    return np.asarray(hidden @ LAYERS[1].weight + LAYERS[1].bias)


def test_derived_anger_logit_is_the_log_odds_of_the_softmax(tmp_path: Path) -> None:
    graph = Graph()
    model = graph.finish(
        graph.dense("features", LAYERS), kind="toy", features="toy/1", inputs=INPUTS
    )
    write_model(tmp_path / "toy", model, Calibration(), "Licence: none\n")
    x = RNG.normal(size=(6, 5)).astype("f4")
    out = load_model(tmp_path / "toy", "toy", inputs={"toy/1": {"features": (None, 5)}}).run(
        {"features": x}
    )
    z = logits(x)
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    assert np.allclose(out.probabilities, p, atol=1e-5)
    assert np.allclose(out.anger_logit, np.log(p[:, ANGER] / (1 - p[:, ANGER])), atol=1e-4)


def test_a_head_of_its_own_and_members_are_averaged(tmp_path: Path) -> None:
    graph = Graph()
    head = (Dense(RNG.normal(size=(5, 1)).astype("f4"), np.zeros(1, "f4")),)
    classes = graph.mean([graph.dense("features", LAYERS), graph.dense("features", LAYERS)])
    model = graph.finish(
        classes,
        kind="toy",
        features="toy/1",
        inputs=INPUTS,
        anger_logit=graph.dense("features", head),
        extra={"voicebot.seed": "3"},
    )
    write_model(tmp_path, model, Calibration(Platt(2, 0, 0.5)), "Licence: none\n")
    loaded = load_model(tmp_path, "toy")
    x = RNG.normal(size=(1, 5)).astype("f4")
    out = loaded.run({"features": x})
    assert out.anger_logit.shape == (1,)
    assert np.allclose(out.anger_logit, (x @ head[0].weight)[:, 0], atol=1e-5)
    assert loaded.metadata["voicebot.seed"] == "3"
    assert loaded.calibration.anger.slope == 2


def test_two_writings_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        graph = Graph()
        model = graph.finish(
            graph.dense("features", LAYERS), kind="toy", features="toy/1", inputs=INPUTS
        )
        write_model(tmp_path / name, model, Calibration(), "card\n")
    for file in ("model.onnx", "calibration.json", "card.md"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    graph = Graph()
    model = graph.finish(graph.dense("features", LAYERS), kind="t", features="t", inputs=INPUTS)
    with pytest.raises(OutputError, match="--out"):
        write_model(tmp_path / "file" / "model", model, Calibration(), "")


def test_without_the_extra_the_pip_line_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ModelError, match=r"pip install 'voicebot\[train\]'"):
        need_train_extra()
