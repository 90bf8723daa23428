"""The model that listens to the voice: a window of speech in, a calibrated score out.

Two sorts of model are known.  One takes prosodic features alone and is small enough for any
machine; the other takes a log-mel spectrogram too, through the speech encoder in its graph,
and is far better on strangers.  Which one a folder holds is said by its ``voicebot.features``.

Either abstains rather than guess: from too little speech, from noise, from a
clipped wave.  An abstention is a reading with its reason, never a score of zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from voicebot.audio.pcm import resample
from voicebot.emotion.features import FEATURE_SET, FEATURES, summarise
from voicebot.emotion.frames import RATE, describe
from voicebot.emotion.logmel import BANDS, LOG_MEL, log_mel
from voicebot.emotion.onnx_model import OnnxModel, load_model, models_dir
from voicebot.emotion.snr import MIN_DB, estimate_snr, flat_top_share
from voicebot.events import EmotionScore, Pcm
from voicebot.params import Params, key

KIND: Final = "acoustic"
INPUT: Final = "features"
MEL_INPUT: Final = "mel"
WITH_ENCODER: Final = f"{FEATURE_SET}+{LOG_MEL}"
"""Feature set of a model with a speech encoder: prosody and spectrogram."""


class AcousticParams(Params):
    """When the voice can be judged at all."""

    min_speech_seconds: float = key(
        0.6, "Less speech than this in a window is not scored: a word or two has no prosody.",
        unit="s", ge=0.3, le=8.0,
    )  # fmt: skip
    max_window_seconds: float = key(
        8.0, "Of a longer window only the last part is scored: mood changes within it.",
        unit="s", ge=1.0, le=8.0,
    )  # fmt: skip
    min_snr_db: float = key(
        4.0, "Noisier windows are not scored.  Raise it if a noisy line gives false alarms.",
        unit="dB", ge=-10.0, le=30.0,
    )  # fmt: skip
    max_clipped_share: float = key(
        0.1, "A window with a larger share of samples at the peak is not scored: a clipped wave "
        "sounds harsh whatever the mood.", gt=0.0, le=1.0,
    )  # fmt: skip
    max_concealed_share: float = key(
        0.1, "A window with a larger share of audio that was made up for lost packets is not "
        "scored: it is a voice that never was.", ge=0.0, le=1.0,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class AcousticReading:
    """What the model says of a window, or why it says nothing."""

    score: EmotionScore | None
    """None if it abstained"""
    abstained: str | None
    """``too_short``, ``silent``, ``low_snr``, ``clipped``, ``concealed``; None with a score"""
    snr_db: float
    """dB, estimated; -10 to 40"""


class AcousticModel:
    """A loaded acoustic model; holds no state of a call and may be shared between threads."""

    def __init__(self, model: OnnxModel, params: AcousticParams) -> None:
        self._model = model
        self._params = params

    @classmethod
    def load(
        cls, folder: Path | None = None, params: AcousticParams | None = None
    ) -> AcousticModel:
        """Load the model.

        Args:
            folder: Model folder; None takes ``acoustic`` of :func:`models_dir`.
            params: When to abstain; None takes the defaults.

        Raises:
            ModelError: the folder is missing, incomplete or holds another model.
        """
        model = load_model(
            folder if folder is not None else models_dir() / "acoustic",
            KIND,
            inputs={
                FEATURE_SET: {INPUT: (None, len(FEATURES))},
                WITH_ENCODER: {INPUT: (None, len(FEATURES)), MEL_INPUT: (None, BANDS, None)},
            },
        )
        return cls(model, params or AcousticParams())

    def score(
        self, pcm: Pcm, rate: int, speech_seconds: float, concealed: float = 0.0
    ) -> AcousticReading:
        """Score a window of one speaker.

        Args:
            pcm: Mono samples.
            rate: Hz; brought to 8 kHz in one piece.
            speech_seconds: Seconds of speech in the window, as the voice activity detector says.
            concealed: Share of the window that was made up for lost packets, 0-1.
        """
        p = self._params
        if concealed > p.max_concealed_share:
            return AcousticReading(None, "concealed", MIN_DB)
        x = resample(pcm[-round(p.max_window_seconds * rate) :], rate, RATE)
        shortest = round(p.min_speech_seconds * RATE)
        if speech_seconds < p.min_speech_seconds or len(x) < shortest:
            return AcousticReading(None, "too_short", MIN_DB)
        frames = describe(x)
        if frames is None or len(frames.energy) < 10:
            return AcousticReading(None, "silent", MIN_DB)
        snr_db = estimate_snr(x, frames)
        if snr_db < p.min_snr_db:
            return AcousticReading(None, "low_snr", snr_db)
        if flat_top_share(x) > p.max_clipped_share:
            return AcousticReading(None, "clipped", snr_db)
        feeds = {INPUT: summarise(frames)[np.newaxis]}
        if self._model.features == WITH_ENCODER:
            feeds[MEL_INPUT] = log_mel(x)[np.newaxis]
        out = self._model.run(feeds)
        score = self._model.calibration.score(out.probabilities[0], float(out.anger_logit[0]))
        return AcousticReading(score, None, snr_db)
