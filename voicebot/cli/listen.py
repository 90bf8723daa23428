"""``voicebot listen`` and ``voicebot devices``: a call from a sound device."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from voicebot import config
from voicebot.audio.devices import list_devices, open_device
from voicebot.audio.source import parse_legs
from voicebot.cli.config import ConfigOption
from voicebot.cli.interrupt import Interrupt
from voicebot.cli.run import (
    EventsOption,
    LanguageOption,
    PlainOption,
    PlotOption,
    Record,
    notice,
    play,
    spare,
)
from voicebot.engine import Engine

BackendOption = Annotated[
    str | None,
    typer.Option("--backend", metavar="NAME", help="sounddevice or pyaudio. Default: config."),
]


def listen(
    device: Annotated[
        str | None,
        typer.Option(
            "--device", "-d", metavar="NAME", help="Name or number; see voicebot devices."
        ),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", "-s", min=0.1, help="Stop after so many seconds.")
    ] = None,
    rate: Annotated[
        int | None,
        typer.Option("--rate", help="Hz: 16000, or 8000 for a telephone line. Default: config."),
    ] = None,
    legs: Annotated[
        str | None,
        typer.Option(
            "--legs",
            metavar="LEG,LEG",
            help="What two channels are, e.g. caller,agent; default: one channel, the caller.",
        ),
    ] = None,
    language: LanguageOption = None,
    events: EventsOption = None,
    plot: PlotOption = None,
    plain: PlainOption = False,
    backend: BackendOption = None,
    path: ConfigOption = None,
) -> None:
    """Listen to a sound device as if it were the caller's leg.  Ctrl-C ends the call.

    Example: voicebot listen --device pulse --seconds 30 --events call.jsonl
    """
    settings = config.load(config.locate(path))
    spare([config.locate(path)], events, plot)
    with ExitStack() as stack:
        interrupt = stack.enter_context(Interrupt())
        with interrupt.waiting():  # nothing is open yet that would have to be closed cleanly
            engine = stack.enter_context(Engine(settings, language or settings.language, notice))
        record = stack.enter_context(Record(events)) if events else None
        with interrupt.waiting():
            source = open_device(
                device if device is not None else settings.device.device,
                rate=rate or settings.device.rate,
                backend=backend or settings.device.backend,
                lost_seconds=settings.device.lost_seconds,
                queue_seconds=settings.device.queue_seconds,
                legs=parse_legs(legs) if legs else None,
            )
        stack.enter_context(source)
        play(source, engine, interrupt, record=record, plot=plot, plain=plain, seconds=seconds)
        if interrupt.received is not None:
            raise typer.Exit(interrupt.exit_code)
    if record and record.fault:
        raise record.fault


def devices(backend: BackendOption = None, path: ConfigOption = None) -> None:
    """List the sound devices that can be listened to.

    Example: voicebot devices --backend pyaudio
    """
    settings = config.load(config.locate(path))
    found = list_devices(backend or settings.device.backend)
    table = Table("number", "name", "channels", "default rate (Hz)", "")
    for entry in found:
        table.add_row(
            str(entry.index), entry.name, str(entry.channels), f"{entry.rate:.0f}",
            "default" if entry.default else "",
        )  # fmt: skip
    Console().print(table if found else "no input device found")
