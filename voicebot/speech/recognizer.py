"""What a speech-to-text engine is, whichever it is.

An engine is loaded once and shared by all calls.  For each utterance a call
opens a *lease* (:class:`UtteranceRecognizer`), feeds it audio and finishes or
abandons it; whatever costs memory belongs to the engine and is only lent.
"""

from __future__ import annotations

from typing import Final, Literal, Protocol

import numpy as np

from voicebot.events import Hypothesis, Pcm, Transcript
from voicebot.params import Params, key

RATES: Final = (8000, 16000)
"""Hz; the rates of a leg: telephone and wideband"""


class UtteranceRecognizer(Protocol):
    """The recognition of one utterance.  Used by one thread at a time."""

    def accept(self, pcm: Pcm) -> Hypothesis | None:
        """Hear some more audio, shape ``(samples,)`` at the rate the lease was opened with.

        Returns:
            The text so far if it has changed since it was last returned, else None.  Engines
            that do not stream always return None.
        """
        ...

    def finish(self) -> Transcript:
        """End the utterance and the lease.

        Returns:
            The text as the engine gives it, word times on the audio clock; empty text where
            no word was recognised.
        """
        ...

    def abandon(self) -> None:
        """End the lease without a result; harmless after :meth:`finish`."""
        ...


class SpeechEngine(Protocol):
    """A loaded engine, shared by calls and threads."""

    @property
    def name(self) -> str:
        """Engine and model, as in ``vosk:vosk-model-small-cn-0.22``."""
        ...

    @property
    def language(self) -> str:
        """ISO 639-1."""
        ...

    @property
    def streaming(self) -> bool:
        """Whether :meth:`UtteranceRecognizer.accept` gives text before the end."""
        ...

    def open(self, rate: int, start: float) -> UtteranceRecognizer:
        """Lease a recogniser for one utterance.

        Args:
            rate: Hz of the audio to come, one of :data:`RATES`.
            start: Audio clock of its first sample, in seconds.

        Raises:
            ValueError: Another rate.
            BusyError: Every recogniser is leased and none came free in time.
        """
        ...

    def close(self) -> None:
        """Free the models.  Leases still open must not be used any more."""
        ...


class SttParams(Params):
    """Which engine hears the call, and how many callers it may hear at once."""

    engine: Literal["auto", "vosk", "bundled", "whisper", "none"] = key(
        "auto",
        "Speech-to-text engine.  `auto`: the Vosk model of the call's language if installed, "
        "else the bundled English engine, else Whisper.  `none`: acoustic evidence alone.",
    )
    vosk_model: str = key(
        "",
        "Name of an installed Vosk model, or the path of its folder; empty: the best one that "
        "is installed for the language.",
    )
    whisper_model: str = key(
        "whisper-base",
        "Name of an installed Whisper model, or the path of its folder, for `engine: whisper`.",
    )
    second_pass: str = key(
        "none",
        "Whisper model (name or folder) that reads each finished utterance again and replaces "
        "its text, such as `whisper-base` or `whisper-tiny.en`; `none`: first pass only.",
    )
    partial_interval_seconds: float = key(
        1.0,
        "How much new audio the bundled engine waits for before it reads an utterance again "
        "for a partial text.  Vosk partials are free and come with every frame.",
        unit="s", ge=0.2, le=10.0,
    )  # fmt: skip
    pool_size: int = key(
        2,
        "Vosk recognisers that are made and warmed at start (0.5-0.8 s of CPU each), ready for "
        "callers who begin to speak.",
        ge=1, le=64,
    )  # fmt: skip
    pool_limit: int = key(
        16,
        "Most Vosk recognisers at once, 65-95 MB each.  Each speaking leg holds one.",
        ge=2, le=256,
    )  # fmt: skip
    pool_wait_seconds: float = key(
        5.0,
        "How long an utterance waits for a recogniser when all are leased, before it is given "
        "up without text.",
        unit="s", ge=0.0, le=60.0,
    )  # fmt: skip
    recycle_after_seconds: float = key(
        900.0,
        "Audio after which a Vosk recogniser is replaced by a new one, because it grows with "
        "what it hears.",
        unit="s", gt=0.0,
    )  # fmt: skip


def check_rate(rate: int) -> None:
    """Refuse a rate that no leg has (Vosk would hang for ever on 0 Hz).

    Raises:
        ValueError: ``rate`` is not one of :data:`RATES`.
    """
    if rate not in RATES:
        raise ValueError(f"audio of a leg is at 8000 or 16000 Hz, not {rate}")


def check_pcm(pcm: Pcm) -> Pcm:
    """Make sure that ``pcm`` is what the engines may be given.

    Engines take raw bytes and believe them: a float array or a stereo array
    would be heard as noise, an odd number of bytes would shift every sample.

    Raises:
        ValueError: Not mono int16.
    """
    if pcm.dtype != np.int16 or pcm.ndim != 1:
        raise ValueError(f"expected mono int16 samples, got {pcm.dtype} of shape {pcm.shape}")
    return np.ascontiguousarray(pcm)
