from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from voicebot.load.daemon_process import MEDIA, DaemonProcess, LoadError
from voicebot.load.line_bench import Series, Step, measure

DEMO = Path(__file__).parents[2] / "voicebot" / "assets" / "demo"
GOOD = Step(
    calls=4, answered=4, packets=800, lost=0, behind=0.1, dropped_blocks=0, lag_p95=0.05,
    cpu_percent=20.0, rss_mb=200.0, threads=5, callers_late=0.0,
)  # fmt: skip


@pytest.mark.parametrize(
    "fault",
    [{"answered": 3}, {"lost": 1}, {"dropped_blocks": 1}, {"lag_p95": 0.5}, {"behind": 2.0}],
)
def test_a_step_with_any_loss_is_not_whole(fault: dict[str, float]) -> None:
    assert GOOD.whole
    assert not replace(GOOD, **fault).whole  # type: ignore[arg-type]


def test_the_most_calls_are_those_of_the_last_whole_step() -> None:
    more = replace(GOOD, calls=8, answered=8)
    assert Series("none", 100.0, (GOOD, more, replace(GOOD, calls=16))).most is more
    assert Series("none", 100.0, (replace(GOOD, lost=1),)).most is None


def test_real_calls_on_a_real_daemon(tmp_path: Path) -> None:
    told: list[Step] = []
    series = measure(tmp_path, DEMO / "angry_en.flac", MEDIA, [3, 6], 2.0, told.append)
    assert [step.calls for step in told] == [3, 6]
    for step in told:
        assert step.answered == step.calls
        assert step.packets > step.calls * 2 * 50
        assert 0 < step.cpu_percent < 200
        assert step.rss_mb > 50
    assert series.steps == tuple(told)


def test_a_daemon_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"max_calls"):
        DaemonProcess(tmp_path, {"ENGINE__MAX_CALLS": "none"}, "none")
