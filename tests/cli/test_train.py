"""``voicebot train``: from a folder to models, with a table."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from tests.training.corpus import make_corpus
from tests.training.test_acoustic import SMALL
from tests.training.whisper import install, packed, weights
from voicebot.cli.train import app, figures_table, progress_bar
from voicebot.emotion.acoustic import AcousticModel
from voicebot.errors import ModelError
from voicebot.training import acoustic, rehearsal, text
from voicebot.training.augmentation import CLEAN
from voicebot.training.federated_training import FederatedRecipe
from voicebot.training.report import Progress, TrainReport


def test_train_acoustic_writes_a_model_that_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_corpus(tmp_path / "data")
    full = acoustic.train_small

    def small(*args: Any, **options: Any) -> TrainReport:
        return full(*args, **options, recipe=SMALL)

    monkeypatch.setattr(acoustic, "train_small", small)
    out, cache = tmp_path / "models", tmp_path / "cache"
    result = CliRunner().invoke(
        app,
        ["acoustic", "--small", "--data", str(data), "--out", str(out), "--cache", str(cache)],
        catch_exceptions=False,
        env={"COLUMNS": "200"},
    )
    assert result.exit_code == 0
    assert "mean unseen" in result.output
    assert str(out) in result.output
    AcousticModel.load(out / "acoustic-small")


def test_train_acoustic_makes_both_models_and_those_without_a_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_corpus(tmp_path / "data")
    install(monkeypatch, tmp_path / "whisper", packed(weights()))
    full = acoustic.train

    def quick(*args: Any, **options: Any) -> TrainReport:
        return full(*args, **options, recipe=SMALL, conditions=(CLEAN,))

    monkeypatch.setattr(acoustic, "train", quick)
    out, left = tmp_path / "models", tmp_path / "left"
    result = CliRunner().invoke(
        app,
        ["acoustic", "--data", str(data), "--out", str(out), "--cache", str(tmp_path / "cache"),
         "--left-out-models", str(left), "--workers", "1"],
        catch_exceptions=False,
    )  # fmt: skip
    assert result.exit_code == 0
    assert sorted(p.name for p in out.iterdir()) == ["acoustic", "acoustic-small"]
    assert sorted(p.name for p in left.iterdir()) == ["acoustic-aa", "acoustic-bb", "acoustic-cc"]


def test_train_text_hands_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(
        data: Path,
        out: Path,
        *,
        seed: int,
        progress: Any,
        languages: Any,
        threads: int,
        **rest: Any,
    ) -> TrainReport:
        progress("text xx", 1.0)
        notes = (f"seed {seed}", f"{' '.join(languages)} on {threads}")
        return TrainReport((out / "text-xx",), {"xx a": {"auc": 0.75}}, 1.0, notes)

    monkeypatch.setattr(text, "train", fake)
    result = CliRunner().invoke(
        app, ["text", "--data", "d", "--out", str(tmp_path), "--seed", "7"], catch_exceptions=False
    )
    assert "0.750" in result.output
    assert "seed 7" in result.output
    assert "en zh ko on 2" in result.output
    result = CliRunner().invoke(
        app, ["text", "--language", "ko", "--threads", "1", "--out", str(tmp_path)],
        catch_exceptions=False,
    )  # fmt: skip
    assert "ko on 1" in result.output


def test_broken_licences_are_told_before_the_work(tmp_path: Path) -> None:
    data, cache = make_corpus(tmp_path / "data"), tmp_path / "cache"
    (data / "speech" / "licences.csv").write_text("name,licence\naa,ours alone\n")
    arguments = ["acoustic", "--small", "--data", str(data), "--cache", str(cache)]
    with pytest.raises(ModelError, match=r"licences\.csv"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert not cache.exists()


def federated(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["federated", *arguments], catch_exceptions=False)


def test_train_federated_hands_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Flower: what is asked for is what is trained."""
    asked: dict[str, Any] = {}

    def fake(
        data: Path, out: Path, sites: list[str], *, progress: Progress, **rest: Any
    ) -> TrainReport:
        progress("federated: rounds", 1.0)
        asked.update(data=data, out=out, sites=sites, **rest)
        figures = {"mean, federated": {"auc": 0.75}}
        return TrainReport((out,), figures, 1.0, ("epsilon 7",))

    monkeypatch.setattr(rehearsal, "rehearse", fake)
    result = federated("--sites", "aa+bb", "--sites", "cc")
    assert result.exit_code == 0
    assert "0.750" in result.output
    assert "epsilon 7" in result.output
    assert "written: acoustic-federated" in result.output
    assert asked == {
        "data": Path("../shared/data"), "out": Path("acoustic-federated"),
        "sites": ["aa+bb", "cc"], "seed": 0, "recipe": FederatedRecipe(), "cache": None,
        "workers": 2,
    }  # fmt: skip
    federated(
        "--sites", "aa", "--sites", "bb", "--data", "d", "--out", str(tmp_path), "--seed", "3",
        "--rounds", "5", "--clip", "1.5", "--noise", "0.5", "--cache", "c", "--workers", "1",
    )  # fmt: skip
    assert asked == {
        "data": Path("d"), "out": tmp_path, "sites": ["aa", "bb"], "seed": 3,
        "recipe": FederatedRecipe(rounds=5, clip=1.5, noise=0.5), "cache": Path("c"), "workers": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    "wrong", [[], ["--rounds", "0"], ["--clip", "-1"], ["--noise", "-1"], ["--workers", "0"]]
)
def test_options_of_train_federated_that_cannot_be(wrong: list[str]) -> None:
    sites = ["--sites", "aa", "--sites", "bb"] if wrong else []
    result = federated(*sites, *wrong)
    assert result.exit_code == 2
    assert (wrong[0] if wrong else "--sites") in result.output


def test_without_flower_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flwr", None)
    data, out, cache = make_corpus(tmp_path / "data"), tmp_path / "out", tmp_path / "cache"
    with pytest.raises(ModelError, match=r"needs the Python package flwr") as caught:
        federated(
            "--sites", "aa", "--sites", "bb", "--data", str(data), "--out", str(out), "--cache",
            str(cache),
        )  # fmt: skip
    assert caught.value.mend == "pip install 'voicebot[train,federated]'"
    assert not out.exists()
    assert not cache.exists()


def test_missing_data_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"manifest\.csv"):
        CliRunner().invoke(app, ["acoustic", "--data", str(tmp_path)], catch_exceptions=False)


def test_a_table_has_all_columns_and_dashes_for_gaps() -> None:
    table = figures_table({"a": {"auc": 0.5, "n": 12.0}, "b": {"ece": 0.1}}, "t")
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(table)
    lines = console.export_text().splitlines()
    assert any("0.500" in line and "12" in line and "-" in line for line in lines)


def test_each_work_has_one_bar_as_long_as_its_share() -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, color_system=None, width=80)
    with progress_bar(console) as progress:
        progress("one", 0.25)
        progress("two", 1.0)
        progress("one", 0.5)
    last = shown.getvalue().split("\x1b[1A")[-1].replace("\x1b[2K", "")  # the final drawing
    bars = [line.split()[:2] for line in last.splitlines() if "━" in line]
    assert [(name, len(bar)) for name, bar in bars] == [("one", 20), ("two", 40)]
