"""How good a rule is over many calls: what it finds, what it cries wolf at, how long it takes.

* **detection**: share of calls with persistent anger in which an alert is given
  between the onset and the end;
* **false alarms** per hour of calm speech: alerts opened while nothing has happened
  yet, in all calls, over the seconds that the caller had then spoken; with the exact
  interval of a Poisson count.  The hours are of speech, not of call;
* **outburst alarms**: share of calls with a single angry turn that are alarmed by it;
* **delay**: seconds of angry speech, and of the clock, from the onset to the alert, over
  the calls in which there was one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from voicebot.calls.poisson import Rate
from voicebot.calls.record import Facts, Heard, Kind
from voicebot.calls.replay import Outcome

Rule = Callable[[Heard], Outcome]
"""What decides about a call."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule made of one call, held against the truth."""

    facts: Facts
    false_alarms: int
    """alerts opened before the caller was provoked"""
    alert: float | None
    """s; the first alert, opened or repeated, from when the caller was provoked"""

    @property
    def angry_seconds(self) -> float | None:
        """Seconds of angry speech until the alert; None if there was none."""
        return None if self.alert is None else self.facts.angry_speech(self.alert)

    @property
    def clock_seconds(self) -> float | None:
        """Seconds from the onset to the alert; None if there was none."""
        return None if self.alert is None else self.alert - self.facts.provoked


@dataclass(frozen=True, slots=True)
class Figures:
    """How good a rule is over some calls."""

    calls: int
    angry_calls: int
    """with anger that persists"""
    detected: int
    false_alarms: int
    calm_hours: float
    """h of calm speech"""
    calm_call_hours: float
    """h of call, pauses included, in which the caller was calm"""
    outburst_calls: int
    outburst_alarms: int
    angry_seconds_median: float | None
    angry_seconds_p90: float | None
    clock_seconds_median: float | None
    clock_seconds_p90: float | None

    @property
    def detection(self) -> float:
        """Share of calls with persistent anger that were alerted, 0-1; NaN if there are none."""
        return self.detected / self.angry_calls if self.angry_calls else math.nan

    @property
    def rate(self) -> Rate:
        """False alarms per hour of calm speech."""
        return Rate(self.false_alarms, self.calm_hours)

    @property
    def outburst_share(self) -> float:
        """Share of single outbursts that were alarmed, 0-1; NaN if there are none."""
        return self.outburst_alarms / self.outburst_calls if self.outburst_calls else math.nan

    def plain(self) -> dict[str, Any]:
        """As JSON types, with what follows from the counts; None for what is not known."""
        rate = self.rate
        derived = {
            "detection": self.detection, "false_alarms_per_hour": rate.per_hour,
            "false_alarms_per_hour_low": rate.low, "false_alarms_per_hour_high": rate.high,
            "false_alarms_per_call_hour": Rate(self.false_alarms, self.calm_call_hours).per_hour,
            "outburst_share": self.outburst_share,
        }  # fmt: skip
        return {
            name: (round(value, 4) if math.isfinite(value) else None)
            if isinstance(value, float)
            else value
            for name, value in {**asdict(self), **derived}.items()
        }


def judge(call: Heard, rule: Rule) -> Verdict:
    """Hold what a rule makes of a call against the truth."""
    outcome, provoked = rule(call), call.facts.provoked
    happens = call.facts.onset is not None or call.facts.outburst is not None
    return Verdict(
        call.facts,
        sum(t < provoked or not happens for t in outcome.opened),
        next((t for t in outcome.told if t >= provoked), None) if happens else None,
    )


def figures(verdicts: Sequence[Verdict]) -> Figures:
    """Add up verdicts."""
    angry = [v for v in verdicts if v.facts.kind.persists]
    bursts = [v for v in verdicts if v.facts.kind is Kind.OUTBURST]
    speech = [s for v in angry if (s := v.angry_seconds) is not None]
    clock = [s for v in angry if (s := v.clock_seconds) is not None]
    return Figures(
        calls=len(verdicts),
        angry_calls=len(angry),
        detected=len(speech),
        false_alarms=sum(v.false_alarms for v in verdicts),
        calm_hours=sum(v.facts.calm_speech for v in verdicts) / 3600,
        calm_call_hours=sum(v.facts.provoked for v in verdicts) / 3600,
        outburst_calls=len(bursts),
        outburst_alarms=sum(v.alert is not None for v in bursts),
        angry_seconds_median=_quantile(speech, 0.5),
        angry_seconds_p90=_quantile(speech, 0.9),
        clock_seconds_median=_quantile(clock, 0.5),
        clock_seconds_p90=_quantile(clock, 0.9),
    )


def evaluate(calls: Sequence[Heard], rule: Rule) -> Figures:
    """Figures of a rule over calls."""
    return figures([judge(call, rule) for call in calls])


def by_group(verdicts: Sequence[Verdict]) -> dict[str, Figures]:
    """Figures by kind, corpus, language, gender, noise, line and speaker, as ``kind calm``.

    A call counts under everything that its line does.
    """
    groups: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        f = verdict.facts
        for name in (
            f"kind {f.kind.value}", f"corpus {f.corpus}", f"language {f.language}",
            f"gender {f.gender}", f"snr {_snr_band(f.snr_db)}",
            *(f"line {part}" for part in f.line.split(" + ")), f"speaker {f.speaker}",
        ):  # fmt: skip
            groups.setdefault(name, []).append(verdict)
    order = ("kind", "corpus", "language", "gender", "snr", "line", "speaker")
    names = sorted(groups, key=lambda name: (order.index(name.split()[0]), name))
    return {name: figures(groups[name]) for name in names}


def _snr_band(db: float | None) -> str:
    if db is None:
        return "clean"
    return "8-15 dB" if db < 15 else "15-25 dB" if db < 25 else "25-35 dB"


def _quantile(values: Sequence[float], share: float) -> float | None:
    return float(np.quantile(values, share)) if values else None
