"""``voicebot calibrate``: from a budget of false alarms to threshold, weight and leak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from voicebot import config as configuration
from voicebot.cli.evaluate_calls import (
    CacheOption,
    ConfigOption,
    LeftOutOption,
    SplitOption,
    WorkersOption,
)
from voicebot.cli.train import DataOption, SeedOption, progress_bar
from voicebot.engine import NO_LANGUAGE
from voicebot.errors import VoicebotError

if TYPE_CHECKING:
    from voicebot.calls.record import Heard
    from voicebot.calls.search import Limits, Trial
    from voicebot.config import Config
    from voicebot.training.report import Progress


def command(
    budget: Annotated[
        str,
        typer.Option(
            "--budget", metavar="N/h", help="False alarms per hour of calm speech: 0.1/h, 1/10h."
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Where to write the YAML fragment.")
    ],
    calls: Annotated[
        Path | None,
        typer.Option("--calls", metavar="FOLDER", help="Your own calls; else assembled ones."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", metavar="FOLDER", help="Of your calls; default CALLS/labels."),
    ] = None,
    outcomes: Annotated[
        Path | None,
        typer.Option(
            "--outcomes", metavar="FILE", help="What agents made of alerts: alert_id,outcome."
        ),
    ] = None,
    hours: Annotated[
        float,
        typer.Option("--hours", help="Hours of caller speech in which those alerts came."),
    ] = 0.0,
    prior_hours: Annotated[
        float,
        typer.Option(
            "--prior-hours",
            min=0.01,
            help="Hours of your line that the calls are worth beside the outcomes.",
        ),
    ] = 10.0,
    outbursts: Annotated[
        float,
        typer.Option(
            "--outbursts", min=0.0, max=1.0, help="Share of single outbursts that may be alarmed."
        ),
    ] = 0.05,
    unproven: Annotated[
        bool,
        typer.Option(
            "--unproven",
            help="Write the best guess even if there are too few hours to "
            "show that it keeps the budget.",
        ),
    ] = False,
    language: Annotated[
        str,
        typer.Option("--language", help="Of your calls; none judges the voice alone."),
    ] = NO_LANGUAGE,
    data: DataOption = Path("../shared/data"),
    split: SplitOption = "dev",
    count: Annotated[int, typer.Option("--count", min=20, help="Assembled calls.")] = 400,
    seed: SeedOption = 0,
    left_out: LeftOutOption = False,
    config: ConfigOption = None,
    workers: WorkersOption = 2,
    cache: CacheOption = None,
) -> None:
    """Set the escalation so that it finds most for a budget of false alarms per hour.

    Tries thresholds, weights and leaks over calls of which the truth is known: assembled ones
    (as `voicebot evaluate calls`), or your own with labels (`voicebot label`). Agents'
    verdicts on earlier alerts correct the rate for your line.
    Example: voicebot calibrate --budget 0.1/h --count 1000 --out calibrated.yaml
    """  # fmt: skip
    from voicebot.calls.budget import check_hours, parse_budget, pick, write_fragment
    from voicebot.calls.search import Limits

    per_hour = parse_budget(budget)
    if outcomes is not None and hours <= 0:
        raise VoicebotError(
            "--outcomes needs --hours", "give the hours of caller speech they are of"
        )
    settings = configuration.load(configuration.locate(config))
    console = Console()
    limits = Limits(per_hour, outbursts)
    with progress_bar(console) as progress:
        heard = (
            _own(calls, labels, settings, language, cache, progress, console)
            if calls is not None
            else _assembled(data, split, count, seed, left_out, settings, cache, progress, workers)
        )
        check_hours(heard, per_hour, unproven)
        trials = _trials(heard, settings, progress, workers)
    if outcomes is not None:
        limits = _learn(console, trials[0], outcomes, hours, prior_hours, limits)
    chosen = pick(trials, limits)
    _show(console, trials, chosen, limits)
    write_fragment(out, chosen, limits)
    console.print(f"written: {out}", highlight=False, soft_wrap=True)


def _assembled(
    data: Path,
    split: str,
    count: int,
    seed: int,
    left_out: bool,
    settings: Config,
    cache: Path | None,
    progress: Progress,
    workers: int,
) -> Sequence[Heard]:
    from voicebot.calls.gather import CallSet, gather

    if split == "test":
        raise VoicebotError(
            "--split test: what was chosen on the test speakers cannot be tested on them",
            "use dev, or train with --left-out",
        )
    asked = CallSet(data, split, count, seed, left_out=left_out, config=settings, cache=cache)
    return gather(asked, progress, workers)


def _own(
    calls: Path,
    labels: Path | None,
    settings: Config,
    language: str,
    cache: Path | None,
    progress: Progress,
    console: Console,
) -> Sequence[Heard]:
    from voicebot.calls.own import hear_own
    from voicebot.labelling.transfer import labels_folder
    from voicebot.training.feature_cache import default_cache

    where = labels if labels is not None else labels_folder(calls)
    folder = cache if cache is not None else default_cache().parent
    own = hear_own(calls, where, settings, language, folder, progress)
    for name in own.left_out:
        console.print(f"left out, too little of it is agreed on: {name}", highlight=False)
    return own.heard


def _trials(
    heard: Sequence[Heard], settings: Config, progress: Progress, workers: int
) -> list[Trial]:
    """Every setting with the prior over callers in force, and with the line's own if it is known.

    Only a line of one's own has one: callers to come are then callers like these.
    """
    from voicebot.calls import search
    from voicebot.calls.line import Levels, levels_of_lines

    tried, wide = search.settings(settings.escalation), settings.emotion.baseline
    line = levels_of_lines(heard, wide)
    priors = [Levels(wide), *([line] if line.common != wide else [])]
    return [
        trial
        for levels in priors
        for trial in search.run_trials(heard, tried, levels, progress, workers)
    ]


def _learn(
    console: Console, in_force: Trial, path: Path, hours: float, prior_hours: float, limits: Limits
) -> Limits:
    """Correct the rate by what agents made of alerts."""
    from voicebot.calls.outcomes import factor, learn, read_outcomes

    line = read_outcomes(path, hours)
    rate = in_force.figures.rate
    posterior = learn(rate, line, prior_hours)
    more = factor(rate, posterior)
    console.print(
        f"{line.false} of {line.true + line.false} alerts were false in {hours:g} h: with the "
        f"setting in force {posterior.mean:.2f}/h on your line (below {posterior.at_most:.2f}/h "
        f"with 95 %), {more:.2f} times that of the calls",
        highlight=False,
    )
    return replace(limits, factor=more)


def _show(console: Console, trials: Sequence[Trial], chosen: Trial, limits: Limits) -> None:
    """The trade-off around the budget."""
    from voicebot.calls.search import choose, without_the_caller

    made = Table(title="Most found within a budget", box=box.SIMPLE, padding=(0, 0, 0, 1))
    for head in ("budget\nper h", "from\nnats", "speech\ns", "fades\ns", "false\nper h",
                 "below\n(95 %)", "found", "bursts\nalarmed", "angry s\nmedian"):  # fmt: skip
        made.add_column(head, justify="right")
    rows: list[tuple[str, Trial]] = [("in force", trials[0])]
    for share in (0.25, 0.5, 1.0, 2.0, 4.0, 10.0):
        mine = replace(limits, per_hour=limits.per_hour * share)
        if trial := choose(trials, mine):
            rows.append((f"{mine.per_hour:g}", trial))
    for name, trial in rows:
        f, p = trial.figures, trial.params
        median = f.angry_seconds_median
        made.add_row(
            name, f"{p.policy.threshold_nats:g}", f"{p.evidence.seconds:g}",
            f"{p.evidence.angry_seconds:g}", f"{f.rate.per_hour * limits.factor:.2f}",
            f"{trial.upper() * limits.factor:.2f}", f"{f.detection:.0%}",
            f"{f.outburst_share:.0%}" if f.outburst_calls else "-",
            "-" if median is None else f"{median:.1f}",
            style="bold" if trial is chosen and name != "in force" else "",
        )  # fmt: skip
    console.print(made)
    own = chosen.own_level
    whose = "as configured" if own == trials[0].own_level else "of this line"
    console.print(
        f"Callers {whose}: calm at {own.calm_logit:g} nats, give or take {own.between_sd:g}.",
        highlight=False,
    )
    rate, found = without_the_caller(trials, limits)
    console.print(
        f"Chosen anew without each caller and judged on that caller: "
        f"{rate.per_hour * limits.factor:.2f} false alarms per hour, {found:.0%} found "
        f"({chosen.figures.calm_hours:.1f} h of calm speech of {len(chosen.callers)} callers).",
        highlight=False,
    )
