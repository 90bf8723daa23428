"""Events as plain lines."""

from __future__ import annotations

import dataclasses

import pytest

from tests.example_events import ONE_OF_EACH
from voicebot.cli.lines import clock, lines
from voicebot.events import Alert, Event, Quote


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "00:00.0"), (59.96, "01:00.0"), (83.46, "01:23.5"), (3600, "60:00.0")],
)
def test_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda e: e.type)
def test_every_event_but_the_fleeting_ones_is_told(event: Event) -> None:
    told = lines(event)
    assert bool(told) == (event.type not in ("utterance_started", "partial"))
    assert all("\n" not in line for line in told)


def test_a_running_score_is_not_told() -> None:
    for event in ONE_OF_EACH:
        if event.type in ("emotion", "evidence"):
            assert lines(dataclasses.replace(event, settled=False)) == []  # type: ignore[call-arg]


def test_an_alert_shows_severity_reason_and_quotes() -> None:
    (alert,) = [e for e in ONE_OF_EACH if isinstance(e, Alert)]
    told = "\n".join(lines(alert))
    for part in ("critical", "persistent_anger", "where is my parcel", "0.60", "00:01.0"):
        assert part in told
    unscored = dataclasses.replace(alert, evidence=(Quote(1.0, 2.0, "hm", None),))
    assert "anger" not in lines(unscored)[1]
