"""Events: JSON out and in, and the schema that describes it."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import resources
from typing import Any

import jsonschema
import pytest

from tests.conftest import ROOT
from tests.example_events import ONE_OF_EACH
from voicebot import events
from voicebot.events import EVENT_TYPES, Alert, EmotionScore, Event, Leg


def schema() -> dict[str, Any]:
    text = resources.files("voicebot").joinpath("assets/events.schema.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def test_the_examples_cover_every_type() -> None:
    assert {type(e) for e in ONE_OF_EACH} == set(EVENT_TYPES.values())


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda e: e.type)
def test_json_and_back(event: Event) -> None:
    line = event.to_json()
    assert "\n" not in line
    assert events.from_json(line) == event


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda e: e.type)
def test_the_schema_accepts_every_event(event: Event) -> None:
    jsonschema.validate(json.loads(event.to_json()), schema())


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"type": "rumour"}, "unknown event type"),
        ({"severity": "loud"}, "loud"),
        ({"t": "soon"}, "expected float"),
        ({"evidence": 3}, "expected a list"),
        ({"colour": "red"}, "unknown field 'colour'"),
        ({"update": 1}, "expected bool"),
    ],
)
def test_wrong_json_is_refused_by_reader_and_schema(change: dict[str, Any], why: str) -> None:
    (alert,) = [e for e in ONE_OF_EACH if isinstance(e, Alert)]
    wrong = {**alert.to_dict(), **change}
    with pytest.raises(ValueError, match=why):
        events.from_dict(wrong)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema())


def test_a_missing_field_is_refused() -> None:
    (alert,) = [e for e in ONE_OF_EACH if isinstance(e, Alert)]
    short = alert.to_dict()
    del short["reason"]
    with pytest.raises(ValueError, match="reason"):
        events.from_dict(short)


def test_an_array_is_not_an_event() -> None:
    with pytest.raises(ValueError, match="object"):
        events.from_json("[]")


def test_numbers_that_json_cannot_hold_are_refused() -> None:
    (alert,) = [e for e in ONE_OF_EACH if isinstance(e, Alert)]
    broken = Alert(
        call_id="c", leg=Leg.CALLER, t=float("nan"), alert_id="a", severity=alert.severity,
        reason="r", evidence=(),
    )  # fmt: skip
    with pytest.raises(ValueError, match="JSON"):
        broken.to_json()


def test_times_are_rounded_so_that_records_compare_equal() -> None:
    (alert,) = [e for e in ONE_OF_EACH if isinstance(e, Alert)]
    moved = events.from_dict({**alert.to_dict(), "t": 1 / 3})
    assert moved.to_dict()["t"] == 0.3333


def test_the_anger_of_a_score_is_the_logistic_of_its_logit() -> None:
    assert EmotionScore({}, 0.0).anger == 0.5
    assert EmotionScore({}, 2.0).anger == pytest.approx(0.880797)
    assert EmotionScore({}, -800.0).anger == 0.0


def test_the_schema_is_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "make_schema"), "--check"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
