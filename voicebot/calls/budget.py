"""A budget of false alarms: read, shown to be one that calls can prove, spent, written down."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import yaml

from voicebot import config as configuration
from voicebot.calls.poisson import Rate, hours_needed
from voicebot.calls.record import Heard
from voicebot.calls.search import Limits, Trial, choose
from voicebot.errors import ConfigError, OutputError, VoicebotError

_BUDGET: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(?:/(\d+(?:\.\d*)?)?h)?")


def parse_budget(text: str) -> float:
    """False alarms per hour of ``0.1/h``, ``1/10h`` or ``0.1``.

    Raises:
        ConfigError: it is no such thing, or not above zero.
    """
    match = _BUDGET.fullmatch(text.strip().replace(" ", ""))
    value = float(match[1]) / float(match[2] or 1) if match and match[2] != "0" else 0.0
    if value <= 0:
        raise ConfigError(
            f"--budget {text}: no number of false alarms per hour above zero",
            "write 0.1/h, or 1/10h: there is no threshold without any",
        )
    return value


def check_hours(calls: Sequence[Heard], per_hour: float, unproven: bool) -> None:
    """See that there is enough calm speech to show that a budget is kept.

    Raises:
        VoicebotError: there is not, or there is no persistent anger to find.
    """
    if not any(c.facts.kind.persists for c in calls):
        raise VoicebotError(
            "no call in which anger persists: what finds most cannot be told from what finds none",
            "label some calls with angry callers, or leave --calls out to use assembled ones",
        )
    hours, needed = sum(c.facts.calm_speech for c in calls) / 3600, hours_needed(per_hour)
    if hours < needed and not unproven:
        least = Rate(0, hours).at_most
        raise VoicebotError(
            f"{hours:.1f} h of calm speech cannot show {per_hour:g} false alarms per hour: without "
            f"a single one, no less than {least:.2g}/h could be promised (95 %)",
            f"take at least {needed:.0f} h (a larger --count, more calls), allow "
            f"--budget {least:.2g}/h, or add --unproven for a guess",
        )


def pick(trials: Sequence[Trial], limits: Limits) -> Trial:
    """The setting that finds most within the limits.

    Raises:
        VoicebotError: none keeps within them.
    """
    chosen = choose(trials, limits)
    if chosen is None or not chosen.figures.detected:
        least = min(trials, key=lambda t: t.figures.false_alarms).figures
        raise VoicebotError(
            f"no setting finds anything at {limits.per_hour:g} false alarms per hour and "
            f"{limits.outbursts:.0%} of outbursts (the most cautious: "
            f"{least.rate.per_hour * limits.factor:.2f}/h, finds {least.detection:.0%})",
            "allow more with --budget or --outbursts, or train the models on calls like these",
        )
    return chosen


def write_fragment(path: Path, chosen: Trial, limits: Limits) -> None:
    """Write the escalation as YAML that ``--config`` takes, and read it back.

    Raises:
        OutputError: it cannot be written.
    """
    f = chosen.figures
    note = (
        f"# voicebot calibrate: at most {limits.per_hour:g} false alarms per hour of calm speech.\n"
        f"# Expected {f.rate.per_hour * limits.factor:.3f}/h, below "
        f"{chosen.upper() * limits.factor:.3f}/h with 95 % confidence, over {f.calm_hours:.1f} h "
        f"of {len(chosen.callers)} callers;\n# finds {f.detection:.0%} of {f.angry_calls} calls "
        f"with persistent anger.\n"
    )
    tree = {
        "escalation": chosen.params.model_dump(mode="json"),
        "emotion": {"baseline": chosen.own_level.model_dump(mode="json")},
    }
    try:
        path.write_text(note + yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    except OSError as err:
        raise OutputError(f"{path}: {err.strerror or err}", "choose another --out file") from err
    configuration.load(path, environ={})
