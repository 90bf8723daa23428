"""Figures as JSON in a file that the user names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from voicebot.errors import OutputError

JsonOption = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the figures as JSON too.")
]


def check_file(path: Path | None, option: str = "--json") -> None:
    """Refuse before the long work what could not be written after it.

    Raises:
        OutputError: its folder is missing, or it is a folder itself.
    """
    if path is not None and not path.parent.is_dir():
        raise OutputError(
            f"{option} {path}: no such folder", f"make the folder {path.parent} first"
        )
    if path is not None and path.is_dir():
        raise OutputError(f"{option} {path}: is a folder", "name a file")


def write_json(path: Path | None, figures: Any) -> None:
    """Write figures; nowhere if no file was named.

    Raises:
        OutputError: the file cannot be written.
    """
    if path is None:
        return
    try:
        text = json.dumps(figures, indent=2, ensure_ascii=False) + "\n"
        path.write_text(text, encoding="utf-8")
    except OSError as err:
        raise OutputError(f"{path}: {err.strerror or err}", "choose another --json file") from err
