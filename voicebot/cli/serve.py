"""``voicebot serve``: the daemon that takes calls from the phone line."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from voicebot import config
from voicebot.cli.config import ConfigOption
from voicebot.cli.interrupt import Interrupt
from voicebot.cli.lines import lines
from voicebot.cli.run import LanguageOption, Record, notice, spare
from voicebot.config import Config
from voicebot.engine import Engine
from voicebot.errors import OutputError
from voicebot.events import Alert, CallEnded, CallStarted, Event, State, Transfer
from voicebot.serving.daemon import Daemon
from voicebot.serving.gateways import open_gateways
from voicebot.serving.prompts import Prompts
from voicebot.telephony.line import Gateway

_TOLD = (CallStarted, State, Alert, Transfer, CallEnded)


def serve(
    language: LanguageOption = None,
    events: Annotated[
        Path | None,
        typer.Option(
            "--events",
            "-e",
            metavar="FILE",
            help="Write the events of all calls as JSON lines; - is stdout.  They hold what was "
            "said: keep the file accordingly.",
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Do not print what happens in the calls.")
    ] = False,
    path: ConfigOption = None,
) -> None:
    """Take calls from the phone line until SIGTERM or Ctrl-C.

    Which ways are open, and to whom, is configured: sip, audiosocket, websocket, ari.  By default
    that is SIP on 127.0.0.1:5060, for this machine alone.  Examples:

      voicebot serve

      voicebot serve --config /etc/voicebot/config.yaml --language none --quiet

      VOICEBOT__ENGINE__MAX_CALLS=20 voicebot serve --events calls.jsonl
    """  # fmt: skip
    settings = config.load(config.locate(path))
    spare([config.locate(path)], events)
    with ExitStack() as stack:
        interrupt = stack.enter_context(Interrupt())
        with interrupt.waiting():  # nothing is open yet that would have to be closed cleanly
            engine = stack.enter_context(Engine(settings, language or settings.language, notice))
        record = stack.enter_context(Record(events)) if events else None
        quiet = quiet or bool(record and record.on_stdout)
        journal = Journal(record, printing=not quiet)
        asyncio.run(_serve(settings, engine, journal.event))
    if record and record.fault:
        raise record.fault


class Journal:
    """Records and prints events; callers are heard on even if nobody reads that any more.

    Args:
        record: Where all events go, or None.
        printing: Whether what happens is printed.
    """

    def __init__(self, record: Record | None, *, printing: bool) -> None:
        self._record = record
        self._printing = printing

    def event(self, event: Event) -> None:
        """Take one event; from any thread."""
        if self._record:
            try:
                self._record.event(event)
            except OutputError as err:
                self._record = None
                notice(f"{err.what}; calls go on without their record")
        if self._printing and isinstance(event, _TOLD):
            # What was said is for whoever asked for the events: a console may be anybody's log.
            try:
                print(f"{event.call_id[:8]} {lines(event)[0]}", flush=True)  # noqa: T201
            except OSError as err:
                self._printing = False
                notice(f"standard output: {err.strerror}; calls go on unprinted")


async def _serve(settings: Config, engine: Engine, heard: Callable[[Event], None]) -> None:
    daemon = Daemon(
        engine,
        settings.engine,
        settings.handover,
        Prompts(settings.prompts, engine.language),
        barge_in=settings.prompts.barge_in,
        open_gateways=partial(open_gateways, settings),
        record=heard,
        ready=_ready,
    )
    await daemon.run()


def _ready(gateways: Sequence[Gateway]) -> None:
    names = ", ".join(gateway.name for gateway in gateways)
    print(f"ready: {names}", file=sys.stderr, flush=True)  # noqa: T201
