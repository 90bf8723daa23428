"""The curve over thresholds: how much is found for how many false alarms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from voicebot.calls.figures import Figures, Rule, Verdict, figures, judge
from voicebot.calls.line import Levels
from voicebot.calls.plain_rules import THRESHOLD, in_a_row
from voicebot.calls.record import Heard
from voicebot.calls.replay import replay
from voicebot.escalation.escalation import EscalationParams
from voicebot.training.report import Progress

EVIDENCE: Final = "evidence"
ANY: Final = "any utterance"
THREE: Final = "three in a row"

THRESHOLDS: Final = tuple(float(round(t, 2)) for t in np.geomspace(0.25, 12.0, 24))
"""nats"""
PROBABILITIES: Final = (
    0.1, 0.2, 0.3, 0.4, THRESHOLD, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99,
    0.995, 0.998,
)  # fmt: skip
_RISING: Final = 0.375
"""Share of the threshold at which a call is RISING at the latest."""


@dataclass(frozen=True, slots=True)
class Point:
    """A rule at one threshold."""

    rule: str
    threshold: float
    """nats for the evidence, a probability for the plain rules"""
    figures: Figures


def at_threshold(params: EscalationParams, nats: float) -> EscalationParams:
    """The same parameters with another threshold.

    What must lie below the threshold (rising, release) is lowered where it would not.

    Args:
        params: Evidence and policy.
        nats: The threshold.
    """
    policy = params.policy.model_dump()
    rising = min(params.policy.rising_nats, _RISING * nats)
    policy |= {
        "threshold_nats": nats,
        "rising_nats": rising,
        "release_nats": min(params.policy.release_nats, rising / 3),
    }
    return EscalationParams.model_validate({**params.model_dump(), "policy": policy})


def sweep(
    calls: Sequence[Heard],
    params: EscalationParams,
    levels: Levels,
    progress: Progress,
    workers: int = 2,
) -> list[Point]:
    """Figures of the evidence and of both plain rules, each over its thresholds.

    Args:
        calls: What was heard.
        params: Evidence and policy; their own threshold is one of those tried.
        levels: The prior of each caller's own level.
        progress: Told how far it is.
        workers: Processes; 1 works in this one.
    """
    nats = sorted({*THRESHOLDS, params.policy.threshold_nats})
    jobs: list[tuple[str, float, Rule]] = [
        *(
            (EVIDENCE, t, partial(replay, params=at_threshold(params, t), levels=levels))
            for t in nats
        ),
        *((ANY, p, partial(in_a_row, count=1, threshold=p)) for p in PROBABILITIES),
        *((THREE, p, partial(in_a_row, count=3, threshold=p)) for p in PROBABILITIES),
    ]
    points = []
    found = evaluate_each(calls, [rule for _, _, rule in jobs], workers)
    for (name, threshold, _), made in zip(jobs, found, strict=True):
        points.append(Point(name, threshold, made))
        progress("thresholds", len(points) / len(jobs))
    return points


def evaluate_each(
    calls: Sequence[Heard], rules: Sequence[Rule], workers: int = 2
) -> Iterator[Figures]:
    """Figures of many rules over the same calls, in their order; as :func:`judge_each`."""
    return (figures(verdicts) for verdicts in judge_each(calls, rules, workers))


def judge_each(
    calls: Sequence[Heard], rules: Sequence[Rule], workers: int = 2
) -> Iterator[list[Verdict]]:
    """Verdicts of many rules over the same calls, in their order.

    Args:
        calls: What was heard.
        rules: To be judged; picklable if there are several workers.
        workers: Processes; 1 works in this one.
    """
    if workers == 1 or len(rules) < 2:
        yield from ([judge(call, rule) for call in calls] for rule in rules)
        return
    with ProcessPoolExecutor(workers, initializer=_Shared.take, initargs=(calls,)) as pool:
        for rows in pool.map(_Shared.judge, rules):
            # The truth is here already, and too large to be sent back each time.
            yield [Verdict(call.facts, *row) for call, row in zip(calls, rows, strict=True)]


class _Shared:
    """The calls that a worker process judges, sent to it once."""

    calls: Sequence[Heard] = ()

    @classmethod
    def take(cls, calls: Sequence[Heard]) -> None:
        cls.calls = calls

    @classmethod
    def judge(cls, rule: Rule) -> list[tuple[int, float | None]]:
        verdicts = (judge(call, rule) for call in cls.calls)
        return [(v.false_alarms, v.alert) for v in verdicts]


def best_within(points: Sequence[Point], rule: str, per_hour: float) -> Point | None:
    """The point of a rule that finds most at no more false alarms per hour than given."""
    those = [p for p in points if p.rule == rule and p.figures.rate.per_hour <= per_hour]
    return max(those, key=lambda p: (p.figures.detection, -p.figures.rate.per_hour), default=None)


def plain_points(points: Sequence[Point]) -> list[dict[str, Any]]:
    """The curve as JSON types."""
    return [{"rule": p.rule, "threshold": p.threshold, **p.figures.plain()} for p in points]
