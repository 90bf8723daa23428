"""Which stretches of an utterance are scored."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.emotion.windows import RunningWindow, WindowParams, pieces
from voicebot.events import Pcm

RATE = 8000


def ramp(samples: int, start: int = 0) -> Pcm:
    return (np.arange(start, start + samples) % 30000).astype(np.int16)


def windows(lengths: list[int], params: WindowParams) -> list[Pcm]:
    running, at, found = RunningWindow(params, RATE), 0, []
    for length in lengths:
        window = running.push(ramp(length, at))
        at += length
        if window is not None:
            found.append(window)
    return found


def test_a_window_is_due_after_every_hop_and_holds_the_latest_audio() -> None:
    found = windows([800] * 50, WindowParams(window_seconds=2.0, hop_seconds=1.0))
    assert len(found) == 5
    assert [len(w) for w in found] == [8000, 16000, 16000, 16000, 16000]
    np.testing.assert_array_equal(found[-1], ramp(16000, 50 * 800 - 16000))


def test_no_hop_means_no_running_window() -> None:
    assert windows([8000] * 10, WindowParams(hop_seconds=0.0)) == []


def test_a_running_window_keeps_no_more_than_it_needs() -> None:
    running = RunningWindow(WindowParams(window_seconds=1.0, hop_seconds=0.0), RATE)
    for _ in range(1000):
        running.push(ramp(800))
    assert running._held <= RATE + 800


@given(st.integers(1, 60 * RATE), st.floats(2.0, 8.0))
def test_pieces_cover_the_utterance_once_and_are_alike(samples: int, longest: float) -> None:
    pcm = ramp(samples)
    cut = pieces(pcm, RATE, WindowParams(piece_seconds=longest))
    np.testing.assert_array_equal(np.concatenate(cut), pcm)
    lengths = [len(p) for p in cut]
    assert max(lengths) <= longest * RATE + 1
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize(("seconds", "count"), [(0.5, 1), (8.0, 1), (8.1, 2), (16.5, 3)])
def test_number_of_pieces(seconds: float, count: int) -> None:
    assert len(pieces(ramp(round(seconds * RATE)), RATE, WindowParams())) == count
