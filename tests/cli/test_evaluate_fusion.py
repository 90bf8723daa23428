"""``voicebot evaluate fusion``: its options reach the evaluation, its report the files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.evaluating import Asked
from voicebot.cli.evaluate_fusion import command
from voicebot.training import fusion_evaluation


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(command, fusion_evaluation, "fusion", monkeypatch)


def test_table_json_and_page(asked: Asked, tmp_path: Path) -> None:
    asked.check_table_json_and_page(tmp_path)


def test_what_cannot_be_written_is_refused_before_the_work(asked: Asked, tmp_path: Path) -> None:
    asked.check_what_cannot_be_written_is_refused_before_the_work(tmp_path)


def test_left_out_models_are_asked_for(asked: Asked, tmp_path: Path) -> None:
    asked.run()
    assert asked.options["left_out_models"] is None
    asked.run("--left-out-models", str(tmp_path))
    assert asked.options["left_out_models"] == tmp_path
