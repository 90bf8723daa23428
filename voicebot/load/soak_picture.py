"""A picture of a soak: calls, memory, open files and media ports over time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from voicebot.errors import OutputError
from voicebot.load.soak import Soak
from voicebot.plot import need_matplotlib


def draw(soak: Soak, path: Path) -> None:
    """Draw and write the picture.

    Args:
        soak: What was seen.
        path: A .png, .svg or .pdf.

    Raises:
        VoicebotError: matplotlib is not installed.
        OutputError: the file cannot be written, or its format is unknown.
    """
    need_matplotlib("--plot")
    from matplotlib import pyplot as plt

    minutes = [s.minutes for s in soak.samples]
    panels: tuple[tuple[str, Sequence[float], str], ...] = (
        ("calls at once", [s.running for s in soak.samples], "#1f77b4"),
        ("memory (MB)", [s.rss_mb for s in soak.samples], "#d62728"),
        ("open files and sockets", [s.descriptors for s in soak.samples], "#2ca02c"),
        ("media ports", [s.media_ports for s in soak.samples], "#9467bd"),
    )
    figure, axes = plt.subplots(len(panels), 1, figsize=(11, 8), sharex=True, layout="constrained")
    for panel, (name, values, colour) in zip(axes, panels, strict=True):
        panel.plot(minutes, values, color=colour, lw=1.2)
        panel.set_ylabel(name)
        panel.set_ylim(0, 1.15 * max([1.0, *values]))
        panel.grid(alpha=0.3)
    axes[-1].set_xlabel("minutes; the last sample is taken with no call running")
    axes[0].set_title(
        f"{soak.placed} calls, {soak.answered} answered, {soak.cut_off} cut off; memory of the "
        f"second half {soak.growth_mb_per_hour:+.1f} MB an hour",
        loc="left",
    )
    try:
        figure.savefig(path, dpi=110)
    except (OSError, ValueError) as err:
        raise OutputError(f"{path}: {err}", "name a .png, .svg or .pdf in a folder") from None
    finally:
        plt.close(figure)
