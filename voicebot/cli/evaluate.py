"""``voicebot evaluate``: how good the engines and models are, on data with the truth known."""

from __future__ import annotations

import typer

from voicebot.cli import evaluate_acoustic, evaluate_calls, evaluate_stt

app = typer.Typer(no_args_is_help=True, help="Measure error rates and AUC on labelled data.")
app.command("stt")(evaluate_stt.command)
app.command("acoustic")(evaluate_acoustic.command)
app.command("calls")(evaluate_calls.command)
