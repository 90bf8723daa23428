"""The coordinator trains over sites, and says which one failed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("flwr")


from tests.training.corpus import make_corpus
from tests.training.grid import InProcess
from voicebot.emotion.acoustic import AcousticModel, AcousticParams
from voicebot.errors import ModelError
from voicebot.training.federated_site import need_flower
from voicebot.training.federated_training import FederatedRecipe
from voicebot.training.federation import (
    Checked,
    Federated,
    coordinate,
    measure,
    server_app,
    wait_for,
    write,
)

RECIPE = FederatedRecipe(rounds=2, steps=5, hidden=8)


def nothing(what: str, share: float) -> None:
    """Progress that nobody watches."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("features")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("federation") / "data", clips=4)


def sites(data: Path, cache: Path) -> list[Mapping[str, Any]]:
    common = {"data": str(data), "cache": str(cache), "conditions": "clean", "min_clips": 1}
    return [{**common, "name": name, "corpora": name} for name in ("aa", "bb+cc")]


def run(grid: InProcess, seed: int = 0, **options: Any) -> Federated:
    return coordinate(Checked(grid, **options), RECIPE, seed, nothing)


def test_the_same_seed_gives_the_same_model(data: Path, cache: Path) -> None:
    one, same, other = (run(InProcess(sites(data, cache)), seed) for seed in (1, 1, 2))
    for name, value in one.weights.items():
        assert np.array_equal(value, same.weights[name])
    assert not np.array_equal(one.weights["hidden"], other.weights["hidden"])
    assert one.calibration == same.calibration
    assert [site.name for site in one.sites] == ["aa", "bb+cc"]
    assert set(one.figures) == {"aa", "bb", "cc"}
    assert dict(one.figures) == measure(Checked(InProcess(sites(data, cache))), one, "test")


def test_rounds_are_told_and_the_model_can_be_used(data: Path, cache: Path, tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    grid = Checked(InProcess(sites(data, cache)))
    found = coordinate(grid, RECIPE, 0, lambda what, share: told.append((what, share)))
    assert [share for what, share in told if what == "federated rounds"] == [0.0, 0.5, 1.0]
    write(tmp_path / "model", found, RECIPE, 0)
    assert "bb+cc" in (tmp_path / "model" / "card.md").read_text()
    AcousticModel.load(tmp_path / "model", AcousticParams())


def test_the_app_of_the_coordinator(data: Path, cache: Path, tmp_path: Path) -> None:
    run_config = {"sites": 2, "out": str(tmp_path / "model"), "seed": 1, "rounds": 2, "steps": 5,
                  "hidden": 8}  # fmt: skip
    app = need_flower().app
    context = app.Context(0, 1, {}, app.RecordDict(), run_config)
    server_app()(InProcess(sites(data, cache)), context)
    write(tmp_path / "same", run(InProcess(sites(data, cache)), 1), RECIPE, 1)
    for name in ("model.onnx", "calibration.json", "card.md"):
        assert (tmp_path / "model" / name).read_bytes() == (tmp_path / "same" / name).read_bytes()


def test_one_site_alone(data: Path, cache: Path) -> None:
    found = run(InProcess(sites(data, cache)), nodes=[3])
    assert [site.name for site in found.sites] == ["bb+cc"]
    assert set(found.figures) == {"bb", "cc"}


def test_a_site_that_fails_is_named_with_its_reason(data: Path, cache: Path) -> None:
    broken = [*sites(data, cache), {"name": "west", "data": "/nowhere", "cache": str(cache)}]
    with pytest.raises(ModelError, match=r"node 4: /nowhere.*no labelled speech"):
        run(InProcess(broken))


def test_a_silent_site_is_named(data: Path, cache: Path) -> None:
    with pytest.raises(ModelError, match=r"node 3 did not answer within 1 s"):
        run(InProcess(sites(data, cache), silent=[3]), answer_seconds=1.0)


def test_a_site_with_other_features_is_named(data: Path, cache: Path) -> None:
    grid = InProcess(sites(data, cache), facts={3: {"features": "prosody/99"}})
    with pytest.raises(ModelError, match=r"'bb\+cc'.*prosody/99.*same version"):
        run(grid)


def test_a_site_with_too_few_clips_is_named(data: Path, cache: Path) -> None:
    strict = [{**site, "min_clips": 2} for site in sites(data, cache)]
    with pytest.raises(ModelError, match=r"site 'aa': 1 angry and 3 other"):
        run(InProcess(strict))


def test_sites_that_never_come(data: Path, cache: Path) -> None:
    grid = InProcess(sites(data, cache))
    wait_for(grid, 2, 0.0)
    with pytest.raises(ModelError, match="2 of 3 sites"):
        wait_for(grid, 3, 0.0)
