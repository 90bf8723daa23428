"""``voicebot run``: calls from files, as fast as the machine can."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from voicebot import config
from voicebot.audio.files import open_file
from voicebot.audio.raw import RawFormat
from voicebot.audio.source import AudioSource, parse_legs
from voicebot.cli.config import ConfigOption
from voicebot.cli.interrupt import Interrupt
from voicebot.cli.lines import lines
from voicebot.cli.live import LiveView
from voicebot.cli.session import Watcher, follow
from voicebot.closing import Closing
from voicebot.engine import Engine
from voicebot.errors import AudioError, DeviceError, OutputError
from voicebot.escalation.event_writer import STDOUT, EventWriter
from voicebot.events import Alert, Event
from voicebot.plot import CallPicture

LanguageOption = Annotated[
    str | None,
    typer.Option(
        "--language", "-l", metavar="CODE",
        help="en, zh, ko, ... or none: no recogniser, acoustic evidence alone. Default: config.",
    ),
]  # fmt: skip
EventsOption = Annotated[
    Path | None,
    typer.Option(
        "--events", "-e", metavar="FILE", help="Write the events as JSON lines; - is stdout."
    ),
]
PlotOption = Annotated[
    Path | None,
    typer.Option("--plot", metavar="FILE", help="Draw the call (.png, .svg or .pdf)."),
]
PlainOption = Annotated[
    bool, typer.Option("--plain", help="Plain lines even on a terminal.")
]  # fmt: skip


def run(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Audio files; - is stdin.")],
    legs: Annotated[
        str | None,
        typer.Option(
            "--legs", metavar="LEG,LEG", help="What the channels are; default caller,agent."
        ),
    ] = None,
    language: LanguageOption = None,
    events: EventsOption = None,
    realtime: Annotated[
        bool,
        typer.Option("--realtime", help="At the speed of time instead of as fast as possible."),
    ] = False,
    raw: Annotated[
        str | None,
        typer.Option(
            "--raw",
            metavar="FORMAT",
            help="The files are headerless: mulaw:8000, alaw:8000:2, s16le:16000, ...",
        ),
    ] = None,
    plot: PlotOption = None,
    plain: PlainOption = False,
    path: ConfigOption = None,
) -> None:
    """Listen to recorded calls: who said what, how angry, and whether it persists.

    A stereo file is two legs, a mono file is the caller.  Examples:

      voicebot run call.wav

      voicebot run call.flac --language ko --events call.jsonl --plot call.png

      voicebot run --raw mulaw:8000 dump.ulaw

      ffmpeg -i call.mp4 -f wav - | voicebot run -
    """
    settings = config.load(config.locate(path))
    wanted = parse_legs(legs) if legs else None
    form = RawFormat.parse(raw) if raw else None
    if plot and len(files) > 1:
        raise OutputError("--plot draws one call", "run the files one by one")
    spare([*files, config.locate(path)], events, plot)
    failed: list[str] = []
    with ExitStack() as stack:
        interrupt = stack.enter_context(Interrupt())
        with interrupt.waiting():  # nothing is open yet that would have to be closed cleanly
            engine = stack.enter_context(Engine(settings, language or settings.language, notice))
        record = stack.enter_context(Record(events)) if events else None
        for name in files:
            try:
                with interrupt.waiting():
                    source = open_file(name, legs=wanted, raw=form)
                with source:
                    play(
                        source, engine, interrupt, record=record, plot=plot, plain=plain,
                        realtime=realtime,
                    )  # fmt: skip
            except AudioError as err:
                if len(files) == 1:
                    raise
                failed.append(str(err))
            if interrupt.received is not None:
                raise typer.Exit(interrupt.exit_code)
    if record and record.fault:
        raise record.fault
    if failed:
        raise AudioError(f"{len(failed)} of {len(files)} files failed:\n" + "\n".join(failed))


def play(
    source: AudioSource,
    engine: Engine,
    interrupt: Interrupt,
    *,
    record: Record | None,
    plot: Path | None,
    plain: bool,
    realtime: bool = False,
    seconds: float | None = None,
) -> None:
    """Run one call from a source, shown on the terminal or as plain lines.

    What was heard of a call that breaks off is told and drawn, too.

    Args:
        source: Open; the caller closes it.
        engine: Models and settings.
        interrupt: Active.
        record: Where events go as JSON lines, or None.
        plot: Where the picture goes, or None.
        plain: Plain lines even on a terminal.
        realtime: At the speed of time.
        seconds: Stop after so much audio.

    Raises:
        AudioError: the audio broke off.
        DeviceError: the device was lost.
        OutputError: the picture cannot be written.
    """
    quiet = record is not None and record.on_stdout
    console = Console(highlight=False, soft_wrap=True)
    live = console.is_terminal and not plain and not quiet
    picture = CallPicture(plot) if plot else None
    outcome = Outcome()
    watchers: list[Watcher] = [outcome]
    if picture:
        watchers.append(picture)
    broken: AudioError | DeviceError | None = None
    with ExitStack() as stack:
        if live:
            watchers.append(stack.enter_context(LiveView(console)))
        elif not quiet:
            watchers.append(PlainView())

        def emit(event: Event) -> None:
            if record:
                record.event(event)
            for watcher in watchers:
                watcher.event(event)

        call = engine.call(source.name, source.legs, source.rate, emit)
        try:
            follow(source, call, watchers, interrupt, realtime=realtime, seconds=seconds)
        except (AudioError, DeviceError) as err:
            broken = err
    if live:
        for event in outcome.kept:
            for line in lines(event):
                console.print(line, markup=False)
    for warning in source.warnings:
        print(f"warning: {warning}", file=sys.stderr)  # noqa: T201
    if picture:
        picture.save()
        if not quiet:
            console.print(f"picture: {plot}", markup=False)
    if broken:
        raise broken


def spare(inputs: Sequence[str | Path | None], *outputs: Path | None) -> None:
    """Refuse to write over what is read, or one output over another.

    Raises:
        OutputError: two of them are the same file.
    """
    taken = [Path(name) for name in inputs if name and str(name) != STDOUT]
    for output in outputs:
        if output is None or str(output) == STDOUT:
            continue
        for other in taken:
            same = output.exists() and other.exists() and output.samefile(other)
            if same or output.absolute() == other.absolute():
                raise OutputError(f"{output}: would write over {other}", "name another file")
        taken.append(output)


def notice(sentence: str) -> None:
    """Tell the user something beside the events."""
    print(f"note: {sentence}", file=sys.stderr)  # noqa: T201


class Record(Closing):
    """Writes events to a file; a full disk ends the record, not the call that is being heard.

    The file is made with the first event: what an earlier run left is not
    emptied by a run that then cannot open its audio.

    Args:
        path: File, or ``-`` for standard output.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: EventWriter | None = None
        self.on_stdout = str(path) == STDOUT
        self.fault: OutputError | None = None

    def event(self, event: Event) -> None:
        """Write one event, unless writing has failed before.

        Raises:
            OutputError: the file cannot be opened, or standard output is gone, so
                nobody listens any more.
        """
        if self.fault:
            return
        if self._writer is None:
            self._writer = EventWriter(self._path)
        try:
            self._writer.write(event)
        except OutputError as err:
            if self.on_stdout:
                raise
            self.fault = err
            notice(f"{err.what}; the call goes on without its record")

    def close(self) -> None:
        """Close the file."""
        if self._writer:
            self._writer.close()


class PlainView:
    """Prints each event as plain lines as it happens."""

    def block(self, block: object) -> None:
        """Levels are not printed."""

    def event(self, event: Event) -> None:
        """Print the event's lines, at once: a pipe may be watched."""
        for line in lines(event):
            print(line, flush=True)  # noqa: T201


class Outcome:
    """Keeps the alerts and the end of a call, to be left on the terminal under the view."""

    def __init__(self) -> None:
        self.kept: list[Event] = []

    def block(self, block: object) -> None:
        """Audio is not kept."""

    def event(self, event: Event) -> None:
        """Keep what a reader wants to see afterwards."""
        if isinstance(event, Alert) or event.type in ("call_started", "state", "call_ended"):
            self.kept.append(event)
