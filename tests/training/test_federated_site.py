"""A site answers each question from its own clips, and sends nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.training.corpus import make_corpus
from voicebot.emotion.features import FEATURE_SET, FEATURES
from voicebot.errors import ModelError
from voicebot.training.federated_site import compute_features, need_flower, read_site


def nothing(what: str, share: float) -> None:
    """Progress that nobody watches."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("site") / "data", clips=4)


def test_only_its_own_corpora(data: Path, tmp_path: Path) -> None:
    site = read_site("north", data, "aa+cc", "clean", tmp_path, 0, 1, 1)
    assert {clip.corpus for clip in site.clips} == {"aa", "cc"}
    assert site.tables.shape == (1, 24, len(FEATURES))
    clips, tables = compute_features(data, "clean", tmp_path, 0, 1, nothing)
    rows = [n for n, clip in enumerate(clips) if clip.corpus != "bb"]
    assert np.array_equal(site.tables[0], tables[0, rows])


def test_unknown_names(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"site 'north': no corpus 'zz'.*aa, bb, cc"):
        read_site("north", data, "aa+zz", "clean", tmp_path, 0, 1, 1)
    with pytest.raises(ModelError, match=r"unknown condition 'dirty'.*clean, line"):
        read_site("north", data, "aa", "dirty", tmp_path, 0, 1, 1)


def test_too_few_clips(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"site 'north': 1 angry and 3 other"):
        read_site("north", data, "aa", "clean", tmp_path, 0, 1, 20)


def test_without_flower_the_mend_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flwr", None)
    with pytest.raises(ModelError, match=r"voicebot\[train,federated\]"):
        need_flower()


def test_no_statistics_are_sent() -> None:
    pytest.importorskip("flwr")
    code = (
        "from voicebot.training.federated_site import need_flower; need_flower();"
        "from flwr.supercore.telemetry import FLWR_TELEMETRY_ENABLED as on; print(on)"
    )
    env = {k: v for k, v in os.environ.items() if k != "FLWR_TELEMETRY_ENABLED"}
    found = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "0"


def test_what_a_site_says_of_itself(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("flwr")
    from tests.training.grid import InProcess

    grid = InProcess([{"name": "north", "data": str(data), "corpora": "aa", "conditions": "clean",
                       "cache": str(tmp_path), "min_clips": 1}])  # fmt: skip
    (answer,) = grid.ask("query.describe")
    facts = dict(answer["config"])
    assert facts["name"] == "north" and facts["features"] == FEATURE_SET
    assert facts["corpora"] == ["aa"] and facts["train"] == facts["dev"] == facts["test"] == 4
    # Three sums for each feature; no array has a row for each clip.
    assert {k: v.numpy().shape for k, v in answer["arrays"].items()} == {
        "moments": (3, len(FEATURES))
    }
