from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voicebot.telephony.websocket.timeline import GRACE, Timeline


def test_audio_in_time_has_no_gap() -> None:
    line = Timeline(8000, 0.0)
    for i in range(10):
        assert line.missing(i * 0.02, i * 0.02) == 0
        line.heard(160)
    assert line.position == 0.2


def test_a_gap_is_filled_once() -> None:
    line = Timeline(8000, 0.0)
    line.heard(160)
    assert line.missing(0.5, 0.5) == 3840
    assert line.missing(0.5, 0.5) == 0
    assert line.position == 0.5


def test_jitter_of_timestamps_is_no_gap() -> None:
    line = Timeline(8000, 0.0)
    line.heard(160)
    assert line.missing(0.06, 1.0) == 0


def test_a_clock_set_back_is_followed_and_later_gaps_are_seen() -> None:
    line = Timeline(8000, 0.0)
    line.heard(80_000)
    assert line.missing(1.0, 10.0) == 0  # was 10.0
    line.heard(160)
    assert line.missing(1.52, 10.6) == 4000


@given(st.lists(st.tuples(st.floats(0, 1e12), st.integers(0, 800)), max_size=50))
def test_never_more_than_time_has_passed(parts: list[tuple[float, int]]) -> None:
    line = Timeline(8000, 0.0)
    now, heard = 0.0, 0
    for stamp, samples in parts:
        line.missing(stamp, now)
        line.heard(samples)
        heard += samples
        now += samples / 8000
        assert line.position <= max(now + GRACE, heard / 8000) + 0.2
