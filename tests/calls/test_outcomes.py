from __future__ import annotations

from pathlib import Path

import pytest

from voicebot.calls.outcomes import OutcomeError, Outcomes, factor, learn, read_outcomes
from voicebot.calls.poisson import Rate


def test_csv_and_json_lines_say_the_same(tmp_path: Path) -> None:
    table, lines = tmp_path / "o.csv", tmp_path / "o.jsonl"
    table.write_text("alert_id,outcome,agent\na,true,x\nb,False,y\nb,false,z\n")
    lines.write_text('{"alert_id": "a", "outcome": true}\n\n{"alert_id": "b", "outcome": false}\n')
    assert read_outcomes(table, 8.0) == read_outcomes(lines, 8.0) == Outcomes(1, 1, 8.0)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("o.csv", "alert,outcome\n", "no column 'alert_id'"),
        ("o.csv", "alert_id,outcome\na,perhaps\n", "o.csv:2: outcome is 'perhaps'"),
        ("o.csv", "alert_id,outcome\na,true\na,false\n", "o.csv:3: alert a is both"),
        ("o.csv", "alert_id,outcome\n,true\n", "o.csv:2: no alert_id"),
        ("o.jsonl", "[1]\n", "o.jsonl:1: no JSON object"),
        ("o.jsonl", "{\n", "o.jsonl:1: no JSON object"),
    ],
)
def test_malformed_outcomes_are_named_with_their_line(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(OutcomeError, match=said):
        read_outcomes(tmp_path / name, 1.0)


def test_no_file_and_no_hours(tmp_path: Path) -> None:
    with pytest.raises(OutcomeError, match="absent"):
        read_outcomes(tmp_path / "absent.csv", 1.0)
    with pytest.raises(OutcomeError, match="--hours 0"):
        read_outcomes(tmp_path / "absent.csv", 0.0)


def test_a_line_as_the_calls_said_changes_nothing() -> None:
    calls = Rate(4, 40.0)
    posterior = learn(calls, Outcomes(3, 2, 2 / (4.5 / 40.0)), 10.0)
    assert factor(calls, posterior) == pytest.approx(1.0)


def test_many_hours_of_the_line_outweigh_the_calls() -> None:
    calls = Rate(4, 40.0)
    few, many = learn(calls, Outcomes(0, 5, 10.0), 10.0), learn(calls, Outcomes(0, 500, 1e3), 10.0)
    assert few.mean == pytest.approx((4.5 / 4 + 5) / 20)
    assert many.mean == pytest.approx(0.5, rel=0.02)
    assert many.at_most < few.at_most
    assert factor(calls, many) > factor(calls, few) > 1.0


def test_the_calls_are_never_worth_more_than_their_own_hours() -> None:
    assert learn(Rate(0, 2.0), Outcomes(0, 0, 1.0), 10.0).hours == 3.0
