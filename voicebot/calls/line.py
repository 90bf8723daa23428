"""What calm callers of one line sound like: the prior over callers, narrowed by its own calls.

Before a caller has spoken, the evidence knows only the prior of :mod:`voicebot.emotion.baseline`,
which must be wide enough for every line and language.  Calls of one line whose calm parts
are known say where its callers lie, so that one who is angry from the first word stands out from
them.  The call is the unit: somebody's level on one day, in one mood.

The estimate is the posterior predictive of a Gaussian with unknown mean and variance, of which the
wide prior is worth a few calls (the normal-inverse-chi-squared model: A. Gelman et al., "Bayesian
Data Analysis", 3rd edition, 2013, section 3.3).  Each call is judged by the calls of
*other* callers, or a caller would be held against themselves.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from voicebot.calls.record import Facts, Heard
from voicebot.emotion.baseline import BaselineParams

FEWEST: Final = 5
"""callers; fewer say too little of a line"""
_MEAN_WORTH: Final = 1.0
"""callers that the mean of the wide prior is worth"""
_SPREAD_WORTH: Final = 4.0
"""callers that its spread is worth"""
_CALM_SECONDS: Final = 10.0
"""s of calm speech that a call must have to tell its level"""
_DIGITS: Final = 2


@dataclass(frozen=True, slots=True)
class Levels:
    """The prior over callers that each call is judged with."""

    common: BaselineParams
    """for callers of whom nothing else is known"""
    by_caller: Mapping[tuple[str, str], BaselineParams] = field(default_factory=dict)
    """line and speaker, to what the line's other callers say"""

    def of(self, facts: Facts) -> BaselineParams:
        """The prior for one call."""
        return self.by_caller.get((facts.corpus, facts.speaker), self.common)


def own_level(calls: Sequence[Heard], wide: BaselineParams) -> BaselineParams:
    """The prior over the callers of one line.

    Args:
        calls: Of the line, with their truth known.
        wide: The prior without them.

    Returns:
        ``wide`` itself if fewer than :data:`FEWEST` callers were heard calm for long enough.
    """
    return _prior(
        [(c.facts.speaker, level) for c in calls if (level := calm_mean(c)) is not None], wide
    )


def _prior(levels: Sequence[tuple[str, float]], wide: BaselineParams) -> BaselineParams:
    """The prior from the speaker and the calm level of each call."""
    callers = len({speaker for speaker, _ in levels})
    if callers < FEWEST:
        return wide
    x = np.array([level for _, level in levels])
    mean, variance = float(x.mean()), float(x.var())
    # As many observations as there are callers: the calls of one are not independent.
    know, trust = _MEAN_WORTH + callers, _SPREAD_WORTH + callers
    centre = (_MEAN_WORTH * wide.calm_logit + callers * mean) / know
    apart = _MEAN_WORTH * callers / know * (mean - wide.calm_logit) ** 2
    spread = (_SPREAD_WORTH * wide.between_sd**2 + callers * variance + apart) / trust
    predictive = math.sqrt(spread * (1.0 + 1.0 / know))
    return wide.model_copy(
        update={
            "calm_logit": round(min(max(centre, -8.0), 4.0), _DIGITS),
            "between_sd": round(min(predictive, wide.between_sd), _DIGITS),
        }
    )


def calm_mean(call: Heard) -> float | None:
    """Mean anger logit of a call's calm voice, nats; None if too little of it was scored.

    Of the voice alone, words or not: that is what the evidence judges by its level.
    """
    calm = [
        (o.voice.anger_logit, o.speech_seconds)
        for o in call.observations
        if o.voice is not None and o.angry_share == 0.0
    ]
    seconds = sum(s for _, s in calm)
    if seconds < _CALM_SECONDS:
        return None
    return sum(logit * s for logit, s in calm) / seconds


def levels_of_lines(calls: Sequence[Heard], wide: BaselineParams) -> Levels:
    """A prior for each caller, of what the other callers of their line (corpus) say.

    ``common`` is for the callers to come: that of the line if there is but one, else ``wide``.
    """
    speakers: dict[str, set[str]] = defaultdict(set)
    levels: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for call in calls:
        line, speaker = call.facts.corpus, call.facts.speaker
        speakers[line].add(speaker)
        if (level := calm_mean(call)) is not None:
            levels[line].append((speaker, level))
    found = {
        (line, speaker): _prior([one for one in levels[line] if one[0] != speaker], wide)
        for line, those in speakers.items()
        for speaker in those
    }
    return Levels(_prior(levels[line], wide) if len(speakers) == 1 else wide, found)
