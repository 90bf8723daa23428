from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from pydantic import ValidationError

from tests.serving.fakes import FakeLine
from voicebot.serving.handover import HandoverParams, QueueParams, hand_over
from voicebot.telephony.line import Briefing, Transferred, TransferResult

R = TransferResult
BRIEFING = Briefing("a1", "https://desk/a1", "persistent_anger")


def ask(
    outcomes: list[R], targets: tuple[str, ...] = ("one", "two"), **params: Any
) -> tuple[Transferred, list[tuple[str, int, str]], FakeLine]:
    told: list[tuple[str, int, str]] = []
    line = FakeLine(list(outcomes))
    settings = HandoverParams(**{"pause_seconds": 0.0, **params})

    def note(target: str, attempt: int, result: str, detail: str, seconds: float) -> None:
        assert seconds >= 0
        told.append((target, attempt, result))

    outcome = asyncio.run(hand_over(line, targets, BRIEFING, settings, note))
    return outcome, told, line


def test_the_first_who_answers_takes_the_caller() -> None:
    outcome, told, line = ask([R.BUSY, R.DONE])
    assert outcome == Transferred(R.DONE, "in its own words")
    assert told == [
        ("one", 1, "started"), ("one", 1, "busy"), ("two", 2, "started"), ("two", 2, "done"),
    ]  # fmt: skip
    assert line.asked[0] == ("one", BRIEFING)


def test_all_are_asked_again_and_then_it_is_over() -> None:
    outcome, told, _ = ask([R.BUSY, R.NO_ANSWER, R.DECLINED, R.UNREACHABLE], rounds=2)
    assert outcome.result is R.UNREACHABLE
    assert [attempt for _, attempt, result in told if result == "started"] == [1, 2, 3, 4]


def test_they_are_left_alone_for_a_while_before_they_are_asked_again() -> None:
    began = time.monotonic()
    ask([R.BUSY] * 4, rounds=2, pause_seconds=0.1)
    assert 0.1 <= time.monotonic() - began < 1.0, "one pause, between the rounds"


@pytest.mark.parametrize("final", [R.UNSUPPORTED, R.GONE])
def test_there_is_no_use_in_asking_on(final: R) -> None:
    outcome, told, _ = ask([final])
    assert outcome.result is final
    assert len(told) == 2


def test_one_who_never_says_how_it_ended_is_given_up() -> None:
    class Silent(FakeLine):
        async def transfer(self, target: str, briefing: Briefing) -> Transferred:
            await asyncio.sleep(5)
            raise AssertionError

    params = HandoverParams(attempt_seconds=0.1, rounds=1)
    outcome = asyncio.run(hand_over(Silent(), ("one",), BRIEFING, params, lambda *_: None))
    assert outcome.result is R.TIMEOUT


def test_a_gateway_that_breaks_costs_an_attempt() -> None:
    class Broken(FakeLine):
        async def transfer(self, target: str, briefing: Briefing) -> Transferred:
            if target == "one":
                raise RuntimeError("broken")
            return Transferred(R.DONE)

    outcome = asyncio.run(
        hand_over(Broken(), ("one", "two"), BRIEFING, HandoverParams(), lambda *_: None)
    )
    assert outcome.result is R.DONE


def test_queues_by_what_was_dialled() -> None:
    params = HandoverParams(
        targets=["desk"],
        queues=[
            QueueParams(name="hot", called=["+49800*", "hotline"], targets=["2001", "2002"]),
            QueueParams(called=["*99"], targets=[]),
        ],
    )
    assert params.targets_for("+498001") == ("2001", "2002")
    assert params.targets_for("hotline") == ("2001", "2002")
    assert params.targets_for("1199") == ()
    assert params.targets_for("") == ("desk",)
    assert [params.queue_for(called) for called in ("hotline", "1199", "")] == ["hot", "", ""]


def test_an_address_with_other_braces_is_refused() -> None:
    assert HandoverParams(briefing_url="https://desk/{alert_id}?call={call_id}")
    for wrong in (
        "https://desk/{alert}",
        "https://desk/{",
        "https://desk/{}",
        "{alert_id.x}",
        "{alert_id[x]}",
    ):
        with pytest.raises(ValidationError, match="briefing_url may contain"):
            HandoverParams(briefing_url=wrong)
