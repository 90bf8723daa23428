"""Two rules that anybody would think of first, to be beaten.

They see what the evidence sees, and each may choose its own threshold, so that they are
compared with it at the same rate of false alarms.
"""

from __future__ import annotations

import math
from typing import Final

from voicebot.calls.record import Heard
from voicebot.calls.replay import Outcome

THRESHOLD: Final = 0.5
"""Probability from which an utterance is angry, unless another is asked for."""


def in_a_row(call: Heard, count: int, threshold: float = THRESHOLD) -> Outcome:
    """Alert when so many utterances in succession are angry.

    One that was not scored neither breaks a row nor lengthens it.

    Args:
        call: What was heard.
        count: 1 alerts at any angry utterance.
        threshold: Probability above which an utterance is angry, 0-1.

    Returns:
        Opened once at most: no second alert is counted against the rule, and it is told again
        at every utterance at which the condition holds.
    """
    cut = math.log(threshold / (1.0 - threshold))
    told: list[float] = []
    row = 0
    for seen in call.observations:
        if seen.logit is None:
            continue
        row = row + 1 if seen.logit > cut else 0
        if row >= count:
            told.append(seen.t)
    return Outcome(tuple(told[:1]), tuple(told))
