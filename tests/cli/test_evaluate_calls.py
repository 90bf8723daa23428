from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.calls.made import call
from voicebot.calls.record import Kind
from voicebot.cli.evaluate_calls import command
from voicebot.cli.json_output import write_json
from voicebot.errors import OutputError

pytestmark = pytest.mark.usefixtures("few_thresholds")


@pytest.fixture
def few_thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicebot.calls.sweep.THRESHOLDS", (1.0, 8.0))


CALLS = [
    *(call([-2.0] * 20, speaker=f"x:{n}") for n in range(2)),
    *(call([-2.0] * 2 + [3.0] * 8, Kind.ANGRY, begins=2, speaker=f"x:{n}") for n in range(2)),
]


def test_tables_json_and_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("voicebot.calls.gather.gather", lambda *_: CALLS)
    out, png = tmp_path / "f.json", tmp_path / "c.png"
    command(count=20, workers=1, out=out, png=png)
    said = capsys.readouterr().out
    assert "100% of 2" in said
    assert "three in a row" in said
    figures = json.loads(out.read_text())["voice"]
    assert figures["groups"]["all"]["detection"] == 1.0
    assert {p["rule"] for p in figures["curve"]} == {"evidence", "any utterance", "three in a row"}
    assert png.is_file()


def test_with_words_the_voice_alone_is_told_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicebot.calls.gather.gather", lambda *_: CALLS)
    command(count=20, workers=1, with_text="ko", out=tmp_path / "f.json")
    assert set(json.loads((tmp_path / "f.json").read_text())) == {
        "voice alone", "words alone", "voice and words",
    }  # fmt: skip


def test_outputs_are_looked_at_before_the_calls(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="--json .*: no such folder"):
        command(count=20, out=tmp_path / "absent" / "f.json")
    with pytest.raises(OutputError, match="--png .*: no such folder"):
        command(count=20, png=tmp_path / "absent" / "c.png")


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="absent"):
        write_json(tmp_path / "absent" / "f.json", {})


def test_on_a_line_of_their_own_callers_are_compared_with_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    callers = [call([-3.2 + 0.05 * n] * 20, speaker=f"x:{n}") for n in range(12)]
    angry = [call([0.2] * 12, Kind.ANGRY_FROM_START, speaker=f"x:a{n}") for n in range(3)]
    monkeypatch.setattr("voicebot.calls.gather.gather", lambda *_: [*callers, *angry])
    found = []
    for own_line in (False, True):
        command(count=20, workers=1, own_line=own_line, out=tmp_path / "f.json")
        figures = json.loads((tmp_path / "f.json").read_text())["voice"]["groups"]["all"]
        found.append(figures["detected"])
    assert found == [0, 3]
