"""Each language's network: recipes that fit the corpora, vocabularies, stages in order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from voicebot.emotion.text_features import LANGUAGES
from voicebot.emotion.vocabulary import CHARACTERS, SPECIAL
from voicebot.errors import ModelError
from voicebot.training import text_network
from voicebot.training.text_corpora import CORPORA, Example, shares
from voicebot.training.text_encoder import ConvolutionShape, EncoderShape
from voicebot.training.text_network import RECIPES, SERVICE, Network, train_network
from voicebot.training.text_neural import Stage

pytest.importorskip("torch", reason="needs the extra train-text")

SMALL = ConvolutionShape(0, width=4, filters=4, spans=(1, 2), hidden=4)


def test_recipes_name_the_corpora_that_are_trained_on() -> None:
    assert set(RECIPES) == set(LANGUAGES)
    for language, recipe in RECIPES.items():
        named = {corpus for stage in recipe.stages for corpus in stage.passes}
        assert named == {c.name for c in CORPORA if c.language == language and c.weight > 0}
        assert isinstance(recipe.shape, EncoderShape) == (language == "en") == recipe.published


def test_service_is_not_seen_before_it_is_measured() -> None:
    for (language, name), unseen in SERVICE.items():
        for stage in RECIPES[language].stages:
            assert not set(unseen) & set(stage.passes)
            if stage.name == name:
                break
        else:
            pytest.fail(f"no stage {name}")


def toys() -> list[Example]:
    angry = [Example("왜 이래", "kote", "train", 1.0, None)] * 12
    return angry + [Example("네 좋아", "kote", "train", 0.0, shares({"happiness": 1.0}))] * 12


def test_members_differ_and_follow_from_the_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = (
        Stage("one", {"kote": 1.0}, 1e-3, 1e-3, 4),
        Stage("two", {"kote": 1.0}, 1e-3, 1e-3, 4),
    )
    recipe = replace(RECIPES["ko"], stages=stages, shape=SMALL, members=2)
    monkeypatch.setattr(text_network, "RECIPES", {"ko": recipe})
    seen: list[str] = []

    def run(cache: Path) -> tuple[Network, ...]:
        return train_network(
            toys(), "ko", seed=0, cache=cache, encoder=None, progress=lambda *_: None,
            after=lambda stage, network: seen.append(stage),
        )  # fmt: skip

    one, other = run(tmp_path / "a")
    again, _ = run(tmp_path / "b")
    assert seen == ["one 1", "two 1", "one 2", "two 2"] * 2
    assert one.vocabulary.way == CHARACTERS and one.vocabulary.max_tokens == 102
    assert one.vocabulary.pieces == (*SPECIAL, *sorted(set("왜 이래네 좋아")))
    weights = [n.net.anger.weight.detach().numpy() for n in (one, other, again)]
    np.testing.assert_array_equal(weights[0], weights[2])
    assert (weights[0] != weights[1]).any()


def test_english_wants_its_encoder(tmp_path: Path) -> None:
    examples = [Example("x", "goemotions", "train", float(n < 2), None) for n in range(4)]
    with pytest.raises(ModelError, match=r"model\.safetensors: missing.*--encoder"):
        train_network(
            examples, "en", seed=0, cache=tmp_path, encoder=tmp_path, progress=lambda *_: None
        )
