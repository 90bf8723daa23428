from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.calls.made import call
from voicebot.calls.plain_rules import in_a_row


def test_one_angry_utterance_is_enough_for_the_first_rule() -> None:
    heard = call([-1.0, 0.5, -1.0])
    assert in_a_row(heard, 1).alert == heard.observations[1].t
    assert in_a_row(heard, 1, 0.9).alert is None


def test_three_in_a_row_are_three_in_a_row() -> None:
    assert in_a_row(call([1.0, 1.0, -1.0, 1.0, 1.0]), 3).alert is None
    heard = call([1.0, None, 1.0, 1.0, 1.0])
    outcome = in_a_row(heard, 3)
    assert outcome.told == (heard.observations[3].t, heard.observations[4].t)
    assert outcome.opened == outcome.told[:1]


@settings(deadline=None)
@given(st.lists(st.floats(-5, 5), max_size=20), st.floats(0.05, 0.9), st.floats(0, 0.09))
def test_a_higher_probability_never_alerts_sooner(
    values: list[float], threshold: float, more: float
) -> None:
    for count in (1, 3):
        low = in_a_row(call(values), count, threshold).alert
        high = in_a_row(call(values), count, threshold + more).alert
        assert high is None or (low is not None and low <= high)
