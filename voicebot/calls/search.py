"""Choosing threshold, weight and leak for a budget of false alarms.

Every setting of a grid is replayed over the same calls.  Within the budget (and the
share of single outbursts that may be alarmed) the one that finds most is taken.  How far
to trust its rate is told in two ways:

* an **upper limit**, 95 % one-sided: the larger of the exact Poisson limit over all hours and the
  95 % quantile of a bootstrap over callers, because false alarms belong to callers and the
  calls of one are not independent (A. Davison and D. Hinkley, "Bootstrap Methods and their
  Application", 1997, section 3.8: resampling clusters);
* **without the caller**: the setting is chosen again on all callers but one and judged on that one,
  for each in turn, which takes back what was won by choosing among many.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product
from typing import Any, Final

import numpy as np

from voicebot.calls.figures import Figures, Verdict, figures
from voicebot.calls.line import Levels
from voicebot.calls.poisson import CONFIDENCE, Rate
from voicebot.calls.record import Heard, Kind
from voicebot.calls.replay import replay
from voicebot.calls.sweep import at_threshold, judge_each
from voicebot.emotion.baseline import BaselineParams
from voicebot.escalation.escalation import EscalationParams
from voicebot.training.report import Progress

THRESHOLDS: Final = tuple(float(round(t, 2)) for t in np.geomspace(0.4, 10.0, 14))
"""nats; tried for ``policy.threshold_nats``"""
GRID: Final[Mapping[str, tuple[float, ...]]] = {
    "evidence.seconds": (4.0, 6.0, 9.0),
    "evidence.angry_seconds": (30.0, 60.0, 120.0),
    "evidence.start_share": (0.02, 0.1),
}
"""Keys of ``escalation`` and what is tried for each, beside the value in force."""
RESAMPLES: Final = 2000


@dataclass(frozen=True)
class Trial:
    """One setting, judged over all calls."""

    params: EscalationParams
    verdicts: tuple[Verdict, ...]
    own_level: BaselineParams
    """the prior over callers that goes with it"""

    @cached_property
    def figures(self) -> Figures:
        """Over all calls."""
        return figures(self.verdicts)

    @cached_property
    def callers(self) -> dict[str, _Tally]:
        """Counts by caller."""
        tallies: dict[str, _Tally] = {}
        for v in self.verdicts:
            old = tallies.get(v.facts.speaker, _Tally())
            found = v.alert is not None
            persists, burst = v.facts.kind.persists, v.facts.kind is Kind.OUTBURST
            tallies[v.facts.speaker] = _Tally(
                old.false_alarms + v.false_alarms,
                old.hours + v.facts.calm_speech / 3600,
                old.angry + persists,
                old.found + (persists and found),
                old.bursts + burst,
                old.alarmed + (burst and found),
            )
        return tallies

    def upper(self, seed: int = 0) -> float:
        """What the rate of false alarms is below with 95 % confidence, per hour."""
        counts = np.array([(t.false_alarms, t.hours) for t in self.callers.values()])
        rng = np.random.default_rng(seed)
        chosen = rng.integers(len(counts), size=(RESAMPLES, len(counts)))
        events, hours = np.moveaxis(counts[chosen].sum(axis=1), -1, 0)
        rates = events[hours > 0] / hours[hours > 0]
        drawn = float(np.quantile(rates, CONFIDENCE)) if len(rates) else np.inf
        return max(drawn, self.figures.rate.at_most)


@dataclass(frozen=True, slots=True)
class _Tally:
    """What a setting made of one caller."""

    false_alarms: int = 0
    hours: float = 0.0
    angry: int = 0
    found: int = 0
    bursts: int = 0
    alarmed: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be spent."""

    per_hour: float
    """false alarms per hour of calm speech"""
    outbursts: float = 1.0
    """share of single outbursts that may be alarmed, 0-1"""
    factor: float = 1.0
    """by how much the line has more false alarms than the calls"""


def settings(params: EscalationParams) -> list[EscalationParams]:
    """Every setting that is tried, the one in force first."""
    axes = [(name, _with_own(params, name, values)) for name, values in GRID.items()]
    own = params.policy.threshold_nats
    tried = [
        at_threshold(_changed(params, dict(zip(GRID, values, strict=True))), nats)
        for *values, nats in product(*(v for _, v in axes), sorted({*THRESHOLDS, own}))
    ]
    return [params, *(p for p in tried if p != params)]


def run_trials(
    calls: Sequence[Heard],
    tried: Sequence[EscalationParams],
    levels: Levels,
    progress: Progress,
    workers: int = 2,
) -> list[Trial]:
    """Judge every setting over the calls.

    Args:
        calls: What was heard.
        tried: The settings.
        levels: The prior of each caller's own level.
        progress: Told how far it is.
        workers: Processes; 1 works in this one.
    """
    rules = [partial(replay, params=params, levels=levels) for params in tried]
    trials = []
    for params, verdicts in zip(tried, judge_each(calls, rules, workers), strict=True):
        trials.append(Trial(params, tuple(verdicts), levels.common))
        progress("settings", len(trials) / len(tried))
    return trials


def choose(trials: Sequence[Trial], limits: Limits) -> Trial | None:
    """The setting that finds most within the limits; None if none keeps within them."""
    return _best([(t, _total(t.callers.values())) for t in trials], limits)


def without_the_caller(trials: Sequence[Trial], limits: Limits) -> tuple[Rate, float]:
    """Rate of false alarms, and share found, when each caller had no part in the choice.

    A caller without whom no setting keeps within the limits is judged by the most cautious one.
    """
    false_alarms, hours, angry, found = 0, 0.0, 0, 0
    for caller in trials[0].callers:
        others = [
            (t, _total(tally for name, tally in t.callers.items() if name != caller))
            for t in trials
        ]
        chosen = _best(others, limits) or min(trials, key=lambda t: t.figures.false_alarms)
        mine = chosen.callers[caller]
        false_alarms, hours = false_alarms + mine.false_alarms, hours + mine.hours
        angry, found = angry + mine.angry, found + mine.found
    return Rate(false_alarms, hours), found / angry if angry else float("nan")


def _best(trials: Sequence[tuple[Trial, _Tally]], limits: Limits) -> Trial | None:
    within = [
        (trial, t)
        for trial, t in trials
        if t.false_alarms * limits.factor <= limits.per_hour * t.hours + 1e-9
        and t.alarmed <= limits.outbursts * t.bursts + 1e-9
    ]
    if not within:
        return None
    best, _ = max(
        within,
        key=lambda pair: (
            pair[1].found,
            -pair[1].alarmed,
            -pair[1].false_alarms,
            -(pair[0].figures.angry_seconds_median or np.inf),
        ),
    )
    return best


def _total(tallies: Iterator[_Tally] | Any) -> _Tally:
    rows = [(t.false_alarms, t.hours, t.angry, t.found, t.bursts, t.alarmed) for t in tallies]
    return _Tally(*(sum(column) for column in zip(*rows, strict=True))) if rows else _Tally()


def _with_own(params: EscalationParams, name: str, values: tuple[float, ...]) -> list[float]:
    section, key = name.split(".")
    return sorted({*values, float(getattr(getattr(params, section), key))})


def _changed(params: EscalationParams, values: Mapping[str, float]) -> EscalationParams:
    plain: dict[str, Any] = params.model_dump()
    for name, value in values.items():
        section, key = name.split(".")
        plain[section] = {**plain[section], key: value}
    return EscalationParams.model_validate(plain)
