"""``voicebot evaluate calls``: what whole calls come to, with the truth known."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from voicebot import config as configuration
from voicebot.cli.evaluation_output import check_outputs
from voicebot.cli.json_output import write_json
from voicebot.cli.train import DataOption, SeedOption, progress_bar
from voicebot.engine import NO_LANGUAGE
from voicebot.errors import OutputError

if TYPE_CHECKING:
    from voicebot.calls.figures import Figures
    from voicebot.calls.record import Heard
    from voicebot.calls.sweep import Point
    from voicebot.config import Config
    from voicebot.training.report import Progress

SplitOption = Annotated[
    str, typer.Option("--split", help="Whose speakers: dev, or test for the final figures.")
]
LeftOutOption = Annotated[
    bool,
    typer.Option(
        "--left-out",
        help="Hear each corpus with a model trained without it: speakers and corpus unseen. "
        "Allows --split train too.",
    ),
]
WorkersOption = Annotated[int, typer.Option("--workers", min=1, max=64, help="Processes.")]
CacheOption = Annotated[
    Path | None,
    typer.Option("--cache", metavar="FOLDER", help="Heard calls; default ~/.cache/voicebot."),
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", metavar="FILE", help="A config.yaml.")
]


def command(
    data: DataOption = Path("../shared/data"),
    split: SplitOption = "dev",
    count: Annotated[
        int, typer.Option("--count", min=20, help="Calls; 20 are about 35 min of calm speech.")
    ] = 200,
    seed: SeedOption = 0,
    left_out: LeftOutOption = False,
    own_line: Annotated[
        bool,
        typer.Option(
            "--own-line",
            help="Take each corpus for a line that was calibrated: callers are compared with the "
            "other callers of their corpus.",
        ),
    ] = False,
    with_text: Annotated[
        str | None,
        typer.Option(
            "--with-text",
            metavar="LANGUAGE",
            help="Read the words too, as the recogniser hears them, and compare with the voice "
            "alone on the same calls. Only speakers who mean what they say: ko.",
        ),
    ] = None,
    models: Annotated[
        Path | None,
        typer.Option(
            "--acoustic", metavar="FOLDER", help="Acoustic model; default the active one."
        ),
    ] = None,
    config: ConfigOption = None,
    workers: WorkersOption = 2,
    cache: CacheOption = None,
    out: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all figures as JSON.")
    ] = None,
    png: Annotated[
        Path | None, typer.Option("--png", metavar="FILE", help="Draw the curve over thresholds.")
    ] = None,
) -> None:
    """Assemble calls of speakers the model never heard, run them through the pipeline, judge it.

    Tells how many calls with persistent anger are alerted, after how many seconds of angry
    speech, how many single outbursts are, and how many false alarms there are per hour of calm
    speech; against two plain rules on the same calls. Heard calls are cached, so that another
    configuration of the evidence takes seconds.
    Example: voicebot evaluate calls --split dev --count 400 --png curve.png
    """  # fmt: skip
    from voicebot.calls.gather import CallSet, gather

    check_outputs(out, None, None)
    if png is not None and not png.parent.is_dir():
        raise OutputError(f"--png {png}: no such folder", f"make the folder {png.parent} first")
    console = Console()
    settings = configuration.load(configuration.locate(config))
    asked = CallSet(
        data, split, count, seed, with_text or NO_LANGUAGE, left_out, models, settings, cache
    )
    results: dict[str, Any] = {}
    with progress_bar(console) as progress:
        calls = gather(asked, progress, workers)
        variants = {"voice": calls}
        if with_text is not None:
            fusion = settings.emotion.fusion
            variants = {
                "voice alone": [c.fused_again(fusion, words=False) for c in calls],
                "words alone": [c.fused_again(fusion, voice=False) for c in calls],
                "voice and words": calls,
            }
        judged = {
            name: _judge(those, settings, own_line, progress, workers)
            for name, those in variants.items()
        }
    for name, (groups, points, chosen) in judged.items():
        _show(console, name, groups, points, chosen)
        results[name] = _plain(groups, points)
        if png is not None:
            from voicebot.calls.picture import draw

            path = (
                png if len(judged) == 1 else png.with_stem(f"{png.stem}-{name.replace(' ', '-')}")
            )
            title = f"{count} {split} calls, {name}{', corpus left out' if left_out else ''}"
            draw(path, points, chosen, title)
    if out is not None:
        write_json(out, results)


def _judge(
    calls: Sequence[Heard], settings: Config, own_line: bool, progress: Progress, workers: int
) -> tuple[dict[str, Figures], list[Point], Point]:
    """Figures by group, the curves, and the setting in force."""
    from voicebot.calls.figures import by_group, figures, judge
    from voicebot.calls.line import Levels, levels_of_lines
    from voicebot.calls.replay import replay
    from voicebot.calls.sweep import EVIDENCE, Point, sweep

    params, wide = settings.escalation, settings.emotion.baseline
    levels = levels_of_lines(calls, wide) if own_line else Levels(wide)
    verdicts = [judge(c, partial(replay, params=params, levels=levels)) for c in calls]
    groups = {"all": figures(verdicts), **by_group(verdicts)}
    points = sweep(calls, params, levels, progress, workers)
    return groups, points, Point(EVIDENCE, params.policy.threshold_nats, groups["all"])


def _show(
    console: Console,
    name: str,
    groups: dict[str, Figures],
    points: Sequence[Point],
    chosen: Point,
) -> None:
    """The tables."""
    from voicebot.calls.sweep import ANY, EVIDENCE, THREE, best_within

    console.print(table(f"{name}: setting in force ({chosen.threshold:g} nats)", groups))
    curve = {f"{p.threshold:g} nats": p.figures for p in points if p.rule == EVIDENCE}
    console.print(table(f"{name}: evidence over its thresholds", curve))
    best = {
        f"{budget:g}/h, {rule}, {point.threshold:g}": point.figures
        for budget in (0.1, 0.3, 1.0, 3.0)
        for rule in (EVIDENCE, ANY, THREE)
        if (point := best_within(points, rule, budget))
    }
    console.print(table(f"{name}: most found within a budget", best))


def table(title: str, rows: dict[str, Figures]) -> Table:
    """Figures of whole calls, for a terminal of 80 columns; the rest is in the JSON."""
    made = Table(
        title=title, box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False, show_edge=False
    )
    made.add_column("", overflow="fold", max_width=24)
    for head in ("calm\nh", "false alarms\nper h (95 %)", "persistent\nfound", "outbursts\nalarmed",
                 "angry s\nmed/p90"):  # fmt: skip
        made.add_column(head, justify="right", no_wrap=True)
    for name, f in rows.items():
        made.add_row(
            name,
            f"{f.calm_hours:.2f}",
            f"{f.rate.per_hour:.2f} ({f.rate.low:.2f}-{f.rate.high:.2f})" if f.calm_hours else "-",
            _share(f.detection, f.angry_calls),
            _share(f.outburst_share, f.outburst_calls),
            _pair(f.angry_seconds_median, f.angry_seconds_p90),
        )
    return made


def _share(share: float, count: int) -> str:
    return f"{100 * share:.0f}% of {count}" if count else "-"


def _pair(median: float | None, p90: float | None) -> str:
    return "-" if median is None or p90 is None else f"{median:.1f}/{p90:.0f}"


def _plain(groups: dict[str, Figures], points: Sequence[Point]) -> dict[str, Any]:
    from voicebot.calls.sweep import plain_points

    return {
        "groups": {name: f.plain() for name, f in groups.items()},
        "curve": plain_points(points),
    }
