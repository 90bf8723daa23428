"""The voicebot command as a user starts it: another process, its exit code and its words."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

DEMO = Path(__file__).resolve().parents[2] / "voicebot" / "assets" / "demo"


def start(
    *arguments: str, env: Mapping[str, str] | None = None, stdin: int = subprocess.DEVNULL
) -> subprocess.Popen[str]:
    """Start voicebot; the environment's VOICEBOT__ overrides are left out."""
    clean = {k: v for k, v in (env or os.environ).items() if not k.startswith("VOICEBOT__")}
    return subprocess.Popen(
        [sys.executable, "-m", "voicebot", *arguments],
        env={**clean, "NO_COLOR": "1", "COLUMNS": "200"},
        stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def voicebot(
    *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 240
) -> subprocess.CompletedProcess[str]:
    """Run voicebot to its end."""
    process = start(*arguments, env=env)
    out, err = process.communicate(timeout=timeout)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)
