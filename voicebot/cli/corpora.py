"""``voicebot corpora``: see, check and make the labelled speech that models are trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from voicebot.audio.source import parse_legs
from voicebot.cli.train import progress_bar
from voicebot.labelling.transfer import labels_folder
from voicebot.training import corpus_check, own_calls, own_corpus
from voicebot.training import prepare as preparation
from voicebot.training.speech_corpora import read_manifest
from voicebot.training.text_corpora import CORPORA

app = typer.Typer(
    no_args_is_help=True,
    help="See, check and make the labelled speech that models are trained on.",
    epilog="Example:  voicebot corpora add calls/ --name mycalls --language en --out data",
)

DataArgument = Annotated[
    Path, typer.Argument(metavar="DATA", help="Has speech/manifest.csv, as for voicebot train.")
]
SHARED = Path("../shared/data")


@app.command("list")
def list_(data: DataArgument = SHARED) -> None:
    """List what a data folder holds: who speaks, in which language and mood, under what licence.

    Example: voicebot corpora list ../shared/data
    """
    found = corpus_check.summaries(read_manifest(data))
    console = Console()
    table = Table(title=f"Speech in {data}")
    for heading in ("corpus", "language"):
        table.add_column(heading)
    for heading in ("speakers", "clips", "hours"):
        table.add_column(heading, justify="right")
    table.add_column("emotions")
    table.add_column("train/dev/test", justify="right")
    table.add_column("licence")
    for one in found:
        table.add_row(
            one.corpus, ", ".join(one.languages), str(one.speakers), str(one.clips),
            f"{one.hours:.2f}", ", ".join(f"{emotion} {n}" for emotion, n in one.emotions),
            "/".join(str(n) for _, n in one.splits), one.licence,
        )  # fmt: skip
    console.print(table)
    console.print(f"{len(list((data / 'noise').glob('*.ogg')))} background noises", highlight=False)
    texts = [c for c in CORPORA if all((data / "text" / name).is_file() for name in c.files)]
    if texts:
        words = Table(title=f"Text in {data}")
        for heading in ("corpus", "language", "counts as angry", "licence"):
            words.add_column(heading)
        for corpus in texts:
            words.add_row(corpus.name, corpus.language, corpus.anger, corpus.licence)
        console.print(words)


@app.command()
def check(data: DataArgument = SHARED) -> None:
    """Read every clip and name all that is wrong; exit 1 if nothing can be trained on it.

    Example: voicebot corpora check data
    """
    console = Console(stderr=True)
    with progress_bar(console) as progress:
        clips, problems = corpus_check.check(data, progress)
    for problem in problems:
        typer.echo(f"{'unusable' if problem.fatal else 'odd'}: {problem.what}")
        typer.echo(f"  to mend it: {problem.mend}")
    fatal = sum(problem.fatal for problem in problems)
    typer.echo(
        f"{data}: {len(clips)} clips, {fatal} fatal problems, {len(problems) - fatal} others"
    )
    if fatal:
        raise typer.Exit(1)


@app.command()
def prepare(
    data: DataArgument = SHARED,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Processes.")] = 2,
    cache: Annotated[
        Path | None, typer.Option("--cache", metavar="FOLDER", help="Default ~/.cache.")
    ] = None,
) -> None:
    """Resample, trim and level every clip once; name what is broken, silent or there twice.

    An interrupted run goes on where it stopped.
    Example: voicebot corpora prepare ../shared/data
    """
    console = Console()
    with progress_bar(console) as progress:
        prepared = preparation.prepare(data, progress, workers, cache=cache)
    for one in prepared.dropped:
        console.print(f"{one.file}: {one.fault}: {one.detail}", highlight=False, soft_wrap=True)
    hours = sum(clip.seconds for clip in prepared.clips) / 3600
    console.print(
        f"{len(prepared.clips)} clips, {hours:.2f} h; {len(prepared.dropped)} left out",
        highlight=False,
    )
    console.print(f"written: {prepared.folder}", highlight=False, soft_wrap=True)


@app.command()
def add(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Of recordings, labelled by voicebot label.")
    ],
    name: Annotated[str, typer.Option("--name", help="Of the corpus: a-z, 0-9, - and _.")],
    language: Annotated[str, typer.Option("--language", "-l", metavar="CODE", help="en, ko, ...")],
    out: Annotated[
        Path, typer.Option("--out", metavar="DATA", help="Data folder to add to; made if missing.")
    ],
    labels: Annotated[
        Path | None,
        typer.Option("--labels", metavar="FOLDER", help="Default FOLDER/labels."),
    ] = None,
    callers: Annotated[
        Path | None,
        typer.Option("--callers", metavar="FILE", help="CSV: call,caller. Default: all different."),
    ] = None,
    licence: Annotated[
        str, typer.Option("--licence", help="What may be done with it.")
    ] = "own calls, internal use",
    legs: Annotated[
        str | None,
        typer.Option(
            "--legs", metavar="LEG,LEG", help="What the channels are; default caller,agent."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the split by caller.")] = 0,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the corpus if it is there.")
    ] = False,
) -> None:
    """Make a corpus of labelled calls: clips of 1-8 s, angry or other, split by caller.

    What more than half of the raters say counts.  Of the callers only a running number is kept.
    Other is what is not angry: it teaches what anger is not, and counts as neutral where a model
    tells the rest apart, for most calm speech is.
    Example: voicebot corpora add calls/ --name mycalls --language en --out data
    """
    own_corpus.check_name(name, language)
    own_corpus.check_place(out, folder, name, replace_old=replace)
    who = own_corpus.read_callers(callers) if callers else {}
    with progress_bar(Console(stderr=True)) as progress:
        made = own_calls.cut_calls(
            folder, labels or labels_folder(folder), who, name=name, seed=seed,
            legs=parse_legs(legs) if legs else None, progress=progress,
        )  # fmt: skip
        own_corpus.write_corpus(out, name, language, licence, made, progress)
    for line in _told(made):
        typer.echo(line)
    typer.echo(f"written: {out / 'speech' / name}")
    if not list((out / "noise").glob("*.ogg")):
        typer.echo(f"{out / 'noise'}: training needs background noises (*.ogg) there")
    typer.echo(f"next: voicebot corpora check {out}")


def _told(made: own_calls.OwnCorpus) -> list[str]:
    """What was made and left out, a line each."""
    angry = sum(clip.angry for clip in made.clips)
    parts = []
    for split in ("train", "dev", "test"):
        mine = [clip for clip in made.clips if clip.split == split]
        parts.append(
            f"{split} {sum(c.angry for c in mine)} angry + {sum(not c.angry for c in mine)}"
        )
    lines = [
        f"{len(made.clips)} clips ({angry} angry) of {made.callers} callers in {made.calls} calls",
        f"by split: {', '.join(parts)} other",
    ]
    for count, what in (
        (made.same_calls, "recordings dropped, the same sound as another"),
        (made.same_clips, "clips dropped, the same sound as another"),
        (made.short, f"stretches left out, under {own_calls.MIN_SECONDS:g} s"),
        (made.unlabelled, "recordings left out, without labels"),
        (made.mono, "recordings with one leg: whoever speaks in them counts as the caller"),
    ):
        if count:
            lines.append(f"{count} {what}")
    return lines
