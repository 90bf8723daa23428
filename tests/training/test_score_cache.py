"""What is kept: only what is whole, under a name that changes with its causes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from voicebot.errors import OutputError
from voicebot.training import score_cache
from voicebot.training.score_cache import (
    digest_of,
    keep_json,
    keep_rows,
    kept_json,
    kept_rows,
    spread_over,
    table,
)


def test_kept_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.npz"
    numbers, reasons = table([(np.arange(3.0), ""), (np.full(3, np.nan), "low_snr")], 3)
    assert kept_rows(path, 2, 3) is None
    keep_rows(path, numbers, reasons)
    found = kept_rows(path, 2, 3)
    assert found is not None
    np.testing.assert_array_equal(found[0], numbers)
    assert found[1].tolist() == ["", "low_snr"]
    assert kept_rows(path, 3, 3) is None
    path.write_bytes(b"half a fi")
    assert kept_rows(path, 2, 3) is None
    assert [p.name for p in path.parent.iterdir()] == ["a.npz"]


def test_no_rows_at_all() -> None:
    numbers, reasons = table([], 4)
    assert numbers.shape == (0, 4)
    assert reasons.shape == (0,)


def test_json(tmp_path: Path) -> None:
    keep_json(tmp_path / "a.json", [["네", 0.5]])
    assert kept_json(tmp_path / "a.json") == [["네", 0.5]]
    (tmp_path / "a.json").write_text("[[")
    assert kept_json(tmp_path / "a.json") is None


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="--cache"):
        keep_json(tmp_path / "file" / "a.json", 1)


def test_the_name_follows_files_values_and_code(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("1")
    modules = ["voicebot.training.metrics"]
    first = digest_of([tmp_path / "model"], modules, 1)
    assert first == digest_of([tmp_path / "model"], modules, 1)
    (tmp_path / "model").write_text("2")
    others = {
        first, digest_of([tmp_path / "model"], modules, 1),
        digest_of([tmp_path / "model"], modules, 2),
        digest_of([tmp_path / "model"], ["voicebot.events"], 1),
    }  # fmt: skip
    assert len(others) == 4


def test_code_is_followed_into_what_it_imports() -> None:
    names = {p.name for p in score_cache._sources(("voicebot.emotion.acoustic",))}
    assert {"acoustic.py", "features.py", "calibration.py", "onnx_model.py"} <= names
    assert "metrics.py" not in names


def test_processes_give_the_same_in_order() -> None:
    for workers in (1, 2):
        with spread_over(workers) as spread:
            assert list(spread(abs, [-3, 2, -1])) == [3, 2, 1]
