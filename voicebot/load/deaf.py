"""``voicebot serve`` without ears: signalling and media alone, to see what they cost.

Started by the measurement as ``python -m voicebot.load.deaf``; configured as the
daemon is, by environment.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from voicebot import config
from voicebot.call import Call, Stages
from voicebot.emotion.listener import CallerEmotion
from voicebot.escalation.actions import Responder
from voicebot.escalation.rules import RuleMatcher, RulesParams
from voicebot.events import CallStarted, Event, Frame, Leg
from voicebot.serving.daemon import Daemon
from voicebot.serving.gateways import open_gateways
from voicebot.serving.prompts import Prompts, PromptsParams


class DeafCall(Call):
    """A call whose audio is taken and not listened to."""

    def push(self, block: Mapping[Leg, Frame]) -> None:
        """Let the time of a block pass."""
        self._t = max(frame.end for frame in block.values())


class DeafMaker:
    """Makes such calls."""

    def __init__(self, settings: config.Config) -> None:
        self._settings = settings
        self._responder = Responder(settings.actions, "none")
        self._rules = RuleMatcher(RulesParams())

    def call(
        self, source: str, legs: Sequence[Leg], rate: int, emit: Callable[[Event], None]
    ) -> Call:
        """A new call; see :meth:`voicebot.engine.Engine.call`."""
        started = CallStarted(
            call_id=uuid.uuid4().hex, leg=None, t=0.0, source=source, legs=tuple(legs), rate=rate,
            language="none", engine="none", started_at="", version="",
        )  # fmt: skip
        stages = Stages(
            endpointers={}, speech=None, second_pass=None,
            emotion=CallerEmotion(None, None, self._settings.emotion),
            rules=self._rules, escalation=self._settings.escalation,
            responder=self._responder,
        )  # fmt: skip
        return DeafCall(started, stages, emit)


async def _run() -> None:
    settings = config.load()
    daemon = Daemon(
        DeafMaker(settings),
        settings.engine,
        settings.handover,
        Prompts(PromptsParams(enabled=False), "none"),
        barge_in=False,
        open_gateways=partial(open_gateways, settings),
        record=lambda event: None,
        ready=lambda gateways: print("ready:", file=sys.stderr, flush=True),  # noqa: T201
    )
    await daemon.run()


if __name__ == "__main__":
    asyncio.run(_run())
