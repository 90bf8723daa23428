"""Models without one corpus: found, or told how to make them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from tests.training.corpus import make_corpus
from voicebot.emotion.calibration import read_calibration, write_calibration
from voicebot.emotion.onnx_model import models_dir
from voicebot.errors import ModelError
from voicebot.training import left_out
from voicebot.training.augmentation import CLEAN
from voicebot.training.speech_corpora import Clip, read_manifest


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    return read_manifest(make_corpus(tmp_path_factory.mktemp("corpus") / "data", clips=1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for corpus in ("aa", "bb", "cc"):
        shutil.copytree(models_dir() / "acoustic", tmp_path / f"acoustic-{corpus}")
    return tmp_path


def relabel(model: Path, key: str, value: str) -> None:
    graph = onnx.load(model / "model.onnx")
    kept = {p.key: p.value for p in graph.metadata_props} | {key: value}
    onnx.helper.set_model_props(graph, kept)
    onnx.save(graph, model / "model.onnx")
    write_calibration(model, replace(read_calibration(model), model_sha256=""))


def test_each_corpus_goes_to_its_model(folder: Path, clips: list[Clip]) -> None:
    requests = left_out.requests(folder, clips, CLEAN)
    assert [r.model.name for r in requests] == ["acoustic-aa", "acoustic-bb", "acoustic-cc"]
    assert {c.corpus for c in requests[1].clips} == {"bb"}
    assert {c.split for c in requests[1].clips} == {"train", "dev", "test"}


def test_a_missing_model_names_the_command(folder: Path, clips: list[Clip]) -> None:
    shutil.rmtree(folder / "acoustic-bb")
    with pytest.raises(ModelError, match=r"acoustic-bb.*without bb.*voicebot train acoustic"):
        left_out.requests(folder, clips, CLEAN)


def test_a_model_of_another_feature_set(folder: Path, clips: list[Clip]) -> None:
    relabel(folder / "acoustic-cc", "voicebot.features", "future/9")
    with pytest.raises(ModelError, match=r"acoustic-cc.*future/9.*voicebot train acoustic"):
        left_out.requests(folder, clips, CLEAN)


def test_a_model_that_knows_the_corpus(folder: Path, clips: list[Clip]) -> None:
    relabel(folder / "acoustic-aa", "voicebot.corpora", "aa,bb")
    with pytest.raises(ModelError, match="trained with aa"):
        left_out.requests(folder, clips, CLEAN)
