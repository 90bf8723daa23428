"""What agents made of the alerts they got, and what it says of the rate of false ones.

Assembled or labelled calls give a first idea of the rate at the setting in force; the
line itself gives the truth, slowly.  Both are joined as a Gamma prior and Poisson counts:
the calls are believed as much as a few hours of the line would be, so that some days of
outcomes outweigh them.  What is learnt is one factor, by which this line is noisier
or quieter than the calls at *every* setting; the shape of the curve is the calls' own.

Source: Gelman et al., "Bayesian Data Analysis", 3rd ed., section 2.6 (Poisson model with exposure).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voicebot.calls.poisson import CONFIDENCE, Rate, gamma_quantile
from voicebot.errors import VoicebotError

_MEND = (
    "give CSV with the columns alert_id,outcome or JSON lines with these keys; outcome is true "
    "(the caller was angry) or false"
)
_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class OutcomeError(VoicebotError):
    """Outcomes of alerts cannot be read or used."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Alerts over some hours of calm speech on the line, with the setting in force."""

    true: int
    false: int
    hours: float
    """h of calm caller speech in which they came"""


@dataclass(frozen=True, slots=True)
class Posterior:
    """What is known of the rate of false alarms: a Gamma distribution."""

    shape: float
    hours: float

    @property
    def mean(self) -> float:
        """Per hour."""
        return self.shape / self.hours

    @property
    def at_most(self) -> float:
        """What the rate is below with 95 % probability, per hour."""
        return gamma_quantile(self.shape, CONFIDENCE) / self.hours


def read_outcomes(path: Path, hours: float) -> Outcomes:
    """Read agents' verdicts.

    Args:
        path: CSV with a header, or JSON lines (``.jsonl``).
        hours: Hours of calm caller speech in which the alerts came.

    Raises:
        OutcomeError: the file cannot be read, a line is malformed, an alert has two different
            outcomes, or there are no hours.
    """
    if hours <= 0:
        raise OutcomeError(
            f"--hours {hours:g}: without hours of speech a number of alarms is no rate",
            "give the hours of caller speech in which these alerts came",
        )
    seen: dict[str, bool] = {}
    for number, row in _rows(path):
        alert, word = row.get("alert_id"), row.get("outcome")
        if alert in (None, "") or word is None:
            raise OutcomeError(f"{path}:{number}: no alert_id or no outcome", _MEND)
        value = _WORDS.get(str(word).strip().lower())
        if value is None:
            raise OutcomeError(f"{path}:{number}: outcome is {word!r}", _MEND)
        if seen.setdefault(str(alert), value) != value:
            raise OutcomeError(
                f"{path}:{number}: alert {alert} is both true and false", "keep one of the two"
            )
    true = sum(seen.values())
    return Outcomes(true, len(seen) - true, hours)


def learn(calls: Rate, line: Outcomes, prior_hours: float) -> Posterior:
    """Join what calls say of the setting in force with what the line showed.

    Args:
        calls: False alarms in the calls, at the setting that was in force on the line.
        line: What the line showed.
        prior_hours: Hours of the line that the calls are worth, at most.
    """
    worth = min(prior_hours, calls.hours)
    # Half an event more than were counted (Jeffreys), so that none is not taken for never.
    return Posterior((calls.events + 0.5) * worth / calls.hours + line.false, worth + line.hours)


def factor(calls: Rate, posterior: Posterior) -> float:
    """By how much the line has more false alarms than the calls, at any setting.

    Args:
        calls: As for :func:`learn`.
        posterior: From :func:`learn`.
    """
    return posterior.mean / ((calls.events + 0.5) / calls.hours)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and values."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as err:
        reason = err.strerror if isinstance(err, OSError) else "not UTF-8 text"
        raise OutcomeError(f"{path}: {reason}", _MEND) from None
    if path.suffix.lower() == ".jsonl":
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if not isinstance(row, dict):
                raise OutcomeError(f"{path}:{number}: no JSON object", _MEND)
            yield number, row
        return
    reader = csv.DictReader(text.splitlines())
    if missing := {"alert_id", "outcome"} - set(reader.fieldnames or ()):
        raise OutcomeError(f"{path}: no column {min(missing)!r}", _MEND)
    yield from enumerate(reader, start=2)
