"""Sites in processes of their own: two rounds over two sites, and one that is killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.training.corpus import make_corpus
from voicebot.errors import ModelError
from voicebot.training.federated_training import FederatedRecipe
from voicebot.training.federation import Checked, coordinate
from voicebot.training.rehearsal import Rehearsal, rehearse

RECIPE = FederatedRecipe(rounds=2, steps=5, hidden=8)


@pytest.fixture
def flower() -> None:
    """Skips the test where Flower is not installed."""
    pytest.importorskip("flwr")


def nothing(what: str, share: float) -> None:
    """Progress that nobody watches."""


@pytest.mark.usefixtures("flower")
def test_two_rounds_over_two_sites(tmp_path: Path) -> None:
    data = make_corpus(tmp_path / "data", clips=4)
    report = rehearse(
        data, tmp_path / "out", ["aa", "bb+cc"], seed=0, progress=nothing, recipe=RECIPE,
        cache=tmp_path / "cache", workers=1, min_clips=1, conditions="clean",
    )  # fmt: skip
    ways = {name.split(", ")[1] for name in report.figures}
    assert ways == {"federated", "pooled", "aa alone", "bb+cc alone"}
    assert all(0 <= report.figures[f"mean, {way}"]["auc"] <= 1 for way in ways)
    assert (tmp_path / "out" / "model.onnx").is_file()
    assert "Mean AUC against pooling" in report.notes[0]


@pytest.mark.usefixtures("flower")
def test_a_killed_site_ends_the_run_with_its_name(tmp_path: Path) -> None:
    data = make_corpus(tmp_path / "data", clips=4)
    sites: list[dict[str, str | int]] = [
        {"name": name, "corpora": name, "data": str(data), "cache": str(tmp_path),
         "conditions": "clean", "min_clips": 1}
        for name in ("aa", "bb")
    ]  # fmt: skip
    with Rehearsal(sites) as grid:

        def kill(what: str, share: float) -> None:
            if what == "federated rounds" and share == 0.5:
                os.kill(grid.processes()[1], signal.SIGKILL)

        with pytest.raises(ModelError, match=r"site 'bb': its process has ended"):
            coordinate(Checked(grid), RECIPE, 0, kill)
        assert grid.processes()


@pytest.mark.parametrize(
    ("sites", "told"), [(["aa"], "nothing to federate"), (["aa+bb", "bb"], "'bb' is at two sites")]
)
def test_impossible_sites(tmp_path: Path, sites: list[str], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        rehearse(tmp_path, tmp_path / "out", sites, seed=0, progress=nothing)


def test_noise_in_units_of_nothing(tmp_path: Path) -> None:
    recipe = FederatedRecipe(noise=1.0)
    with pytest.raises(ModelError, match="no noise would be added"):
        rehearse(tmp_path, tmp_path / "out", ["aa", "bb"], seed=0, progress=nothing, recipe=recipe)
