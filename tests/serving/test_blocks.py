from __future__ import annotations

from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.events import Frame, Leg
from voicebot.serving.blocks import LEAD_SECONDS, PATIENCE_SECONDS, BlockAssembler

RATE = 8000


def ramp(seconds: float, first: int = 0) -> np.ndarray:
    return (np.arange(round(seconds * RATE)) + first).astype(np.int16)


def joined(blocks: list[dict[Leg, Frame]], leg: Leg = Leg.CALLER) -> np.ndarray:
    return np.concatenate([b[leg].pcm for b in blocks]) if blocks else np.empty(0, np.int16)


def spans(frame: Frame) -> list[tuple[float, float]]:
    return [(round(start, 6), round(end, 6)) for start, end in frame.concealed]


@given(st.lists(st.integers(0, 3000), max_size=30))
def test_pieces_of_any_length_come_out_as_they_went_in(sizes: list[int]) -> None:
    assembler = BlockAssembler([Leg.CALLER], RATE, 0.0)
    whole = ramp(sum(sizes) / RATE)
    out = []
    for end, size in zip(accumulate(sizes), sizes, strict=True):
        assembler.push(Leg.CALLER, whole[end - size : end])
        out += assembler.due(0.0)
    assert len(joined(out)) == len(whole) // 800 * 800
    starts = [b[Leg.CALLER].start for b in out]
    assert starts == pytest.approx([k * 0.1 for k in range(len(out))])
    out += assembler.rest()
    assert (joined(out)[: len(whole)] == whole).all()
    assert not joined(out)[len(whole) :].any()
    assert assembler.overrun == 0


def test_legs_leave_in_step() -> None:
    assembler = BlockAssembler([Leg.CALLER, Leg.AGENT], RATE, 10.0)
    assembler.push(Leg.CALLER, ramp(0.3))
    assert assembler.due(10.1) == [], "the agent's audio may still come"
    assembler.push(Leg.AGENT, ramp(0.2, 5))
    blocks = assembler.due(10.2)
    assert len(blocks) == 2
    assert (joined(blocks, Leg.AGENT) == ramp(0.2, 5)).all()


def test_a_leg_that_is_late_is_filled_and_the_filling_is_marked() -> None:
    assembler = BlockAssembler([Leg.CALLER], RATE, 0.0)
    assembler.push(Leg.CALLER, ramp(0.15, 1))
    assert len(assembler.due(PATIENCE_SECONDS + 0.19)) == 1
    (block,) = assembler.due(PATIENCE_SECONDS + 0.21)
    frame = block[Leg.CALLER]
    assert frame.pcm[:400].all() and not frame.pcm[400:].any()
    assert spans(frame) == [(0.15, 0.2)]
    assert assembler.seconds == pytest.approx(0.2)


def test_what_the_gateway_concealed_is_marked_where_it_is() -> None:
    assembler = BlockAssembler([Leg.CALLER], RATE, 0.0)
    assembler.push(Leg.CALLER, ramp(0.05))
    assembler.push(Leg.CALLER, ramp(0.1), concealed=True)
    assembler.push(Leg.CALLER, ramp(0.05))
    first, second = assembler.due(0.0)
    assert spans(first[Leg.CALLER]) == [(0.05, 0.1)]
    assert spans(second[Leg.CALLER]) == [(0.1, 0.15)]


def test_a_leg_too_far_ahead_of_the_other_is_cut_and_counted() -> None:
    assembler = BlockAssembler([Leg.CALLER, Leg.AGENT], RATE, 0.0)
    for _ in range(5):
        assembler.push(Leg.CALLER, ramp(1.0))
    assert assembler.overrun == 3 * RATE
    assert len(assembler.due(1000.0)) == round((1000 - PATIENCE_SECONDS) * 10)
    assert LEAD_SECONDS == 2.0


def paused(legs: list[Leg], *, marked: bool) -> tuple[BlockAssembler, np.ndarray]:
    """A caller who sends nothing from 2 s to 7 s, until the gateway fills that; 10 s in all."""
    assembler = BlockAssembler(legs, RATE, 0.0)
    out = []
    for k in range(500):
        for leg in legs:
            if leg is not Leg.CALLER or not 100 <= k < 350:
                if leg is Leg.CALLER and k == 350:
                    for _ in range(5):
                        silence = np.zeros(RATE, np.int16)
                        assembler.push(leg, silence, concealed=marked)
                assembler.push(leg, ramp(0.02, 1 + 160 * k if k < 200 else k))
        out += assembler.due(k * 0.02)
    return assembler, joined(out)


@pytest.mark.parametrize("legs", [[Leg.CALLER], [Leg.CALLER, Leg.AGENT]])
@pytest.mark.parametrize("marked", [False, True])
def test_a_pause_that_the_gateway_fills_afterwards_is_not_there_twice(
    legs: list[Leg], marked: bool
) -> None:
    assembler, heard = paused(legs, marked=marked)
    assert assembler.seconds == pytest.approx(10.0), "the call keeps the time of day"
    assert not heard[2 * RATE : 7 * RATE].any()
    assert (heard[7 * RATE : 7 * RATE + 160] == ramp(0.02, 350)).all(), "where it was said"
    assert assembler.overrun == 0


def test_audio_that_was_delayed_is_heard_after_the_silence_that_stood_in_for_it() -> None:
    assembler = BlockAssembler([Leg.CALLER], RATE, 0.0)
    assert len(assembler.due(PATIENCE_SECONDS + 1.01)) == 10
    assembler.push(Leg.CALLER, ramp(1.0, 1))
    assert (joined(assembler.due(1.5)) == ramp(1.0, 1)).all()
    assembler.push(Leg.CALLER, np.zeros(RATE, np.int16))
    assert len(assembler.due(1.6)) == 10, "what the leg itself sends after that is its own"
