"""What a call costs: CPU time by stage, on this machine, per second of audio."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from voicebot.audio.source import AudioSource
from voicebot.call import Call, Stages
from voicebot.config import Config
from voicebot.emotion.listener import CallerEmotion
from voicebot.engine import Engine
from voicebot.escalation.webhook import WebhookParams
from voicebot.events import Event

STAGES = ("source", "vad", "stt", "acoustic", "text", "rules", "rest")
"""Every CPU second belongs to one of these; ``rest`` is what no other claims: the call's own
bookkeeping, fusion, evidence, policy and writing events as JSON."""


@dataclass(frozen=True)
class StageCost:
    """CPU time of one stage over one call."""

    stage: str
    cpu_seconds: float
    calls: int
    longest_ms: float
    """ms of CPU of its longest single call"""


@dataclass(frozen=True)
class PipelineCost:
    """CPU time of one call, all stages."""

    audio_seconds: float
    """length of the call"""
    legs: int
    stages: tuple[StageCost, ...]
    load_seconds: float
    """CPU s to load the models"""
    wall_seconds: float
    """of the run, models loaded"""
    rss_mb: float
    """MB, peak of the process"""

    def percent_of_core(self, stage: str) -> float:
        """CPU time of a stage per second of audio and leg, in percent of one core."""
        seconds = sum(s.cpu_seconds for s in self.stages if s.stage == stage)
        return 100 * seconds / (self.audio_seconds * self.legs)

    @property
    def without_stt(self) -> float:
        """Percent of one core per leg for everything but speech-to-text."""
        return sum(self.percent_of_core(s.stage) for s in self.stages if s.stage != "stt")


class Meter:
    """Adds up CPU time (all threads of the process) by stage; nested stages are not doubled."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self.calls = dict.fromkeys(STAGES, 0)
        self.longest = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Charge the CPU time of the block to ``stage``."""
        began = time.process_time()
        try:
            yield
        finally:
            spent = time.process_time() - began
            self.seconds[stage] += spent
            self.calls[stage] += 1
            self.longest[stage] = max(self.longest[stage], spent)

    def proxy(self, inner: Any, stage: str) -> Any:
        """An object that behaves as ``inner`` and charges its methods to ``stage``."""
        return _Metered(inner, stage, self) if inner is not None else None


class _Metered:
    def __init__(self, inner: Any, stage: str, meter: Meter) -> None:
        self._inner, self._stage, self._meter = inner, stage, meter

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def measured(*args: Any, **kwargs: Any) -> Any:
            with self._meter.measure(self._stage):
                result = found(*args, **kwargs)
            # A lease of a recogniser works on the stage's account, too.
            return self._meter.proxy(result, self._stage) if hasattr(result, "accept") else result

        return measured


def metered(stages: Stages, engine: Engine, meter: Meter) -> Stages:
    """The stages of a call with a meter on each."""
    return replace(
        stages,
        endpointers={leg: meter.proxy(e, "vad") for leg, e in stages.endpointers.items()},
        speech=meter.proxy(stages.speech, "stt"),
        second_pass=meter.proxy(stages.second_pass, "stt"),
        emotion=CallerEmotion(
            meter.proxy(engine.acoustic, "acoustic"),
            meter.proxy(engine.text, "text"),
            engine.config.emotion,
        ),
        rules=meter.proxy(stages.rules, "rules"),
    )


def silent(config: Config) -> Config:
    """The configuration without a webhook: a benchmark must not alert anybody."""
    actions = config.actions.model_copy(update={"webhook": WebhookParams()})
    return config.model_copy(update={"actions": actions})


def measure(engine: Engine, source: AudioSource, load_seconds: float) -> PipelineCost:
    """Run one call as fast as the machine can and say what each stage cost.

    Args:
        engine: Models, loaded.
        source: The call; read to its end.
        load_seconds: CPU s that loading the engine took, to be reported beside.
    """
    meter = Meter()
    stages = metered(engine.stages(source.legs, source.rate), engine, meter)
    lines: list[str] = []

    def emit(event: Event) -> None:
        lines.append(event.to_json())

    call = Call(engine.started(source.name, source.legs, source.rate), stages, emit)
    wall, cpu = time.perf_counter(), time.process_time()
    call.start()
    blocks = source.blocks()
    seconds = 0.0
    while True:
        with meter.measure("source"):
            block = next(blocks, None)
        if block is None:
            break
        seconds = max(frame.end for frame in block.values())
        call.push(block)
    call.end("end_of_audio")
    spent = time.process_time() - cpu
    meter.seconds["rest"] = max(0.0, spent - sum(meter.seconds.values()))
    meter.calls["rest"] = len(lines)
    return PipelineCost(
        audio_seconds=seconds,
        legs=len(source.legs),
        stages=tuple(
            StageCost(s, meter.seconds[s], meter.calls[s], 1000 * meter.longest[s]) for s in STAGES
        ),
        load_seconds=load_seconds,
        wall_seconds=time.perf_counter() - wall,
        rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )
