"""The ``voicebot`` command."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.console import Console

import voicebot
from voicebot.cli import (
    bench,
    calibrate,
    calls,
    config,
    corpora,
    evaluate,
    label,
    listen,
    models,
    outbox,
    run,
    serve,
    train,
)
from voicebot.errors import VoicebotError

DEBUG = "VOICEBOT_DEBUG"

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="First steps:  voicebot run call.wav   |   voicebot listen   |   "
    "voicebot config show --defaults",
)
app.command("run")(run.run)
app.command("listen")(listen.listen)
app.command("devices")(listen.devices)
app.command("serve")(serve.serve)
app.command("calls")(calls.calls)
app.command("hangup")(calls.hangup)
app.add_typer(config.app, name="config")
app.add_typer(models.app, name="models")
app.add_typer(outbox.app, name="outbox")
app.add_typer(label.app, name="label")
app.add_typer(corpora.app, name="corpora")
app.add_typer(train.app, name="train")
app.add_typer(evaluate.app, name="evaluate")
app.command("calibrate")(calibrate.command)
app.add_typer(bench.app, name="bench")


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log what happens inside, to stderr.")
    ] = False,
) -> None:
    """Listens to a phone call and knows when the caller is losing patience."""
    if version:
        typer.echo(f"voicebot {voicebot.__version__}")
        raise typer.Exit
    configure_logging("info" if verbose else "warning")


def configure_logging(level: str) -> None:
    """Log lines go to stderr as events with fields: coloured for people, JSON for machines."""
    renderers: tuple[structlog.typing.Processor, ...]
    if sys.stderr.isatty():
        # The default shows local variables: callers' numbers, and what they said.
        plain = structlog.dev.plain_traceback
        renderers = (structlog.dev.ConsoleRenderer(exception_formatter=plain),)
    else:
        renderers = (structlog.processors.format_exc_info, structlog.processors.JSONRenderer())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def main() -> None:
    """Run the command; a user sees what is wrong and how to mend it, never a traceback."""
    # A stream that was closed (2>&-) is None; what goes there is lost, as was wished.
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without Korean shows it escaped
            stream.reconfigure(errors="backslashreplace")
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        app()
    except VoicebotError as err:
        console.print("[bold red]voicebot:[/] ", end="")
        console.print(err.what, markup=False)
        if err.mend:
            console.print(f"  to mend it: {err.mend}", markup=False)
        sys.exit(1)
    except Exception as err:
        if os.environ.get(DEBUG):
            raise
        if isinstance(err, OSError) and err.errno in (errno.ENOSPC, errno.EBADF):
            # Only what is printed comes here; files are written by code that names them.
            with contextlib.suppress(OSError):
                os.write(2, f"voicebot: cannot print any more: {err.strerror}\n".encode())
            os._exit(1)  # what is left in the buffers has nowhere to go
        console.print("[bold red]voicebot:[/] ", end="")
        console.print(f"internal error: {type(err).__name__}: {err}", markup=False)
        console.print(f"  please report it; {DEBUG}=1 shows where it happened", markup=False)
        sys.exit(70)  # EX_SOFTWARE of sysexits.h
