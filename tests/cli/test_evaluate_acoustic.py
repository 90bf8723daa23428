"""``voicebot evaluate acoustic``: its options reach the evaluation, its report the files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.evaluating import Asked
from voicebot.cli.evaluate_acoustic import command
from voicebot.errors import ModelError
from voicebot.training import acoustic_evaluation


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(command, acoustic_evaluation, "acoustic", monkeypatch)


def test_table_json_and_page(asked: Asked, tmp_path: Path) -> None:
    asked.check_table_json_and_page(tmp_path)


def test_what_cannot_be_written_is_refused_before_the_work(asked: Asked, tmp_path: Path) -> None:
    asked.check_what_cannot_be_written_is_refused_before_the_work(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [((), None), (("--left-out",), "left-out"), (("--left-out-models", "mine"), "mine")],
)
def test_left_out_models_are_asked_for(
    asked: Asked, arguments: tuple[str, ...], name: str | None
) -> None:
    asked.run(*arguments)
    found = asked.options["left_out_models"]
    assert (found.name if found else None) == name
    assert asked.options["draw"] is False


def test_an_unknown_split(asked: Asked) -> None:
    with pytest.raises(ModelError, match="--split tset"):
        asked.run("--split", "tset")
    assert asked.options == {}
