"""What a call costs: every CPU second is charged once."""

from __future__ import annotations

import time

import pytest
from pydantic import SecretStr

from voicebot.bench import STAGES, Meter, PipelineCost, StageCost, silent
from voicebot.config import Config
from voicebot.escalation.actions import ActionsParams
from voicebot.escalation.webhook import WebhookParams


def burn(seconds: float) -> str:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return "done"


class Worker:
    rate = 8000

    def work(self) -> str:
        return burn(0.02)

    def open(self) -> Lease:
        return Lease()


class Lease:
    def accept(self) -> str:
        return burn(0.03)


def test_methods_are_charged_to_their_stage_and_leases_too() -> None:
    meter = Meter()
    worker = meter.proxy(Worker(), "stt")
    assert worker.rate == 8000
    assert worker.work() == "done"
    assert worker.open().accept() == "done"
    assert 0.05 <= meter.seconds["stt"] < 0.5
    assert meter.calls["stt"] == 3
    assert meter.longest["stt"] >= 0.03
    assert sum(meter.seconds.values()) == meter.seconds["stt"]


def test_nothing_is_metered_where_there_is_nothing() -> None:
    assert Meter().proxy(None, "text") is None


def test_a_benchmark_alerts_nobody() -> None:
    webhook = WebhookParams(url="https://desk.example.com/", secret=SecretStr("x" * 16))
    loud = Config(actions=ActionsParams(webhook=webhook))
    assert silent(loud).actions.webhook.url == ""
    assert silent(loud).actions.outbox == loud.actions.outbox


def test_percent_is_per_second_of_audio_and_leg() -> None:
    costs = tuple(StageCost(s, 1.0 if s == "stt" else 0.1, 1, 1.0) for s in STAGES)
    cost = PipelineCost(50.0, 2, costs, 1.0, 5.0, 100.0)
    assert cost.percent_of_core("stt") == pytest.approx(1.0)
    assert cost.without_stt == pytest.approx(0.1 * (len(STAGES) - 1))
