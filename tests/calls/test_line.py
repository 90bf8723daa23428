from __future__ import annotations

from dataclasses import replace

import pytest

from tests.calls.made import call, scored
from voicebot.calls.line import FEWEST, Levels, calm_mean, levels_of_lines, own_level
from voicebot.calls.record import Heard, Kind
from voicebot.calls.replay import replay
from voicebot.emotion.baseline import BaselineParams
from voicebot.emotion.fusion import Fused
from voicebot.escalation.escalation import EscalationParams
from voicebot.events import EmotionScore

WIDE = BaselineParams()


def line(level: float, callers: int = 12, name: str = "x", apart: float = 0.3) -> list[Heard]:
    """Calm calls of callers whose levels lie evenly around one."""
    return [
        call([level + apart * (n - (callers - 1) / 2)] * 6, speaker=f"{name}:{n}")
        for n in range(callers)
    ]


def test_a_line_moves_the_prior_to_its_callers_and_narrows_it() -> None:
    found = own_level(line(-3.0, callers=40, apart=0.05), WIDE)
    assert found.calm_logit == pytest.approx(-3.0, abs=0.1)
    assert found.between_sd < 0.9
    assert found.even_sd == WIDE.even_sd


def test_few_callers_move_it_less_and_fewer_not_at_all() -> None:
    few, many = (own_level(line(-3.0, callers=n, apart=0.0), WIDE) for n in (FEWEST, 60))
    assert WIDE.calm_logit > few.calm_logit > many.calm_logit > -3.0
    assert many.between_sd < few.between_sd <= WIDE.between_sd
    assert own_level(line(-3.0, callers=FEWEST - 1), WIDE) == WIDE
    assert own_level([], WIDE) == WIDE


def test_many_calls_of_one_caller_are_one_caller() -> None:
    assert own_level(line(-3.0, callers=FEWEST - 1) * 20, WIDE) == WIDE
    once, often = own_level(line(-3.0), WIDE), own_level(line(-3.0) * 9, WIDE)
    assert once == often


def test_a_line_whose_callers_differ_much_is_not_taken_for_narrow() -> None:
    assert own_level(line(-2.0, apart=1.0), WIDE).between_sd == WIDE.between_sd


def test_only_calm_speech_tells_the_level() -> None:
    assert calm_mean(call([-2.0] * 4 + [3.0] * 6, Kind.ANGRY, begins=4)) == pytest.approx(-2.0)
    assert calm_mean(call([-2.0, None, None, None])) is None, "4 s say too little"
    assert calm_mean(call([3.0] * 6, Kind.ANGRY_FROM_START)) is None


def test_words_do_not_move_the_level_that_voices_are_judged_by() -> None:
    talk = line(-3.0)[0]
    read = replace(
        talk,
        observations=tuple(
            replace(o, fused=Fused(EmotionScore({}, 1.0), -3.0, 1.0, 4.0), words=scored(1.0))
            for o in talk.observations
        ),
    )
    assert read.observations[0].logit == 1.0
    assert calm_mean(read) == calm_mean(talk)


def test_nobody_is_compared_with_themselves() -> None:
    others = line(-3.0)
    odd = call([1.0] * 6, speaker="x:odd")
    levels = levels_of_lines([*others, odd], WIDE)
    assert levels.of(odd.facts) == own_level(others, WIDE)
    assert levels.of(others[0].facts) != levels.of(odd.facts)
    assert levels.common == own_level([*others, odd], WIDE)


def test_each_line_has_its_own_prior_and_a_stranger_the_wide_one() -> None:
    low, high = line(-4.0, name="low"), line(0.0, name="high")
    levels = levels_of_lines([*low, *high], WIDE)
    assert levels.of(low[0].facts).calm_logit < -3.0
    assert levels.of(high[0].facts).calm_logit > -1.0
    assert levels.common == WIDE
    assert levels.of(call([0.0], speaker="other:1").facts) == WIDE


def test_anger_from_the_first_word_shows_on_a_line_that_is_known() -> None:
    angry = call([0.2] * 12, Kind.ANGRY_FROM_START, speaker="x:new")
    known = levels_of_lines([*line(-3.0, callers=40, apart=0.03), angry], WIDE)
    assert replay(angry, EscalationParams(), known).alert is not None
    assert replay(angry, EscalationParams(), Levels(WIDE)).alert is None
