"""Models opened by name, and run once before anybody needs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.emotion.versions import edit, variant
from voicebot.emotion.acoustic import AcousticModel, AcousticParams
from voicebot.emotion.onnx_model import models_dir
from voicebot.emotion.opening import check, listens, name_for, open_model, run_once
from voicebot.emotion.text import TextModel
from voicebot.errors import ModelError


@pytest.mark.parametrize("name", ["acoustic", "acoustic-small", "text-en", "text-zh", "text-ko"])
def test_every_shipped_model_opens_and_scores(name: str) -> None:
    model = open_model(name, models_dir() / name)
    assert isinstance(model, AcousticModel if listens(name) else TextModel)
    score = run_once(model)
    assert score is not None
    assert sum(score.probabilities.values()) == pytest.approx(1.0)
    check(name, models_dir() / name)


def test_a_model_is_not_taken_for_another() -> None:
    with pytest.raises(ModelError, match="kind 'acoustic', found 'text'"):
        open_model("acoustic", models_dir() / "text-en")
    with pytest.raises(ModelError, match="kind 'text', found 'acoustic'"):
        open_model("text-en", models_dir() / "acoustic")
    with pytest.raises(ModelError, match="'ko', expected 'en'"):
        open_model("text-en", models_dir() / "text-ko")


@pytest.mark.parametrize("name", ["fusion", "text-xx", "acousticx"])
def test_a_name_that_nothing_has(name: str) -> None:
    with pytest.raises(ModelError, match="no emotion model is called so") as caught:
        open_model(name, models_dir() / "acoustic")
    assert "text-ko" in caught.value.mend
    assert "acoustic-small" in caught.value.mend


def test_the_name_follows_from_kind_and_language() -> None:
    assert name_for("acoustic", "") == "acoustic"
    assert name_for("text", "ko") == "text-ko"
    with pytest.raises(ModelError, match="kind 'speech'"):
        name_for("speech", "")
    with pytest.raises(ModelError, match="'xx'"):
        name_for("text", "xx")


def test_a_model_whose_parameters_make_it_abstain_gives_nothing() -> None:
    strict = AcousticParams(min_speech_seconds=8.0)
    assert run_once(open_model("acoustic", models_dir() / "acoustic", strict)) is None


def test_a_later_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="later voicebot"):
        check("acoustic", edit(variant(tmp_path / "m"), format="2"))
