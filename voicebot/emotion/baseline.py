"""This caller's own level.

In calm speech the anger logit differs between callers nearly as much as within
one (measured on 55 speakers of five corpora, each left out of training, noisy:
sd 0.33 between and 0.36 within in neutral speech, 0.44 within where it may be
happy or sad): a voice that is harsh by nature gives false alarms all through
its call.  So the caller's offset from the average calm level is an
unknown with a Gaussian prior, and every settled score is an observation of it.
Subtracting the posterior mean leaves the change, which is what persists in anger.

A caller who is angry from the first word must not become their own normal:

* an observation counts by the probability that it is *not* anger, after the
  offset so far;
* no single one may pull further than a limit;
* the offset itself is capped, below what clear anger brings.

Source: conjugate normal model with known variances (Gelman et al., "Bayesian
Data Analysis", 3rd ed., section 2.5).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from voicebot.emotion.calibration import sigmoid
from voicebot.params import Params, key


class BaselineParams(Params):
    """What is known of callers before this one speaks."""

    calm_logit: float = key(
        -1.8, "Average anger logit of calm speech.", unit="nats", ge=-8.0, le=2.0
    )
    between_sd: float = key(
        0.35, "How much calm callers differ from one another.  0 turns the baseline off.",
        unit="nats", ge=0.0, le=2.0,
    )  # fmt: skip
    within_sd: float = key(
        0.45, "How much the calm speech of one caller varies.", unit="nats", gt=0.0, le=4.0
    )
    seconds: float = key(
        3.0, "Speech that makes one independent observation: neighbouring windows repeat each "
        "other.", unit="s", gt=0.0, le=60.0,
    )  # fmt: skip
    pull: float = key(
        1.0, "An observation counts as at most this far from the calm level.",
        unit="nats", gt=0.0, le=8.0,
    )  # fmt: skip
    cap: float = key(
        0.7, "A caller is taken to be no harsher by nature than this.", unit="nats", ge=0.0, le=4.0
    )
    cap_below: float = key(
        0.2, "A caller is taken to be no softer by nature than this.  A larger value lets a soft "
        "caller's first sharp word count for more.", unit="nats", ge=0.0, le=4.0,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class BaselineState:
    """What is known of this caller so far."""

    params: BaselineParams = field(default_factory=BaselineParams)
    weight: float = 0.0
    """independent observations so far"""
    total: float = 0.0
    """nats; their weighted distance from the calm level"""

    @property
    def offset(self) -> float:
        """How far this caller's calm speech lies above the average caller's, in nats, capped."""
        p = self.params
        if p.between_sd == 0.0:
            return 0.0
        mean = self.total / (self.weight + (p.within_sd / p.between_sd) ** 2)
        return min(max(mean, -p.cap_below), p.cap)


def update(state: BaselineState, logit: float, seconds: float) -> BaselineState:
    """Take in one settled score.

    Args:
        state: Before it.
        logit: Anger logit as scored, offset not subtracted, in nats.
        seconds: Seconds of speech it rests on; none changes nothing.
    """
    p = state.params
    calm = 1.0 - float(sigmoid(logit - state.offset))
    weight = calm * max(seconds, 0.0) / p.seconds
    distance = min(max(logit - p.calm_logit, -p.pull), p.pull)
    return replace(state, weight=state.weight + weight, total=state.total + weight * distance)
