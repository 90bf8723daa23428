"""A picture of the curve: share of persistent anger found against false alarms per hour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from voicebot.calls.sweep import ANY, EVIDENCE, THREE, Point
from voicebot.errors import OutputError
from voicebot.plot import need_matplotlib

STYLES = {EVIDENCE: ("#d62728", "o"), ANY: ("#1f77b4", "s"), THREE: ("#7f7f7f", "^")}


def draw(
    path: Path, points: Sequence[Point], chosen: Point, title: str, budget: float | None = None
) -> None:
    """Draw and write the picture.

    Args:
        path: A .png, .svg or .pdf.
        points: The curves.
        chosen: The setting in force.
        title: What it shows.
        budget: False alarms per hour that are allowed; None draws no line.

    Raises:
        VoicebotError: matplotlib is not installed.
        OutputError: the file cannot be written, or its format is unknown.
    """
    need_matplotlib("--png")
    from matplotlib import pyplot as plt

    hours = chosen.figures.calm_hours
    least = 0.5 / hours if hours else 0.01  # where no alarm at all is drawn on the log axis
    figure, axes = plt.subplots(figsize=(9, 6), layout="constrained")
    for rule, (colour, mark) in STYLES.items():
        curve = [p for p in points if p.rule == rule]
        x = [max(p.figures.rate.per_hour, least) for p in curve]
        y = [p.figures.detection for p in curve]
        axes.plot(x, y, color=colour, marker=mark, ms=4, lw=1.2, label=rule)
        if rule == EVIDENCE:
            low = [max(p.figures.rate.low, least / 2) for p in curve]
            axes.hlines(y, low, [p.figures.rate.high for p in curve], color=colour, alpha=0.25)
    axes.plot(
        max(chosen.figures.rate.per_hour, least), chosen.figures.detection, "*", ms=16,
        color="black", label=f"in force: {chosen.threshold:g} nats",
    )  # fmt: skip
    if budget is not None:
        axes.axvline(budget, color="green", ls="--", lw=1, label=f"budget {budget:g}/h")
    axes.axvline(least, color="#cccccc", lw=1)
    axes.text(least, 1.02, "none", ha="center", fontsize=8, color="#888888")
    axes.set_xscale("log")
    axes.set_ylim(0, 1.05)
    axes.set_xlabel(f"false alarms per hour of calm speech ({hours:.1f} h; bars: 95 % Poisson)")
    axes.set_ylabel("calls with persistent anger that are alerted")
    axes.set_title(title, loc="left", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=8)
    try:
        figure.savefig(path, dpi=110)
    except (OSError, ValueError) as err:  # matplotlib's word for an unknown format
        reason = getattr(err, "strerror", None) or err
        raise OutputError(
            f"{path}: {reason}", "name a .png, .svg or .pdf that can be written"
        ) from None
    finally:
        plt.close(figure)
