"""Calls written by hand: what was heard is made up, so that everything after it is known."""

from __future__ import annotations

from collections.abc import Sequence

from voicebot.calls.record import Facts, Heard, Kind, Observation, Span
from voicebot.emotion.calibration import score_from
from voicebot.emotion.fusion import Fused
from voicebot.events import EMOTIONS, EmotionScore

EVEN = [1.0] * len(EMOTIONS)
SPEECH = 4.0
"""s of each utterance"""
EVERY = 6.0
"""s from the start of one utterance to that of the next"""


def scored(logit: float | None) -> EmotionScore | None:
    return None if logit is None else score_from(EVEN, logit)


def heard(logit: float | None) -> Fused | None:
    """A voice without words."""
    score = scored(logit)
    return None if score is None else Fused(score, logit, 1.0, None)


def call(
    logits: Sequence[float | None],
    kind: Kind = Kind.CALM,
    *,
    begins: int = 0,
    lasts: int | None = None,
    speaker: str = "x:1",
    number: int = 0,
) -> Heard:
    """A call of equal utterances; from the one at ``begins`` the caller is angry, if ever."""
    times = [1.0 + EVERY * n for n in range(len(logits))]
    provoked = kind.persists or kind is Kind.OUTBURST
    lasts = (1 if kind is Kind.OUTBURST else len(logits)) if lasts is None else lasts
    angry = [provoked and begins <= n < begins + lasts for n in range(len(logits))]
    onset = times[begins] if provoked else None
    facts = Facts(
        number=number, kind=kind, corpus=speaker.partition(":")[0], language="en",
        speaker=speaker, gender="unknown", snr_db=20.0, line="mulaw + loss",
        seconds=1.0 + EVERY * len(logits), onset=onset if kind.persists else None,
        outburst=None if kind.persists else onset,
        spans=tuple(Span(t, t + SPEECH, a) for t, a in zip(times, angry, strict=True)),
    )  # fmt: skip
    observations = tuple(
        Observation(
            opened=t + 0.2, start=t, end=t + SPEECH, t=t + SPEECH + 0.8, speech_seconds=SPEECH,
            fused=heard(logit), voice=scored(logit), words=None, snr_db=20.0, confidence=0.0,
            abstained="" if logit is not None else "acoustic_low_snr", angry_share=float(a),
        )
        for t, logit, a in zip(times, logits, angry, strict=True)
    )  # fmt: skip
    return Heard(facts, observations)


def no_progress(what: str, share: float) -> None:
    assert 0.0 <= share <= 1.0
