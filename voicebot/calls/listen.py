"""One call through the real pipeline, faster than real time, with everything noted.

Finding the utterances costs more than scoring them, and does not depend on the emotion models.
So it is done once (:func:`find_utterances`), and a call is given its utterances the next time.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

from voicebot.audio.source import BLOCK_SECONDS
from voicebot.call import Call
from voicebot.calls.record import Facts, Heard, Observation
from voicebot.config import Config
from voicebot.emotion.acoustic import AcousticModel
from voicebot.emotion.listener import CallerEmotion, EmotionParams, Reading
from voicebot.emotion.snr import MIN_DB
from voicebot.engine import Engine
from voicebot.events import Event, Final, Frame, Leg, Pcm
from voicebot.speech.endpointing import Closed, CloseReason, Endpoint, Endpointer, Opened
from voicebot.speech.vad import open_detector


@dataclass(frozen=True, slots=True)
class Utterance:
    """Where an utterance lies."""

    opened: float
    """s, audio clock at which it was sure that somebody speaks"""
    start: float
    """s"""
    end: float
    """s; end of speech"""
    t: float
    """s, audio clock at which it was over"""
    speech_seconds: float
    """s of voiced frames"""
    samples: int
    """length with the hang-over"""


def find_utterances(config: Config, pcm: Pcm, rate: int) -> tuple[Utterance, ...]:
    """Find the utterances of a caller's leg as a call would.

    Args:
        config: Voice activity and endpointing.
        pcm: The caller's leg.
        rate: Hz.
    """
    endpointer = _NotingEndpointer(
        Endpointer(open_detector(config.vad, rate), config.endpointing, rate)
    )
    end = 0.0
    for frame in _blocks(pcm, rate):
        endpointer.push(frame)
        end = frame.end
    endpointer.flush(end)
    return endpointer.utterances


def hear(
    engine: Engine,
    acoustic: AcousticModel,
    facts: Facts,
    pcm: Pcm,
    rate: int,
    utterances: Sequence[Utterance] | None = None,
    emit: Callable[[Event], None] = lambda event: None,
) -> Heard:
    """Run a caller's leg through the pipeline.

    Args:
        engine: Settings and models; see :func:`settled_only`.
        acoustic: The model to listen with, in place of the engine's own.
        facts: What is known of the call.
        pcm: The caller's leg.
        rate: Hz.
        utterances: From :func:`find_utterances` with the same settings; None to find them. A
            recogniser needs them found, for it is given the audio as it comes.
        emit: Takes the events.

    Raises:
        ModelError: a model fails.
    """
    stages = engine.stages((Leg.CALLER,), rate)
    emotion = _NotingEmotion(acoustic, engine)
    found = (
        stages.endpointers[Leg.CALLER] if utterances is None
        else cast(Endpointer, _KnownUtterances(utterances, pcm, rate))
    )  # fmt: skip
    endpointer = _NotingEndpointer(found)
    call = Call(
        engine.started("assembled", (Leg.CALLER,), rate),
        replace(
            stages,
            endpointers={Leg.CALLER: cast(Endpointer, endpointer)},
            emotion=emotion,
            shadow=None,
        ),
        emit,
    )
    call.start()
    for frame in _blocks(pcm, rate):
        call.push({Leg.CALLER: frame})
    call.end("end_of_audio")
    seen = zip(endpointer.utterances, emotion.heard, strict=True)
    return Heard(facts, tuple(_observation(facts, *one) for one in seen))


def settled_only(config: Config) -> Config:
    """The settings without running windows: nothing is ever decided upon those."""
    windows = {**config.emotion.windows.model_dump(), "hop_seconds": 0.0}
    emotion = EmotionParams.model_validate({**config.emotion.model_dump(), "windows": windows})
    return config.model_copy(update={"emotion": emotion})


def _blocks(pcm: Pcm, rate: int) -> Iterator[Frame]:
    """The leg as a source would give it."""
    size = round(BLOCK_SECONDS * rate)
    for at in range(0, len(pcm), size):
        yield Frame(pcm[at : at + size], rate, at / rate)


class _NotingEndpointer:
    """Notes where utterances begin and end."""

    def __init__(self, inner: Endpointer) -> None:
        self._inner = inner
        self._opened = 0.0
        self._found: list[Utterance] = []

    @property
    def utterances(self) -> tuple[Utterance, ...]:
        return tuple(self._found)

    def push(self, frame: Frame) -> list[Endpoint]:
        return self._noted(self._inner.push(frame))

    def flush(self, t: float | None = None) -> list[Endpoint]:
        return self._noted(self._inner.flush(t))

    def _noted(self, happenings: list[Endpoint]) -> list[Endpoint]:
        for happening in happenings:
            if isinstance(happening, Opened):
                self._opened = happening.t
            elif isinstance(happening, Closed):
                h = happening
                self._found.append(
                    Utterance(self._opened, h.start, h.end, h.t, h.speech_seconds, len(h.pcm))
                )
        return happenings


class _KnownUtterances:
    """An endpointer that knows beforehand what it will find."""

    def __init__(self, utterances: Sequence[Utterance], pcm: Pcm, rate: int) -> None:
        self._pcm, self._rate = pcm, rate
        happenings = [h for one in utterances for h in self._happenings(one)]
        self._next = deque(happenings)

    def push(self, frame: Frame) -> list[Endpoint]:
        return self._until(frame.end)

    def flush(self, t: float | None = None) -> list[Endpoint]:
        return self._until(math.inf)

    def _until(self, t: float) -> list[Endpoint]:
        due: list[Endpoint] = []
        while self._next and self._next[0].t <= t:
            due.append(self._next.popleft())
        return due

    def _happenings(self, one: Utterance) -> tuple[Opened, Closed]:
        begin = round(one.start * self._rate)
        pcm = self._pcm[begin : begin + one.samples]
        return Opened(one.start, one.opened, pcm[:0]), Closed(
            one.start, one.end, one.t, pcm, one.speech_seconds, CloseReason.ENDPOINT
        )


class _NotingEmotion(CallerEmotion):
    """Notes what was made of each finished utterance."""

    def __init__(self, acoustic: AcousticModel, engine: Engine) -> None:
        super().__init__(acoustic, engine.text, engine.config.emotion)
        self.heard: list[tuple[Reading, float]] = []
        """reading, and the recogniser's confidence in its words"""

    def settled(
        self,
        pcm: Pcm,
        rate: int,
        speech_seconds: float,
        final: Final | None,
        concealed: float = 0.0,
    ) -> Reading:
        reading = super().settled(pcm, rate, speech_seconds, final, concealed)
        self.heard.append((reading, final.confidence if final else 0.0))
        return reading


def _observation(facts: Facts, u: Utterance, heard: tuple[Reading, float]) -> Observation:
    reading, confidence = heard
    voice = reading.voice
    return Observation(
        opened=u.opened, start=u.start, end=u.end, t=u.t,
        speech_seconds=u.speech_seconds, fused=reading.fused,
        voice=voice.score if voice else None, words=reading.words,
        snr_db=voice.snr_db if voice else MIN_DB, confidence=confidence,
        abstained=",".join(reading.abstained),
        angry_share=facts.angry_share(u.start, u.end),
    )  # fmt: skip
