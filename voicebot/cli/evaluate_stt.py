"""``voicebot evaluate stt``: error rate, speed and memory of speech to text, by language."""

from __future__ import annotations

import json
import logging
import multiprocessing
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from voicebot.errors import VoicebotError
from voicebot.speech.engines import open_engine, open_second_pass
from voicebot.speech.evaluation import Clip, SttResult, evaluate_stt, read_manifest
from voicebot.speech.recognizer import RATES, SttParams

_MANIFEST = Path("../shared/data/stt/manifest.csv")


def command(
    manifest: Annotated[
        Path, typer.Option("--manifest", help="CSV with the columns file, language, text.")
    ] = _MANIFEST,
    language: Annotated[
        list[str] | None, typer.Option("--language", help="Repeatable; default en, ko and zh.")
    ] = None,
    rate: Annotated[
        list[int] | None, typer.Option("--rate", help="Hz; 8000 is a telephone line.")
    ] = None,
    engine: Annotated[str, typer.Option("--engine", help="As stt.engine.")] = "auto",
    second_pass: Annotated[str, typer.Option("--second-pass", help="As stt.second_pass.")] = "none",
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Clips of each language.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a row.")] = False,
) -> None:
    """Measure speech to text over a manifest.

    Example: voicebot evaluate stt --language ko --rate 8000 --second-pass whisper-base
    """
    for chosen in rate or ():
        if chosen not in RATES:
            raise VoicebotError(f"--rate {chosen}: not a rate of a leg", "use 16000 or 8000")
    params = SttParams.model_validate({"engine": engine, "second_pass": second_pass})
    table = Table(title=f"Speech to text over {manifest}")
    for heading in ("language", "engine", "Hz", "clips", "s", "error rate", "confidence",
                    "CPU s/s", "RSS MB"):  # fmt: skip
        table.add_column(heading, justify="left" if heading in ("language", "engine") else "right")
    for spoken in language or ("en", "ko", "zh"):
        # A process of its own for each language, so that its memory is its own.
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, spawn, initializer=_quiet) as pool:
            rates = tuple(rate or reversed(RATES))
            results = pool.submit(_measure, manifest, spoken, params, rates, limit).result()
        for result in results:
            if as_json:
                typer.echo(json.dumps(_plain(result), ensure_ascii=False))
            table.add_row(
                result.language, result.engine, str(result.rate), str(result.clips),
                f"{result.audio_seconds:.0f}", f"{result.measure} {result.errors.rate:.3f}",
                f"{result.confidence:.2f}", f"{result.real_time_factor:.3f}",
                f"{result.rss_mb:.0f}",
            )  # fmt: skip
    if not as_json:
        Console().print(table)


def _quiet() -> None:
    """Log to stderr, as the main process does: stdout is for the table."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _measure(
    manifest: Path, language: str, params: SttParams, rates: tuple[int, ...], limit: int | None
) -> list[SttResult]:
    clips = read_manifest(manifest, language, limit)
    engine = open_engine(language, params)
    if engine is None:
        raise VoicebotError("stt.engine is none: there is nothing to measure")
    second_pass = open_second_pass(language, params)
    try:
        return [
            evaluate_stt(_tracked(clips, f"{language} at {rate} Hz"), engine, rate, second_pass)
            for rate in rates
        ]
    finally:
        engine.close()


def _tracked(clips: list[Clip], what: str) -> Iterable[Clip]:
    """The clips, with a progress bar beside the figures."""
    return track(clips, what, console=Console(stderr=True), transient=True)


def _plain(result: SttResult) -> dict[str, object]:
    return asdict(result) | {
        "measure": result.measure,
        "error_rate": result.errors.rate,
        "real_time_factor": result.real_time_factor,
    }
