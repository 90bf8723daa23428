"""The table of families: what is judged on whom, what is kept, what is said where torch is not."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.corpus import COLUMNS, make_corpus, write_manifest
from tests.training.whisper import install, packed, weights
from voicebot.errors import ModelError
from voicebot.training import families
from voicebot.training.acoustic_model import Recipe
from voicebot.training.augmentation import CLEAN, NOISY
from voicebot.training.evaluation_report import PartReport
from voicebot.training.families import evaluate
from voicebot.training.families_report import DEV
from voicebot.training.family_models import FAMILIES, Family, OnSpectra, SupportVectors, Tabular
from voicebot.training.spectral_networks import Spectral
from voicebot.training.speech_corpora import read_clip
from voicebot.training.support_vectors import Machine

LITTLE: dict[str, Family] = {
    "svm": SupportVectors(Machine(penalties=(1.0,)), encoder=False),
    "ours": Tabular(Recipe(hidden=8, members=2, samples=2000), encoder=True),
    "cnn": OnSpectra(Spectral("cnn", width=8, samples=400, batch=16)),
}
TORCH = importlib.util.find_spec("torch") is not None
ABLE = {name: family for name, family in LITTLE.items() if TORCH or name != "cnn"}
"""What can be fitted here: torch is in no extra that the tests install."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus") / "data")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def whisper(cache: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        install(patch, cache / "whisper", packed(weights()))
        yield


def compared(data: Path, cache: Path, **options: Any) -> PartReport:
    given: dict[str, Any] = {"seed": 0, "families": LITTLE} | options
    return evaluate(
        data, cache=cache / "families", features=cache / "features", conditions=(CLEAN, NOISY),
        progress=lambda what, share: None, **given,
    )  # fmt: skip


def without_times(report: PartReport) -> Any:
    rows = report.tables[0].rows.values()
    return [{k: v for k, v in row.items() if k != "ms"} for row in rows], report.tables[1].rows


def test_every_family_is_judged_on_dev_speakers_and_on_every_corpus_left_out(
    data: Path, cache: Path
) -> None:
    report = compared(data, cache, draw=True)
    table, dev = report.tables
    assert list(table.rows) == list(LITTLE)
    for name in ABLE:
        row = table.rows[name]
        assert row["mean"] == pytest.approx(np.mean([row[c] for c in ("aa", "bb", "cc")]))
        assert row["mb"] > 0.0
        assert row["ms"] > 0.0
    assert table.rows["ours"]["mean"] > 0.9
    assert table.rows["svm"]["dev"] > 0.9
    assert set(dev.rows["svm"]) == {"aa", "bb", "cc"}
    assert report.pictures[0].png.startswith(b"\x89PNG")
    assert any("18 training and 18 dev clips" in note for note in report.notes)
    json.dumps(report.plain())


def test_what_was_measured_is_not_measured_again(
    data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = compared(data, cache)
    fitted = []
    real = families._cell

    def counted(*arguments: Any, **options: Any) -> dict[str, Any]:
        fitted.append(arguments)
        return real(*arguments, **options)

    monkeypatch.setattr(families, "_cell", counted)
    assert compared(data, cache).tables == before.tables
    assert fitted == []
    kept = next(p for p in sorted((cache / "families").glob("*.json")))
    kept.write_text(kept.read_text()[:10])  # broken off
    assert without_times(compared(data, cache)) == without_times(before)
    assert len(fitted) == 1


@pytest.mark.parametrize("change", ["seed", "shape", "clips"])
def test_another_seed_shape_or_label_is_measured_anew(
    data: Path, cache: Path, change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only: dict[str, Family] = {"svm": LITTLE["svm"]}
    compared(data, cache, families=only)
    fitted = []

    def counted(*arguments: Any, **options: Any) -> dict[str, Any]:
        fitted.append(arguments)
        return {"auc": {"aa": 0.5}, "cpu_seconds": 0.0, "bytes": 1, "ms": 1.0}

    monkeypatch.setattr(families, "_cell", counted)
    monkeypatch.setattr(families, "keep_json", lambda path, value: None)
    if change == "seed":
        compared(data, cache, families=only, seed=1)
    elif change == "shape":
        compared(data, cache, families={"svm": SupportVectors(Machine(penalties=(2.0,)), False)})
    else:
        folder = tmp_path / "data"
        folder.mkdir()
        for name in ("speech", "noise"):
            (folder / name).mkdir()
            for file in (data / name).iterdir():
                text = file.read_bytes()
                if file.suffix == ".csv":
                    text = text.replace(b"happy", b"angry")
                (folder / name / file.name).write_bytes(text)
        compared(folder, cache, families=only)
    assert len(fitted) == 4


def test_test_speakers_are_neither_learnt_nor_judged(data: Path, cache: Path) -> None:
    material = families.gather(
        data, seed=0, cache=cache / "families", features=cache / "features", workers=1,
        progress=lambda what, share: None, conditions=(CLEAN, NOISY), with_spectra=True,
    )  # fmt: skip
    assert {clip.split for clip in material.clips} == {"train", "dev"}
    assert material.tables.shape[1] == len(material.clips) == len(material.spectra[0])


def test_each_cell_keeps_whom_it_judges_out_of_what_it_learns(
    data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {}

    def noted(family: Any, material: Any, fitted: Any, judged: Any, *rest: Any, timed: bool) -> Any:
        clips = material.clips
        seen[timed, *sorted({clips[i].corpus for i in judged})] = (
            {(clips[i].corpus, clips[i].split) for i in fitted},
            {(clips[i].corpus, clips[i].split) for i in judged},
        )
        return {"auc": {}, "cpu_seconds": 0.0, "bytes": 1, "ms": 1.0}

    monkeypatch.setattr(families, "_cell", noted)
    monkeypatch.setattr(families, "kept_json", lambda path: None)
    monkeypatch.setattr(families, "keep_json", lambda path, value: None)
    monkeypatch.setattr(families, "report", lambda *a, **o: None)
    compared(data, cache, families={"svm": LITTLE["svm"]})
    assert seen.pop((True, "aa", "bb", "cc")) == (
        {(c, "train") for c in ("aa", "bb", "cc")},
        {(c, "dev") for c in ("aa", "bb", "cc")},
    )
    assert set(seen) == {(False, "aa"), (False, "bb"), (False, "cc")}
    for (_, left), (fitted, judged) in seen.items():
        assert {corpus for corpus, _ in fitted} == {"aa", "bb", "cc"} - {left}
        assert judged == {(left, "train"), (left, "dev")}


def test_without_torch_the_rows_stay_empty_and_say_why(
    data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent() -> Any:
        raise ModelError(
            "training needs the Python package torch", "pip install 'voicebot[train-text]'"
        )

    monkeypatch.setattr(families, "need_torch", absent)
    report = compared(data, cache)
    table = report.tables[0]
    assert table.cell("cnn", "mean") == "-"
    assert table.cell("svm", "mean") != "-"
    (told,) = [note for note in report.notes if "cnn" in note]
    assert "torch" in told
    assert "pip install 'voicebot[train-text]'" in told


@pytest.mark.parametrize(
    ("old", "new", "what"), [("bb", "aa", "only one corpus"), ("dev", "train", "split 'dev'")]
)
def test_data_on_which_nobody_can_be_judged(
    cache: Path, tmp_path: Path, old: str, new: str, what: str
) -> None:
    folder = make_corpus(tmp_path / "data", clips=4)
    manifest = folder / "speech" / "manifest.csv"
    rows = [tuple(line.split(",")) for line in manifest.read_text().splitlines()[1:]]
    if old == "bb":
        changed = [tuple("aa" if v in ("bb", "cc") else v for v in row) for row in rows]
    else:
        changed = [tuple(new if v == old else v for v in row) for row in rows]
    write_manifest(folder, changed, COLUMNS)
    with pytest.raises(ModelError, match=what) as raised:
        compared(folder, cache, families={"svm": LITTLE["svm"]})
    assert raised.value.mend


def test_a_family_hears_in_samples_what_the_table_judges(data: Path, cache: Path) -> None:
    material = families.gather(
        data, seed=0, cache=cache / "families", features=cache / "features", workers=1,
        progress=lambda what, share: None, conditions=(CLEAN, NOISY), with_spectra=True,
    )  # fmt: skip
    rows = np.arange(len(material.clips))
    for family in ABLE.values():
        model = family.fit(material, rows, 0, lambda share: None)
        heard = [model.hear(read_clip(clip.path)) for clip in material.clips]
        judged = model.scores(material, rows)
        # The table has them over a line: no more than that may lie between the two.
        assert np.corrcoef(heard, judged)[0, 1] > 0.9


def test_the_families_of_the_study_are_all_there() -> None:
    names = " ".join(FAMILIES)
    for family in ("SVM", "MLP", "CNN", "GRU", "ours"):
        assert family in names
    assert DEV not in FAMILIES
