"""A daemon that works for a long time: what it holds must not grow."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from voicebot.load.daemon_process import DaemonProcess
from voicebot.load.fleet import Fleet

SAMPLE_SECONDS: Final = 5.0
REST_SECONDS: Final = 40.0
"""s after the last call.  A call is forgotten when its last event was heard, and its transactions
some seconds later."""
SEED: Final = 6
ROOM: Final = {"ENGINE__MAX_CALLS": "1000", "ENGINE__MAX_LAG_SECONDS": "60"}
"""No call is refused, even where the machine is busy with other things."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the daemon held at one time."""

    minutes: float
    """since the soak began"""
    running: int
    """calls"""
    ended: int
    """calls so far"""
    rss_mb: float
    descriptors: int
    """open files and sockets"""
    media_ports: int
    threads: int
    cpu_percent: float
    """of one core, since the sample before"""
    lag_p95: float
    """s"""


@dataclass(frozen=True, slots=True)
class Soak:
    """How it went."""

    language: str
    samples: tuple[Sample, ...]
    placed: int
    answered: int
    cut_off: int
    """calls that the daemon ended, not the caller"""

    @property
    def growth_mb_per_hour(self) -> float:
        """Slope of the memory over the second half, by least squares; the first is warm-up."""
        half = [s for s in self.samples if s.minutes >= self.samples[-1].minutes / 2 and s.running]
        if len(half) < 2:
            return 0.0
        slope, _ = np.polyfit([s.minutes / 60 for s in half], [s.rss_mb for s in half], 1)
        return float(slope)

    @property
    def leaked_descriptors(self) -> int:
        """More of them at the end, with no call running, than before the first."""
        return self.samples[-1].descriptors - self.samples[0].descriptors

    @property
    def leaked_ports(self) -> int:
        """Media ports held at the end, with no call running."""
        return self.samples[-1].media_ports


def soak(
    folder: Path,
    audio: Path,
    language: str,
    *,
    minutes: float,
    calls: int,
    seconds: Sequence[float],
    told: Callable[[Sample], None],
) -> Soak:
    """Let calls come and go.

    Args:
        folder: Scratch folder.
        audio: What callers say.
        language: As ``voicebot serve --language``.
        minutes: How long calls come.
        calls: How many, at random times (a Poisson process) over that.
        seconds: Shortest and longest call; each is drawn between them.
        told: Told of each sample.

    Raises:
        LoadError: the daemon or the callers failed.
    """
    draw = random.Random(SEED)
    arrivals = sorted(draw.uniform(0, 60 * minutes) for _ in range(calls))
    samples: list[Sample] = []
    with (
        DaemonProcess(folder, ROOM, language) as daemon,
        Fleet(daemon.port, audio) as fleet,
    ):
        began = time.monotonic()
        last = daemon.use()

        def sample() -> None:
            nonlocal last
            now, status = daemon.use(), daemon.status()
            spent = now.cpu_seconds - last.cpu_seconds
            samples.append(
                Sample(
                    minutes=(now.at - began) / 60,
                    running=status["running"],
                    ended=len(fleet.gather()),
                    rss_mb=now.rss_mb,
                    descriptors=now.descriptors,
                    media_ports=daemon.media_ports(),
                    threads=now.threads,
                    cpu_percent=100 * spent / max(0.001, now.at - last.at),
                    lag_p95=status["lag_p95_s"],
                )
            )
            last = now
            told(samples[-1])

        sample()
        due = SAMPLE_SECONDS
        for at in [*arrivals, 60 * minutes]:
            while (now := time.monotonic() - began) < at:
                if now >= due:
                    sample()
                    due += SAMPLE_SECONDS
                time.sleep(max(0.0, min(at, due) - now))
            if at < 60 * minutes:
                fleet.call(draw.uniform(*seconds))
        outcomes = fleet.finish(max(seconds) + 60)
        time.sleep(REST_SECONDS)
        sample()
    return Soak(
        language=language,
        samples=tuple(samples),
        placed=calls,
        answered=sum(o["status"] == 200 for o in outcomes),
        cut_off=sum(o["ended_by_peer"] for o in outcomes),
    )
