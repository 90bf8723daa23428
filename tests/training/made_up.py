"""Predictions out of the air, for whatever takes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from voicebot.emotion.calibration import ANGER, score_from
from voicebot.training.predictions import Predictions, score_rows


def predictions(
    logit: Sequence[float],
    emotion: Sequence[int],
    *,
    corpus: Sequence[str] | str = "aa",
    speaker: Sequence[str] | str = "aa:1",
    gender: Sequence[str] | str = "",
    snr_db: Sequence[float] | float = 20.0,
    abstained: Sequence[str] | str = "",
) -> Predictions:
    """Entries with these logits; labels may be one for all."""
    n = len(logit)

    def spread(value: Sequence[str] | str) -> np.ndarray:
        return np.array([value] * n if isinstance(value, str) else value, dtype=np.str_)

    _, rows = score_rows([score_from(np.ones(7), v) for v in logit])
    return Predictions(
        file=np.array([f"{i}.wav" for i in range(n)], dtype=np.str_),
        corpus=spread(corpus),
        language=spread("en"),
        speaker=spread(speaker),
        gender=spread(gender),
        emotion=np.array(emotion, dtype=np.int64),
        logit=np.array(logit, dtype=np.float64),
        probabilities=rows,
        speech_seconds=np.full(n, 2.0),
        snr_db=np.full(n, snr_db) if isinstance(snr_db, float) else np.array(snr_db),
        abstained=spread(abstained),
    )


def crowd(seed: int = 0, speakers: int = 4, corpora: Sequence[str] = ("aa", "bb")) -> Predictions:
    """Many clips of several corpora and speakers; anger lies two nats above the rest."""
    rng = np.random.default_rng(seed)
    emotion = np.tile([ANGER, 3, 4, 5, 4], 6 * speakers * len(corpora))
    n = len(emotion)
    place = np.arange(n) // 30
    who = [f"{corpora[p // speakers]}:{p % speakers}" for p in place.tolist()]
    return predictions(
        list(rng.normal(-1.5, 1.0, n) + 2.0 * (emotion == ANGER)), list(emotion),
        corpus=[w.split(":")[0] for w in who], speaker=who,
        gender=["female" if p % 2 else "male" for p in place],
        snr_db=list(rng.uniform(0, 35, n)),
    )  # fmt: skip
