"""``voicebot config``: check a configuration, show the one in force."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from voicebot import config, config_text

app = typer.Typer(no_args_is_help=True, help="Check or show the configuration.")

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE",
        help="Configuration file; default $VOICEBOT_CONFIG, else the embedded defaults.",
    ),
]  # fmt: skip


@app.command()
def check(
    file: Annotated[
        Path | None, typer.Argument(help="File to check; default as in --config.")
    ] = None,
) -> None:
    """Say whether a configuration is sound; every fault is named with its line.

    Example: voicebot config check config.yaml
    """
    path = config.locate(file)
    config.load(path)
    Console().print(f"{path or 'embedded defaults'}: ok", highlight=False)


@app.command()
def show(
    path: ConfigOption = None,
    defaults: Annotated[
        bool,
        typer.Option("--defaults", help="The embedded defaults, ignoring file and environment."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON instead of documented YAML.")
    ] = False,
) -> None:
    """Print the configuration in force, every key with its meaning, unit, range and default.

    Secrets are masked.  Example, a file to start from: voicebot config show --defaults > my.yaml
    """
    tree = config.Config() if defaults else config.load(config.locate(path))
    if as_json:
        typer.echo(json.dumps(tree.model_dump(mode="json"), indent=2, ensure_ascii=False))
    else:
        typer.echo(config_text.render(tree), nl=False)
