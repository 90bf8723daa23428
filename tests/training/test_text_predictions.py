"""Texts scored once, abstentions marked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from voicebot.emotion.onnx_model import models_dir
from voicebot.emotion.text import TextModel
from voicebot.errors import ModelError
from voicebot.training import text_predictions
from voicebot.training.predictions import UNTOLD
from voicebot.training.text_corpora import Example, shares
from voicebot.training.text_predictions import (
    Said,
    TextRequest,
    emotion_of,
    load,
    misheard,
    predict_texts,
    written,
)

SAID = (Said("i am furious about this", "c", "c 0", 0), Said("ok", "c", "c 1", 4))


def quiet(what: str, share: float) -> None:
    assert 0.0 <= share <= 1.0


def test_scores_are_the_models_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = TextRequest(models_dir(), "en", SAID)
    (found,) = predict_texts([request], cache=tmp_path, workers=1, progress=quiet)
    model = TextModel.load(models_dir(), "en")
    assert model is not None
    score = model.score(SAID[0].text)
    assert score is not None
    assert found.logit[0] == pytest.approx(score.anger_logit)
    assert found.abstained.tolist() == ["", "too_few_words"]
    assert not np.isnan(found.logit).any()
    monkeypatch.setattr(text_predictions, "_score", None)
    (again,) = predict_texts([request], cache=tmp_path, workers=1, progress=quiet)
    np.testing.assert_array_equal(found.logit, again.logit)


def test_a_language_without_a_model() -> None:
    with pytest.raises(ModelError, match="no text model"):
        load(models_dir(), "fr")


def test_emotions_of_examples() -> None:
    even = shares({"fear": 1.0, "sadness": 1.0})
    examples = [
        Example("a", "c", "test", 1.0, None), Example("b", "c", "test", 0.0, shares({"fear": 1})),
        Example("c", "c", "test", 0.0, even), Example("d", "c", "test", None, even),
        Example("e", "c", "dev", 1.0, None), Example("f", "c", "test", 0.8, None),
    ]  # fmt: skip
    assert [emotion_of(e) for e in examples[:3]] == [0, 2, UNTOLD]
    assert [s.text for s in written(examples, "test")] == ["a", "b", "c", "f"]
    assert [s.emotion for s in written(examples, "test")] == [0, 2, UNTOLD, 0]


def test_misheard_texts_keep_their_truth() -> None:
    said = tuple(Said("one two three four five six", "c", str(i), i % 2) for i in range(30))
    other = misheard(said, "en", 0)
    assert [s.emotion for s in other] == [s.emotion for s in said]
    assert any(s.text != "one two three four five six" for s in other)
