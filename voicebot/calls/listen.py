"""One call through the real pipeline, faster than real time, with everything noted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
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
from voicebot.speech.endpointing import Closed, Endpoint, Endpointer, Opened


def hear(
    engine: Engine,
    acoustic: AcousticModel,
    facts: Facts,
    pcm: Pcm,
    rate: int,
    emit: Callable[[Event], None] = lambda event: None,
) -> Heard:
    """Run a caller's leg through the pipeline.

    Args:
        engine: Settings and models; see :func:`settled_only`.
        acoustic: The model to listen with, in place of the engine's own.
        facts: What is known of the call.
        pcm: The caller's leg.
        rate: Hz.
        emit: Takes the events.

    Raises:
        ModelError: a model fails.
    """
    stages = engine.stages((Leg.CALLER,), rate)
    emotion = _NotingEmotion(acoustic, engine)
    endpointer = _NotingEndpointer(stages.endpointers[Leg.CALLER])
    call = Call(
        engine.started("assembled", (Leg.CALLER,), rate),
        replace(stages, endpointers={Leg.CALLER: cast(Endpointer, endpointer)}, emotion=emotion),
        emit,
    )
    call.start()
    for frame in _blocks(pcm, rate):
        call.push({Leg.CALLER: frame})
    call.end("end_of_audio")
    seen = zip(endpointer.opened, endpointer.closed, emotion.heard, strict=True)
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
        self.opened: list[float] = []
        self.closed: list[Closed] = []

    def push(self, frame: Frame) -> list[Endpoint]:
        return self._noted(self._inner.push(frame))

    def flush(self, t: float | None = None) -> list[Endpoint]:
        return self._noted(self._inner.flush(t))

    def _noted(self, happenings: list[Endpoint]) -> list[Endpoint]:
        for happening in happenings:
            if isinstance(happening, Opened):
                self.opened.append(happening.t)
            elif isinstance(happening, Closed):
                # Its audio is not needed any more, and a call holds minutes of it.
                self.closed.append(replace(happening, pcm=happening.pcm[:0]))
        return happenings


class _NotingEmotion(CallerEmotion):
    """Notes what was made of each finished utterance."""

    def __init__(self, acoustic: AcousticModel, engine: Engine) -> None:
        super().__init__(acoustic, engine.text, engine.config.emotion)
        self.heard: list[tuple[Reading, float]] = []
        """reading, and the recogniser's confidence in its words"""

    def settled(self, pcm: Pcm, rate: int, speech_seconds: float, final: Final | None) -> Reading:
        reading = super().settled(pcm, rate, speech_seconds, final)
        self.heard.append((reading, final.confidence if final else 0.0))
        return reading


def _observation(
    facts: Facts, opened: float, closed: Closed, heard: tuple[Reading, float]
) -> Observation:
    reading, confidence = heard
    voice = reading.voice
    return Observation(
        opened=opened, start=closed.start, end=closed.end, t=closed.t,
        speech_seconds=closed.speech_seconds, score=reading.score,
        voice=voice.score if voice else None, words=reading.words,
        snr_db=voice.snr_db if voice else MIN_DB, confidence=confidence,
        abstained=",".join(reading.abstained),
        angry_share=facts.angry_share(closed.start, closed.end),
    )  # fmt: skip
