"""A model folder is what the caller needs, or an error says what it is instead."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from voicebot.emotion import onnx_model
from voicebot.emotion.calibration import Calibration
from voicebot.emotion.onnx_model import ENVIRONMENT, OnnxModel, load_model, models_dir
from voicebot.errors import ModelError
from voicebot.training.export import Dense, Graph, write_model


def make(folder: Path, kind: str = "toy", features: str = "toy/1", width: int = 3) -> Path:
    graph = Graph()
    layer = Dense(np.eye(width, 7, dtype="f4"), np.zeros(7, "f4"))
    model = graph.finish(
        graph.dense("features", [layer]),
        kind=kind,
        features=features,
        inputs={"features": ("float32", ("batch", width))},
    )
    write_model(folder, model, Calibration(), "card\n")
    return folder


def load(folder: Path) -> OnnxModel:
    return load_model(folder, "toy", inputs={"toy/1": {"features": (None, 3)}})


def test_a_good_folder_loads_and_runs(tmp_path: Path) -> None:
    model = load(make(tmp_path))
    out = model.run({"features": np.zeros((2, 3), "f4")})
    assert out.probabilities.shape == (2, 7)
    assert np.allclose(out.probabilities, 1 / 7)
    assert np.allclose(out.anger_logit, np.log((1 / 7) / (6 / 7)), atol=1e-5)
    assert model.session.get_session_options().intra_op_num_threads == 1


@pytest.mark.parametrize("name", ["model.onnx", "calibration.json", "card.md"])
def test_a_missing_file_is_named_with_its_folder(tmp_path: Path, name: str) -> None:
    folder = make(tmp_path / "m")
    (folder / name).unlink()
    with pytest.raises(ModelError, match=name) as caught:
        load(folder)
    assert str(folder) in str(caught.value)
    assert "voicebot train" in caught.value.mend


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such toy model"):
        load(tmp_path / "absent")


@pytest.mark.parametrize(
    ("changes", "found"),
    [({"kind": "other"}, "kind 'toy'"), ({"features": "toy/2"}, "toy/2"), ({"width": 4}, "inputs")],
)
def test_another_model_is_refused(tmp_path: Path, changes: dict[str, object], found: str) -> None:
    make(tmp_path, **changes)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=found):
        load(tmp_path)


def test_a_strange_onnx_file_is_refused(tmp_path: Path) -> None:
    import onnx

    folder = make(tmp_path)
    model = onnx.load(folder / "model.onnx")
    del model.metadata_props[:]
    write_model(folder, model, Calibration(), "card\n")
    with pytest.raises(ModelError, match="found None"):
        load(folder)


def test_a_model_of_a_later_format_says_to_update(tmp_path: Path) -> None:
    import onnx

    folder = make(tmp_path)
    model = onnx.load(folder / "model.onnx")
    next(p for p in model.metadata_props if p.key == "voicebot.format").value = "2"
    write_model(folder, model, Calibration(), "card\n")
    with pytest.raises(ModelError, match="of format 2, made for a later voicebot") as caught:
        load(folder)
    assert "update voicebot" in caught.value.mend


def test_bytes_that_are_no_model(tmp_path: Path) -> None:
    folder = make(tmp_path)
    (folder / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelError, match="not a usable ONNX file"):
        load(folder)


def test_a_calibration_of_another_model_is_refused(tmp_path: Path) -> None:
    folder, other = make(tmp_path / "a"), make(tmp_path / "b", kind="other")
    (other / "calibration.json").replace(folder / "calibration.json")
    with pytest.raises(ModelError, match="checksum"):
        load(folder)


def test_wrong_arrays_are_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=str(tmp_path)):
        load(make(tmp_path)).run({"features": np.zeros((1, 9), "f4")})


def test_the_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))
    assert models_dir() == tmp_path
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "absent"))
    with pytest.raises(ModelError, match=ENVIRONMENT):
        models_dir()


def test_the_checkout_is_found_and_a_wheel_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    monkeypatch.setattr(onnx_model, "__file__", str(tmp_path / "voicebot/emotion/onnx_model.py"))
    with pytest.raises(ModelError, match="no emotion models"):
        models_dir()
    (tmp_path / "models").mkdir()
    assert models_dir() == tmp_path / "models"
    (tmp_path / "voicebot/assets/models").mkdir(parents=True)
    assert models_dir() == tmp_path / "voicebot/assets/models"
