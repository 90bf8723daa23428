"""One interface for all families: what each looks at, how large it is, what decides it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from voicebot.emotion.calibration import ANGER
from voicebot.emotion.features import FEATURES
from voicebot.events import EMOTIONS
from voicebot.training.acoustic_model import SMALL, Recipe
from voicebot.training.family_models import FAMILIES, Material, SupportVectors, Tabular
from voicebot.training.speech_corpora import Clip
from voicebot.training.support_vectors import Machine

NEUTRAL = EMOTIONS.index("neutral")
WIDTH = len(FEATURES)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """Anger shows in the first feature of prosody, and twice as clearly in the embedding."""
    encoder = tmp_path_factory.mktemp("encoder") / "encoder.onnx"
    encoder.write_bytes(b"x" * 1000)
    rng = np.random.default_rng(0)
    angry = np.arange(120) % 3 == 0
    clips = [
        Clip(Path("x"), f"{i}", "ab"[i % 2], "en", "s", ANGER if a else NEUTRAL, 1.0,
             "train" if i < 80 else "dev", "")
        for i, a in enumerate(angry)
    ]  # fmt: skip
    tables = rng.normal(size=(2, 120, WIDTH + 4)).astype(np.float32)
    tables[..., 0] += 2.0 * angry
    tables[..., WIDTH:] += 4.0 * angry[:, None]
    return Material(clips, tables, encoder)


SMALL_MLP = Tabular(
    Recipe(hidden=8, alpha=0.1, members=1, samples=9000, linear_share=0.0), encoder=False
)


@pytest.mark.parametrize("family", [SupportVectors(Machine(), False), SMALL_MLP])
def test_without_the_encoder_the_embedding_is_not_seen(
    family: SupportVectors | Tabular, material: Material
) -> None:
    rows = np.arange(120)
    model = family.fit(material, rows, 0, lambda share: None)
    blind = Material(material.clips, material.tables[..., :WIDTH], material.encoder)
    assert np.array_equal(model.scores(material, rows), model.scores(blind, rows))
    angry = np.array([clip.angry for clip in material.clips])
    found = model.scores(material, rows)
    assert found[angry].mean() > found[~angry].mean()


def test_the_encoder_is_seen_and_weighed(material: Material) -> None:
    rows = np.arange(120)
    alone = SupportVectors(Machine(penalties=(1.0,)), encoder=False)
    both = SupportVectors(Machine(components=2, penalties=(1.0,)), encoder=True)
    small = alone.fit(material, rows, 0, lambda share: None)
    large = both.fit(material, rows, 0, lambda share: None)
    vectors = 4 * (2 * (WIDTH + 4) + 3 * (WIDTH + 4))
    assert large.size() > 1000 + vectors
    assert small.size() > 4 * 3 * WIDTH
    angry = np.array([clip.angry for clip in material.clips])
    found = large.scores(material, rows)
    assert found[angry].min() > found[~angry].max()


def test_only_the_clips_asked_for_are_scored(material: Material) -> None:
    model = SMALL_MLP.fit(material, np.arange(80), 0, lambda share: None)
    whole = model.scores(material, np.arange(120))
    assert np.allclose(model.scores(material, np.array([5, 110])), whole[[5, 110]], atol=1e-5)


def test_what_says_all_of_a_family_differs_from_family_to_family() -> None:
    assert len({repr(family) for family in FAMILIES.values()}) == len(FAMILIES)
    for family in FAMILIES.values():
        assert all(path.is_file() for path in family.code)


def test_ours_is_the_recipe_of_the_shipped_models() -> None:
    assert FAMILIES["ours, prosody"] == Tabular(SMALL, encoder=False)
    assert FAMILIES["ours with encoder"] == Tabular(Recipe(), encoder=True)
