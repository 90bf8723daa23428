"""``voicebot outbox``: see and mend what has yet to be delivered."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from voicebot import config
from voicebot.cli.config import ConfigOption
from voicebot.errors import ConfigError, DeliveryError
from voicebot.escalation.actions import ActionsParams, open_delivery
from voicebot.escalation.outbox import Outbox, Row, RowState

app = typer.Typer(no_args_is_help=True, help="See, retry or erase alerts not yet delivered.")


class Which(StrEnum):
    """Which messages a command is about."""

    ALL = "all"
    PENDING = "pending"
    DEAD = "dead"


def _settings(path: Any) -> ActionsParams:
    return config.load(config.locate(path)).actions


@app.command("list")
def list_(
    path: ConfigOption = None,
    which: Annotated[
        Which, typer.Option("--state", help="Waiting for delivery, given up, or both.")
    ] = Which.ALL,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, for machines.")
    ] = False,
) -> None:
    """List the alerts that were not delivered yet, oldest first; never what was said in them.

    Example: voicebot outbox list --state dead
    """
    with Outbox(_settings(path).outbox) as outbox:
        rows = outbox.rows(None if which is Which.ALL else RowState(which.value))
    if as_json:
        for row in rows:
            typer.echo(json.dumps(_public(row)))
        return
    console = Console()
    if not rows:
        console.print("nothing to deliver")
        return
    table = Table("key", "state", "kind", "call", "made (UTC)", "attempts", "next (UTC)", "error")
    for row in rows:
        due = _clock(row.due) if row.state is RowState.PENDING else ""
        cells = (
            row.key, row.state.value, row.kind, row.call_id, _clock(row.created),
            str(row.attempts), due, row.error,
        )  # fmt: skip
        table.add_row(*(escape(cell) for cell in cells))
    console.print(table)


@app.command()
def retry(
    keys: Annotated[
        list[str] | None, typer.Argument(help="Keys as `list` shows them; default all dead ones.")
    ] = None,
    path: ConfigOption = None,
) -> None:
    """Make alerts due now, given-up ones too, with all their attempts again.

    They are delivered by whatever voicebot runs, or by `voicebot outbox flush`.

    Example: voicebot outbox retry
    """
    with Outbox(_settings(path).outbox) as outbox:
        known = {row.key for row in outbox.rows()}
        if unknown := [k for k in keys or [] if k not in known]:
            raise DeliveryError(
                f"no alert {unknown[0]!r} in the outbox", "`voicebot outbox list` shows the keys"
            )
        count = outbox.retry(keys or None)
    typer.echo(f"{count} due now")


@app.command()
def flush(
    path: ConfigOption = None,
    seconds: Annotated[
        float, typer.Option("--seconds", "-s", min=0, help="Longest to wait.")
    ] = 60.0,
) -> None:
    """Deliver what is pending, now, and wait until it is done.

    Ends with 0 if nothing is left.

    Example: voicebot outbox flush --seconds 10
    """
    settings = _settings(path)
    if not settings.webhook.url:
        raise ConfigError(
            "there is nowhere to deliver to", "set actions.webhook.url and actions.webhook.secret"
        )
    with Outbox(settings.outbox) as outbox:
        # What waits for its next attempt need not wait for it now that somebody asks.
        waiting = [row.key for row in outbox.rows(RowState.PENDING)]
        outbox.hasten(waiting)
    outbox, worker = open_delivery(settings)
    try:
        left = worker.drain(seconds)
        gone = set(waiting) - {row.key for row in outbox.rows()}
        errors = [row.error for row in outbox.rows() if row.key in waiting and row.error]
    finally:
        worker.close()
        outbox.close()
    typer.echo(f"{len(gone)} delivered, {left} pending")
    if left or errors:
        raise DeliveryError(
            f"{len(waiting) - len(gone)} not delivered to {settings.webhook.host}"
            + (f": {errors[-1]}" if errors else ""),
            "`voicebot outbox list` shows each",
        )


@app.command()
def purge(
    path: ConfigOption = None,
    which: Annotated[
        Which, typer.Option("--state", help="What to erase: given up, pending, or all.")
    ] = Which.DEAD,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Erase alerts that were given up (or pending ones), for good.

    Example: voicebot outbox purge --yes
    """
    states = list(RowState) if which is Which.ALL else [RowState(which.value)]
    with Outbox(_settings(path).outbox) as outbox:
        count = sum(len(outbox.rows(state)) for state in states)
        if count and not yes:
            typer.confirm(f"Erase {count} undelivered alerts for good?", abort=True)
        typer.echo(f"{sum(outbox.purge(state) for state in states)} erased")


def _public(row: Row) -> dict[str, Any]:
    """A row without its body, which quotes what callers said."""
    return {
        "key": row.key, "state": row.state.value, "kind": row.kind, "call_id": row.call_id,
        "created": _iso(row.created), "attempts": row.attempts, "due": _iso(row.due),
        "expires": _iso(row.expires), "error": row.error,
    }  # fmt: skip


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%m-%d %H:%M:%S")
