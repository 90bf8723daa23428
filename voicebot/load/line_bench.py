"""How many calls a machine hears at once, and what each costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from voicebot.load.daemon_process import DaemonProcess, Use
from voicebot.load.fleet import Fleet

RAMP_SECONDS: Final = 3.0
"""s over which the calls of one step begin"""
SETTLE_SECONDS: Final = 2.0
"""s before measuring begins"""
MOST_BEHIND: Final = 1.0
"""s; with more than this a step has failed.  Some packets are sent before the call counts as
taken, and some tenths of a second pass until they are."""
MOST_LAG: Final = 0.3
"""s; with more than this at the 95th percentile a step has failed"""


@dataclass(frozen=True, slots=True)
class Step:
    """What so many calls at once were like."""

    calls: int
    answered: int
    packets: int
    """received in all"""
    lost: int
    """packets, as their sequence numbers tell; those that the machine threw away included"""
    behind: float
    """s of audio that the leg furthest behind still waits for"""
    dropped_blocks: int
    """tenths of a second of audio that were not heard, because too much waited"""
    lag_p95: float
    """s"""
    cpu_percent: float
    """of one core, by the daemon"""
    rss_mb: float
    threads: int
    callers_late: float
    """s that the callers' clock lagged at most: much of it, and the step says nothing"""

    @property
    def whole(self) -> bool:
        """Whether every call was answered and heard in time, with no loss."""
        return (
            self.answered == self.calls
            and self.lost == 0
            and self.behind <= MOST_BEHIND
            and self.dropped_blocks == 0
            and self.lag_p95 <= MOST_LAG
        )


@dataclass(frozen=True, slots=True)
class Series:
    """Steps of one daemon."""

    language: str
    """``none``: nothing is transcribed"""
    idle_rss_mb: float
    steps: tuple[Step, ...]

    @property
    def most(self) -> Step | None:
        """The step with the most calls that were all heard in time, with no loss."""
        return max((s for s in self.steps if s.whole), key=lambda s: s.calls, default=None)


def measure(
    folder: Path,
    audio: Path,
    language: str,
    counts: Sequence[int],
    seconds: float,
    told: Callable[[Step], None],
) -> Series:
    """Put more and more calls on one daemon, until it can take no more.

    Args:
        folder: Scratch folder.
        audio: What callers say.
        language: As ``voicebot serve --language``.
        counts: Calls at once, step by step.
        seconds: For which each step is measured.
        told: Told of each step.

    Raises:
        LoadError: the daemon or the callers failed.
    """
    settings = {"ENGINE__MAX_CALLS": str(max(counts) + 10), "ENGINE__MAX_LAG_SECONDS": "30"}
    steps: list[Step] = []
    with DaemonProcess(folder, settings, language) as daemon:
        idle = daemon.use()
        for count in counts:
            with Fleet(daemon.port, audio) as fleet:
                step = _step(daemon, fleet, count, seconds)
                fleet.finish(30.0)
            steps.append(step)
            told(step)
            if not step.whole:
                break
            _wait_empty(daemon)
    return Series(language, idle.rss_mb, tuple(steps))


def _step(daemon: DaemonProcess, fleet: Fleet, count: int, seconds: float) -> Step:
    fleet.call(RAMP_SECONDS + SETTLE_SECONDS + seconds + 2.0, count, RAMP_SECONDS)
    time.sleep(RAMP_SECONDS + SETTLE_SECONDS)
    before = daemon.use()
    time.sleep(seconds)
    after = daemon.use()
    status = daemon.status()
    outcomes = fleet.finish(seconds + 60.0)
    legs = [leg for call in status["calls"] for leg in call["legs"].values()]
    return Step(
        calls=count,
        answered=sum(o["status"] == 200 for o in outcomes),
        packets=sum(leg.get("packets", 0) for leg in legs),
        lost=sum(leg.get("lost", 0) for leg in legs),
        behind=max(
            (
                call["age_s"] - 0.02 * leg["packets"]
                for call in status["calls"]
                for leg in call["legs"].values()
                if "packets" in leg
            ),
            default=0.0,
        ),
        dropped_blocks=sum(call["dropped_blocks"] for call in status["calls"]),
        lag_p95=status["lag_p95_s"],
        cpu_percent=_cpu_percent(before, after),
        rss_mb=after.rss_mb,
        threads=after.threads,
        callers_late=max((o["late"] for o in outcomes), default=0.0),
    )


def _cpu_percent(before: Use, after: Use) -> float:
    return 100 * (after.cpu_seconds - before.cpu_seconds) / (after.at - before.at)


def _wait_empty(daemon: DaemonProcess) -> None:
    deadline = time.monotonic() + 30
    while _running(daemon.status()) and time.monotonic() < deadline:
        time.sleep(0.2)


def _running(status: dict[str, Any]) -> int:
    return int(status["running"])
