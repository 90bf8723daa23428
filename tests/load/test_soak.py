from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from voicebot.load import soak as module
from voicebot.load.daemon_process import MEDIA
from voicebot.load.soak import Sample, Soak, soak
from voicebot.load.soak_picture import draw

DEMO = Path(__file__).parents[2] / "voicebot" / "assets" / "demo"


def sample(minutes: float, rss_mb: float, running: int = 5) -> Sample:
    return Sample(
        minutes=minutes, running=running, ended=0, rss_mb=rss_mb, descriptors=20, media_ports=10,
        threads=4, cpu_percent=10.0, lag_p95=0.05,
    )  # fmt: skip


def test_growth_is_that_of_the_second_half() -> None:
    warm = [sample(m, 100 + 10 * m) for m in range(10)]
    flat = [sample(m, 200.0) for m in range(10, 31)]
    leaking = [sample(m, 200.0 + (m - 10)) for m in range(10, 31)]
    assert Soak("none", (*warm, *flat), 1, 1, 0).growth_mb_per_hour == pytest.approx(0.0, abs=1e-6)
    assert Soak("none", (*warm, *leaking), 1, 1, 0).growth_mb_per_hour == pytest.approx(60.0)


def test_leaks_are_what_is_left_at_the_end() -> None:
    first = replace(sample(0, 100, 0), descriptors=11)
    last = replace(sample(1, 100, 0), descriptors=13, media_ports=2)
    result = Soak("none", (first, sample(0.5, 100), last), 1, 1, 0)
    assert (result.leaked_descriptors, result.leaked_ports) == (2, 2)


def test_a_short_soak_of_a_real_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAMPLE_SECONDS", 0.5)
    monkeypatch.setattr(module, "REST_SECONDS", 3.0)
    told: list[Sample] = []
    result = soak(
        tmp_path, DEMO / "angry_en.flac", MEDIA, minutes=0.06, calls=6, seconds=(1.0, 2.0),
        told=told.append,
    )  # fmt: skip
    assert (result.placed, result.answered, result.cut_off) == (6, 6, 0)
    assert max(s.running for s in told) >= 1
    assert max(s.media_ports for s in told) >= 2
    assert told[-1].running == 0
    assert (result.leaked_ports, result.leaked_descriptors) == (0, 0)
    draw(result, tmp_path / "soak.png")
    assert (tmp_path / "soak.png").stat().st_size > 10_000
