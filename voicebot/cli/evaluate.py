"""``voicebot evaluate``: how good the engines and models are, on data with the truth known."""

from __future__ import annotations

import typer

from voicebot.cli import (
    evaluate_acoustic,
    evaluate_calls,
    evaluate_families,
    evaluate_fusion,
    evaluate_stt,
    evaluate_text,
)

app = typer.Typer(no_args_is_help=True, help="Measure error rates and AUC on labelled data.")
app.command("stt")(evaluate_stt.command)
app.command("acoustic")(evaluate_acoustic.command)
app.command("families")(evaluate_families.command)
app.command("text")(evaluate_text.command)
app.command("fusion")(evaluate_fusion.command)
app.command("calls")(evaluate_calls.command)
