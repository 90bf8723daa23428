"""``voicebot evaluate text``: its options reach the evaluation, its report the files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.evaluating import Asked
from voicebot.cli.evaluate_text import command
from voicebot.errors import ModelError
from voicebot.training import text_evaluation
from voicebot.training.evaluation_report import PartReport


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(command, text_evaluation, "text", monkeypatch)


def test_table_json_and_page(asked: Asked, tmp_path: Path) -> None:
    asked.check_table_json_and_page(tmp_path)


def test_what_cannot_be_written_is_refused_before_the_work(asked: Asked, tmp_path: Path) -> None:
    asked.check_what_cannot_be_written_is_refused_before_the_work(tmp_path)


def test_languages(asked: Asked) -> None:
    asked.run()
    assert asked.options["languages"] == ("en", "zh", "ko")
    assert asked.options["recognise"] is True
    asked.run("--language", "ko", "--no-recognise")
    assert asked.options["languages"] == ("ko",)
    assert asked.options["recognise"] is False


def test_a_model_error_comes_through(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*a: object, **k: object) -> PartReport:
        raise ModelError("text-en: missing", "restore it")

    monkeypatch.setattr(text_evaluation, "evaluate", broken)
    with pytest.raises(ModelError, match="text-en: missing"):
        asked.run()
