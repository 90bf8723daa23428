"""From voice activity to utterances.

::

            voiced                voiced for start_seconds
    QUIET ----------> STARTING --------------------------> SPEAKING <---+
      ^                  |                                  |   unvoiced|  voiced
      +------------------+                                  v           |
      |  unvoiced for start_seconds                       STOPPING -----+
      +-----------------------------------------------------+
                        unvoiced for stop_seconds

An utterance starts ``pre_roll_seconds`` before its first voiced frame, so that soft
onsets are not cut off, and its audio goes on to the end of the hang-over.  One
that grows towards ``max_utterance_seconds`` is cut at the next short pause, or
at the maximum wherever it is; then the next begins with the very next sample.  A
pre-roll may reach into the hang-over of the utterance before, never into its speech.
The same samples give the same events whatever the size of the blocks.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Final

import numpy as np
from pydantic import model_validator

from voicebot.events import Frame, Pcm
from voicebot.params import Params, key
from voicebot.speech.vad import Detector

CONTINUED_SECONDS: Final = 0.1
"""s; about how much audio a :class:`Continued` carries (recognisers like 100 ms)"""


class EndpointingParams(Params):
    """When an utterance begins and ends."""

    start_seconds: float = key(
        0.2,
        "Voiced audio that opens an utterance; shorter bursts (clicks, coughs) are ignored.",
        unit="s",
        gt=0.0,
        le=2.0,
    )
    stop_seconds: float = key(
        0.8,
        "Pause that ends an utterance; its audio (hang-over) also lets the recogniser settle.",
        unit="s",
        gt=0.0,
        le=5.0,
    )
    pre_roll_seconds: float = key(
        0.3,
        "Audio before the first voiced frame that belongs to the utterance.",
        unit="s",
        ge=0.0,
        le=2.0,
    )
    max_utterance_seconds: float = key(
        15.0,
        "Longest utterance; a longer one is cut and goes on as the next.",
        unit="s",
        ge=2.0,
        le=60.0,
    )
    cut_after: float = key(
        0.8,
        "Share of the maximum after which a short pause is enough to cut; 1 to cut only at the"
        " maximum.",
        ge=0.1,
        le=1.0,
    )
    cut_pause_seconds: float = key(
        0.2, "The short pause at which a long utterance is cut.", unit="s", gt=0.0, le=2.0
    )

    @model_validator(mode="after")
    def _fits(self) -> EndpointingParams:
        if self.pre_roll_seconds + self.start_seconds >= self.max_utterance_seconds:
            raise ValueError("pre_roll_seconds and start_seconds leave no room in the maximum")
        return self


class VadState(Enum):
    """Where the endpointer of a leg stands."""

    QUIET = auto()
    STARTING = auto()
    """voice was heard, not yet enough of it"""
    SPEAKING = auto()
    STOPPING = auto()
    """a pause within an utterance, or its end"""


class CloseReason(StrEnum):
    """Why an utterance ended."""

    ENDPOINT = "endpoint"
    """a pause of ``stop_seconds``"""
    MAX_LENGTH = "max_length"
    """it grew too long and was cut"""
    FLUSH = "flush"
    """the audio ended, or has a hole"""


@dataclass(frozen=True, slots=True)
class Opened:
    """An utterance has begun."""

    start: float
    """s, audio clock; of the first sample, pre-roll included"""
    t: float
    """s, audio clock; when it became known"""
    pcm: Pcm
    """everything from ``start`` up to ``t``"""


@dataclass(frozen=True, slots=True)
class Continued:
    """More audio of the utterance that is open."""

    start: float
    """s, audio clock; of the first sample of ``pcm``"""
    t: float
    """s, audio clock; of the end of ``pcm``"""
    pcm: Pcm
    """follows without a gap on the piece before"""


@dataclass(frozen=True, slots=True)
class Closed:
    """An utterance is over.  All its audio was given before by Opened and Continued."""

    start: float
    """s, audio clock; of the first sample, pre-roll included"""
    end: float
    """s, audio clock; the end of speech, before the hang-over"""
    t: float
    """s, audio clock; when it became known"""
    pcm: Pcm
    """the whole utterance, from ``start`` on, hang-over included"""
    speech_seconds: float
    """s of voiced frames"""
    reason: CloseReason


Endpoint = Opened | Continued | Closed


class Endpointer:
    """Finds the utterances of one leg.

    Args:
        detector: Of this leg alone, at its rate.
        params: When an utterance begins and ends.
        rate: Hz.
    """

    def __init__(self, detector: Detector, params: EndpointingParams, rate: int) -> None:
        self._detector = detector
        self._rate = rate
        self._size = detector.frame_samples

        def frames(seconds: float) -> int:
            return max(1, round(seconds * rate / self._size))

        self._start = frames(params.start_seconds)
        self._stop = frames(params.stop_seconds)
        self._pre_roll = round(params.pre_roll_seconds * rate / self._size)
        self._longest = int(params.max_utterance_seconds * rate / self._size)  # never above it
        self._cut_after = frames(params.max_utterance_seconds * params.cut_after)
        self._cut_pause = frames(params.cut_pause_seconds)
        self._piece = frames(CONTINUED_SECONDS)

        self.state = VadState.QUIET
        self._origin: float | None = None  # s, audio clock of sample 0
        self._decided = 0  # samples that the detector has decided upon
        self._undecided: Pcm = np.empty(0, np.int16)
        # QUIET: the pre-roll. Otherwise everything since the start of the utterance.
        self._kept: deque[Pcm] = deque(maxlen=self._pre_roll)
        self._given = 0  # frames of the utterance already handed out
        self._voiced = 0  # frames
        self._unvoiced_run = 0  # frames since the last voiced one
        self._fresh = False  # just cut for its length: the next voiced frame opens at once

    @property
    def t(self) -> float:
        """s, audio clock up to which everything is decided."""
        return self._time(self._decided)

    def push(self, frame: Frame) -> list[Endpoint]:
        """Take the next audio of the leg, of any length.

        A hole before it (audio lost on the line) closes an open utterance.

        Raises:
            ValueError: another rate, or audio that was already there.
        """
        if frame.rate != self._rate:
            raise ValueError(f"expected {self._rate} Hz, got {frame.rate}")
        events: list[Endpoint] = []
        if self._origin is None:
            self._origin = frame.start
        expected = self._time(self._decided + len(self._undecided))
        if abs(frame.start - expected) > 0.001:
            if frame.start < expected:
                raise ValueError(f"audio from {frame.start:.3f} s again, at {expected:.3f} s")
            events += self.flush()
            self._origin, self._decided = frame.start, 0
        decisions = self._detector.push(frame.pcm)
        waiting = np.concatenate((self._undecided, frame.pcm))
        for number, decision in enumerate(decisions):
            at = number * self._size
            self._decided += self._size
            self._step(waiting[at : at + self._size], decision.speech, events)
        self._undecided = waiting[len(decisions) * self._size :]
        return events

    def flush(self, t: float | None = None) -> list[Endpoint]:
        """End of the audio: close what is open, and start afresh.

        Args:
            t: s, audio clock; when it became known; by default the end of the audio.
        """
        events: list[Endpoint] = []
        rest, self._undecided = self._undecided, np.empty(0, np.int16)
        self._decided += len(rest)
        now = self.t if t is None else t
        if self._is_open:
            if len(rest):
                self._kept.append(rest)
                self._unvoiced_run += 1  # too short to be decided: no speech
            self._close(CloseReason.FLUSH, now, events, rest=len(rest))
        self._quiet()
        self._kept.clear()
        self._detector.reset()
        return events

    @property
    def _is_open(self) -> bool:
        return self.state in (VadState.SPEAKING, VadState.STOPPING)

    def _time(self, samples: int) -> float:
        return (self._origin or 0.0) + samples / self._rate

    def _step(self, pcm: Pcm, speech: bool, events: list[Endpoint]) -> None:
        """Take one decided frame through the state machine."""
        if speech and self.state is VadState.QUIET:
            self.state = VadState.STARTING
            self._kept = deque(self._kept)  # unbounded from now on, until it closes
        self._kept.append(pcm)
        self._voiced += speech
        self._unvoiced_run = 0 if speech else self._unvoiced_run + 1
        match self.state:
            case VadState.QUIET:
                self._fresh = self._fresh and self._unvoiced_run < self._pre_roll
            case VadState.STARTING:
                if self._fresh or self._voiced >= self._start:
                    self._fresh = False
                    self._open(events)
                elif self._unvoiced_run >= self._start:
                    self._quiet()
            case VadState.SPEAKING | VadState.STOPPING:
                self.state = VadState.SPEAKING if speech else VadState.STOPPING
                self._go_on(events)

    def _open(self, events: list[Endpoint]) -> None:
        self.state = VadState.SPEAKING
        self._given = len(self._kept)
        pcm = np.concatenate(self._kept)
        events.append(Opened(self._time(self._decided - len(pcm)), self.t, pcm))

    def _go_on(self, events: list[Endpoint]) -> None:
        length = len(self._kept)
        if self._unvoiced_run >= self._stop:
            self._close(CloseReason.ENDPOINT, self.t, events)
            while len(self._kept) > self._unvoiced_run:  # no speech twice, if the pause is short
                self._kept.popleft()
            self._quiet()
        elif length >= self._longest or (
            length >= self._cut_after and self._unvoiced_run >= self._cut_pause
        ):
            self._close(CloseReason.MAX_LENGTH, self.t, events)
            self._quiet()
            self._kept.clear()
            self._fresh = True
        elif length - self._given >= self._piece:
            self._give(self.t, events)

    def _give(self, t: float, events: list[Endpoint]) -> None:
        """Hand out what has not been handed out of the open utterance."""
        new = [self._kept[i] for i in range(self._given, len(self._kept))]
        if new:
            pcm = np.concatenate(new)
            events.append(Continued(self._time(self._decided - len(pcm)), t, pcm))
            self._given = len(self._kept)

    def _close(
        self, reason: CloseReason, t: float, events: list[Endpoint], *, rest: int = 0
    ) -> None:
        self._give(self.t, events)
        pcm = np.concatenate(self._kept)
        silence = self._unvoiced_run * self._size - (self._size - rest if rest else 0)
        start, end = self._time(self._decided - len(pcm)), self._time(self._decided - silence)
        seconds = self._voiced * self._size / self._rate
        events.append(Closed(start, end, t, pcm, seconds, reason))

    def _quiet(self) -> None:
        """Back to QUIET; what was last heard is the pre-roll of the next utterance."""
        self.state = VadState.QUIET
        self._kept = deque(self._kept, maxlen=self._pre_roll)
        self._voiced = self._unvoiced_run = self._given = 0
