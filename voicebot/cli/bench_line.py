"""``voicebot bench line`` and ``voicebot bench soak``: a daemon under the load of real calls."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from voicebot.cli.json_output import JsonOption, check_file, write_json
from voicebot.load.daemon_process import MEDIA
from voicebot.load.line_bench import RAMP_SECONDS, SETTLE_SECONDS, Series, Step, measure
from voicebot.load.soak import Sample, Soak, soak
from voicebot.load.soak_picture import draw
from voicebot.plot import check_picture

DEFAULT_STEPS = {
    MEDIA: "25,50,100,150,200,250,300,400,500",
    "none": "2,4,8,12,16,20,24,28,32,40,50",
    "": "2,4,6,8,10,12,14,16,20,24,28,32",
}
"""Calls at once by what is heard; the last for any language."""

AudioArgument = Annotated[
    Path | None,
    typer.Argument(help="What callers say: the caller's leg of a file; default a bundled call."),
]


def line(
    file: AudioArgument = None,
    hearing: Annotated[
        list[str] | None,
        typer.Option(
            "--hearing",
            metavar="WHAT",
            help="media (audio is taken in and not listened to), none (no speech-to-text), or a "
            "language; may be repeated.  Default: media, none and ko (streaming Vosk).",
        ),
    ] = None,
    steps: Annotated[
        str | None,
        typer.Option("--steps", metavar="N,N,...", help="Calls at once, step by step."),
    ] = None,
    seconds: Annotated[
        float, typer.Option("--seconds", min=2.0, help="For which each step is measured.")
    ] = 15.0,
    output: JsonOption = None,
) -> None:
    """How many calls this machine hears at once with no loss, and what each of them costs.

    Starts voicebot serve and a process of callers that dial in by SIP and speak by RTP, more of
    them step by step, until packets are lost or the hearing lags.  The callers take a part of the
    machine as well.  Examples:

      voicebot bench line

      voicebot bench line --hearing ko --steps 2,4,8,16 --json line.json
    """  # fmt: skip
    check_file(output)
    console, series = Console(), []
    with tempfile.TemporaryDirectory() as scratch:
        for what in hearing or [MEDIA, "none", "ko"]:
            counts = _counts(steps or DEFAULT_STEPS.get(what, DEFAULT_STEPS[""]))
            each = RAMP_SECONDS + SETTLE_SECONDS + seconds + 4.0
            folder = Path(scratch) / what
            folder.mkdir()
            with _audio(file, what) as audio, _progress() as progress:
                task = progress.add_task(what, total=len(counts) * each)

                told = partial(_advance, progress, task, what, each)
                series.append(measure(folder, audio, what, counts, seconds, told))
            console.print(steps_table(series[-1]))
    if len(series) > 1:
        console.print(summary(series))
    write_json(output, [asdict(one) for one in series])


def soaking(
    file: AudioArgument = None,
    minutes: Annotated[
        float, typer.Option("--minutes", min=0.2, help="How long calls come and go.")
    ] = 30.0,
    calls: Annotated[int, typer.Option("--calls", min=1, help="How many, in all.")] = 600,
    language: Annotated[
        str, typer.Option("--language", "-l", help="As of voicebot serve; none, or media.")
    ] = "en",
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw it (.png, .svg or .pdf)."),
    ] = None,
    output: JsonOption = None,
) -> None:
    """Let calls come and go for a long time, and see that nothing grows.

    Memory, open files, media ports and threads of the daemon are looked at every five seconds; the
    calls last 5 to 15 s and begin at random times.

    Example: voicebot bench soak --minutes 30 --calls 600 --plot soak.png --json soak.json
    """
    check_file(output)
    if plot:
        check_picture(plot)
    with (
        _audio(file, language) as audio,
        tempfile.TemporaryDirectory() as scratch,
        _progress() as progress,
    ):
        task = progress.add_task("soak", total=minutes)

        def told(sample: Sample) -> None:
            progress.update(
                task, completed=sample.minutes,
                description=f"{sample.running} calls, {sample.ended} over, {sample.rss_mb:.0f} MB",
            )  # fmt: skip

        result = soak(
            Path(scratch), audio, language, minutes=minutes, calls=calls, seconds=(5.0, 15.0),
            told=told,
        )  # fmt: skip
    Console().print(soak_table(result))
    write_json(output, asdict(result))
    if plot:
        draw(result, plot)
        typer.echo(f"picture: {plot}")


def _advance(progress: Progress, task: TaskID, what: str, seconds: float, step: Step) -> None:
    progress.update(task, advance=seconds, description=f"{what}: {step.calls} calls")


def steps_table(series: Series) -> Table:
    """The steps of one daemon."""
    table = Table(
        "calls", "answered", "lost", "unheard", "lag p95", "CPU", "each", "memory",
        title=f"hearing: {series.language}",
        caption=f"memory before the first call {series.idle_rss_mb:.0f} MB; CPU in percent of one "
        "core",
    )  # fmt: skip
    for step in series.steps:
        table.add_row(
            str(step.calls), str(step.answered), str(step.lost),
            f"{step.dropped_blocks / 10:.1f} s", f"{1000 * step.lag_p95:.0f} ms",
            f"{step.cpu_percent:.0f} %", f"{step.cpu_percent / step.calls:.2f} %",
            f"{step.rss_mb:.0f} MB",
        )  # fmt: skip
    return table


def summary(series: list[Series]) -> Table:
    """The most calls with no loss, for each daemon."""
    table = Table(
        "hearing", "calls at once", "CPU per call", "memory per call", "calls per core",
        title="most calls that were all heard, with no loss",
    )  # fmt: skip
    for one in series:
        most = one.most
        if most is None:
            table.add_row(one.language, "none", "", "", "")
            continue
        share = most.cpu_percent / most.calls
        more = (most.rss_mb - one.idle_rss_mb) / most.calls
        table.add_row(
            one.language, str(most.calls), f"{share:.2f} %", f"{more:.1f} MB", f"{100 / share:.0f}"
        )
    return table


def soak_table(result: Soak) -> Table:
    """What the soak showed."""
    first, last = result.samples[0], result.samples[-1]
    busy = [s for s in result.samples if s.running]
    table = Table("figure", "value", title=f"soak of {last.minutes:.0f} min, {result.language}")
    for name, value in (
        ("calls placed, answered, cut off",
         f"{result.placed}, {result.answered}, {result.cut_off}"),
        ("calls at once, at most", str(max((s.running for s in result.samples), default=0))),
        ("memory before, after", f"{first.rss_mb:.0f} MB, {last.rss_mb:.0f} MB"),
        ("memory, second half", f"{result.growth_mb_per_hour:+.1f} MB an hour"),
        ("open files before, after", f"{first.descriptors}, {last.descriptors}"),
        ("media ports left", str(result.leaked_ports)),
        ("threads before, after", f"{first.threads}, {last.threads}"),
        ("lag p95, at most", f"{1000 * max((s.lag_p95 for s in busy), default=0):.0f} ms"),
    ):  # fmt: skip
        table.add_row(name, value)
    return table


def _counts(text: str) -> list[int]:
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise typer.BadParameter(f"{text!r} is not like 2,4,8", param_hint="--steps")
    return counts


@contextmanager
def _audio(file: Path | None, language: str) -> Iterator[Path]:
    """The file that was named, else a bundled call, in the language if there is one."""
    demo = resources.files("voicebot").joinpath("assets/demo")
    bundled = demo.joinpath(f"angry_{language}.flac")
    with resources.as_file(bundled if bundled.is_file() else demo / "angry_en.flac") as default:
        yield file or default


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(),
        console=Console(stderr=True), transient=True,
    )  # fmt: skip
