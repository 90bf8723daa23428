from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.audio.source import assign_legs, cut_blocks, leg_rate, parse_legs
from voicebot.errors import AudioError
from voicebot.events import Leg

CALLER, AGENT = Leg.CALLER, Leg.AGENT


@pytest.mark.parametrize(
    ("rate", "inside"),
    [(8000, 8000), (6000, 8000), (11025, 16000), (16000, 16000), (48000, 16000)],
)
def test_rate_inside_the_legs(rate: int, inside: int) -> None:
    assert leg_rate(rate) == inside


def test_legs_as_written() -> None:
    assert parse_legs("caller,agent") == (CALLER, AGENT)
    assert parse_legs(" Agent , caller") == (AGENT, CALLER)
    assert parse_legs("-,caller,-") == (None, CALLER, None)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("caller,bob", "unknown leg 'bob'"),
        ("caller,caller", "named twice"),
        ("-,-", "left out"),
        ("", "unknown leg ''"),
    ],
)
def test_legs_written_wrongly(text: str, what: str) -> None:
    with pytest.raises(AudioError, match=what) as caught:
        parse_legs(text)
    assert "caller,agent" in caught.value.mend


def test_channels_and_legs() -> None:
    assert assign_legs("a", 1, None) == ((0, CALLER),)
    assert assign_legs("a", 2, None) == ((0, CALLER), (1, AGENT))
    assert assign_legs("a", 2, (AGENT, CALLER)) == ((0, AGENT), (1, CALLER))
    assert assign_legs("a", 3, (None, CALLER, None)) == ((1, CALLER),)


@pytest.mark.parametrize(
    ("channels", "legs", "what"),
    [
        (6, None, "6 channels, and no saying"),
        (1, (CALLER, AGENT), "1 channel, but --legs names 2"),
        (2, (CALLER,), "2 channels, but --legs names 1"),
    ],
)
def test_legs_that_do_not_fit(channels: int, legs: tuple[Leg, ...] | None, what: str) -> None:
    with pytest.raises(AudioError, match=f"x.wav: {what}"):
        assign_legs("x.wav", channels, legs)


@given(st.lists(st.integers(0, 2500), max_size=10), st.integers(0, 5000))
def test_blocks_are_whole_in_step_and_on_the_clock(lengths: list[int], start: int) -> None:
    whole = np.arange(2 * sum(lengths)).reshape(-1, 2).astype(np.int16)
    edges = np.cumsum([0, *lengths])
    pieces = [whole[a:b] for a, b in pairwise(edges)]
    blocks = list(cut_blocks(pieces, (CALLER, AGENT), 8000, start=start))
    for number, block in enumerate(blocks):
        assert block[CALLER].start == block[AGENT].start == (start + number * 800) / 8000
        assert len(block[CALLER].pcm) == len(block[AGENT].pcm)
    assert all(len(block[CALLER].pcm) == 800 for block in blocks[:-1])
    assert not blocks or 0 < len(blocks[-1][CALLER].pcm) <= 800
    for column, leg in enumerate((CALLER, AGENT)):
        joined = np.concatenate([np.empty(0, np.int16), *(b[leg].pcm for b in blocks)])
        np.testing.assert_array_equal(joined, whole[:, column])
