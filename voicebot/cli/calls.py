"""``voicebot calls`` and ``voicebot hangup``: what the daemon is doing."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from voicebot import config
from voicebot.cli.config import ConfigOption
from voicebot.serving.control import ask

STATE_STYLE = {"RISING": "yellow", "ESCALATED": "bold white on red", "COOLING": "cyan"}


def calls(
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Show it again every second, until Ctrl-C.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="All there is, as one JSON object.")
    ] = False,
    path: ConfigOption = None,
) -> None:
    """Show the calls that run: age, state, evidence, and how well their audio arrives.

    For example, once, again and again, or all there is:

    voicebot calls

    voicebot calls --watch

    voicebot calls --json | jq '.calls[].legs.caller.loss_percent'
    """
    socket = _socket(path)
    status = ask(socket, {"do": "calls"})
    if as_json:
        typer.echo(json.dumps(status, indent=2))
        return
    console = Console(highlight=False, soft_wrap=True)
    if not watch:
        console.print(picture(status))
        return
    with Live(picture(status), console=console, auto_refresh=False) as live:
        try:
            while True:
                time.sleep(1.0)
                live.update(picture(ask(socket, {"do": "calls"})), refresh=True)
        except KeyboardInterrupt:
            pass


def hangup(
    call_id: Annotated[
        str, typer.Argument(metavar="ID", help="Of the call, or the beginning of it.")
    ],
    path: ConfigOption = None,
) -> None:
    """End a running call.

    Example: voicebot hangup 3f9c2a
    """
    ask(_socket(path), {"do": "hangup", "call_id": call_id})
    typer.echo(f"hung up on {call_id}")


def _socket(path: Path | None) -> Path:
    return Path(config.load(config.locate(path)).engine.control).expanduser()


def picture(status: Mapping[str, Any]) -> Text:
    """The daemon's status: a line for each call, one for each leg below it, and the whole."""
    text = Text()
    for call in status["calls"]:
        state = call["state"]
        called = f" → {call['called']}" if call["called"] else ""
        text.append(f"{call['call_id'][:8]}  ", "bold")
        text.append(f"{call['gateway']} {call['peer']}{called}  {_age(call['age_s'])}  ")
        text.append(state, STATE_STYLE.get(state, ""))
        text.append(f" {call['evidence_nats']:.2f}/{call['threshold_nats']:.2f} nats")
        if call["dropped_blocks"]:
            text.append(f"  {call['dropped_blocks'] / 10:.1f} s not heard", "red")
        text.append("\n")
        for name, leg in call["legs"].items():
            text.append(f"          {name:<7} {leg['state']:<7}{_media(leg)}\n")
    refused = sum(
        count for name, count in status["counters"]["engine"].items() if name.startswith("refused")
    )
    text.append(
        f"{status['running']} of {status['max_calls']} calls, lag p95 {status['lag_p95_s']:.2f} s, "
        f"{refused} refused" + (", draining" if status["draining"] else "")
    )
    return text


def _media(leg: Mapping[str, Any]) -> str:
    if "codec" not in leg:
        return ""
    return (
        f" {leg['codec']}  loss {leg['loss_percent']:.1f} %  jitter {leg['jitter_ms']:.0f} ms  "
        f"concealed {leg['concealed_s']:.1f} s"
    )


def _age(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
