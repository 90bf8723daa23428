from __future__ import annotations

from pathlib import Path

import pytest

from tests.calls.made import call
from voicebot import config
from voicebot.calls.record import Heard, Kind
from voicebot.cli.calibrate import command
from voicebot.emotion.baseline import BaselineParams
from voicebot.errors import VoicebotError
from voicebot.escalation.escalation import EscalationParams

CALLS: list[Heard] = [
    *(call([-2.0] * 30, speaker=f"x:{n}") for n in range(2)),
    *(call([-2.0] * 2 + [3.0] * 8, Kind.ANGRY, begins=2, speaker=f"x:{n}") for n in range(2)),
]


def test_the_test_split_is_no_place_to_choose_on(tmp_path: Path) -> None:
    with pytest.raises(VoicebotError, match="--split test"):
        command(budget="1/h", out=tmp_path / "c.yaml", split="test")


def test_outcomes_need_hours(tmp_path: Path) -> None:
    with pytest.raises(VoicebotError, match="--outcomes needs --hours"):
        command(budget="1/h", out=tmp_path / "c.yaml", outcomes=tmp_path / "o.csv")


def test_a_set_of_calls_is_calibrated_from_end_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("voicebot.calls.gather.gather", lambda *_: CALLS)
    monkeypatch.setattr("voicebot.calls.search.settings", lambda params: [params])
    outcomes = tmp_path / "o.csv"
    outcomes.write_text("alert_id,outcome\na,true\nb,false\n")
    out = tmp_path / "c.yaml"
    command(budget="50/h", out=out, unproven=True, outcomes=outcomes, hours=5.0)
    said = capsys.readouterr().out
    assert "1 of 2 alerts were false in 5 h" in said
    assert "Most found within a budget" in said
    assert config.load(out, environ={}).escalation == EscalationParams()


def test_a_line_of_ones_own_brings_its_own_prior(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Callers who are angry from the first word are found only by how the others sound."""
    callers = [call([-3.2 + 0.05 * n] * 20, speaker=f"x:{n}") for n in range(12)]
    angry = [call([0.2] * 12, Kind.ANGRY_FROM_START, speaker=f"x:a{n}") for n in range(3)]
    monkeypatch.setattr("voicebot.calls.gather.gather", lambda *_: [*callers, *angry])
    monkeypatch.setattr("voicebot.calls.search.settings", lambda params: [params])
    out = tmp_path / "c.yaml"
    command(budget="50/h", out=out, unproven=True)
    assert "Callers of this line: calm at -2.7" in capsys.readouterr().out
    assert config.load(out, environ={}).emotion.baseline.between_sd < BaselineParams().between_sd
