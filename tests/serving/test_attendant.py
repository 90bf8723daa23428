from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import structlog

from tests.serving.fakes import ANGRY, FakeLine, Maker, offer, tone
from tests.serving.test_prompts import record
from tests.waiting import until
from voicebot.events import (
    Action,
    Alert,
    CallEnded,
    EscalationState,
    Event,
    Leg,
    Severity,
    State,
    Transfer,
    UtteranceStarted,
)
from voicebot.serving.attendant import CallAttendant
from voicebot.serving.exchange import EngineParams, Exchange
from voicebot.serving.handover import HandoverParams
from voicebot.serving.live_call import LiveCall
from voicebot.serving.prompts import Prompts, PromptsParams
from voicebot.serving.workers import WorkerPool
from voicebot.telephony.line import TRANSFERRED, TransferResult

R = TransferResult


class Scene:
    """One call with its attendant; events of its stages are put in by hand."""

    def __init__(
        self, folder: Path, line: FakeLine, *, barge_in: bool = True, **handover: Any
    ) -> None:
        for name in ("soothe", "connect", "unavailable"):
            record(folder / "en", name, 8000, {"soothe": 0.3, "connect": 0.4}.get(name, 0.5))
        self.line = line
        self.events: list[Event] = []
        self._params = HandoverParams(
            **{"targets": ["one"], "announce_seconds": 0.0, "rounds": 1, **handover}
        )
        self._barge_in = barge_in
        self._prompts = Prompts(PromptsParams(folder=str(folder)), "en")
        self._pool = WorkerPool(1)
        self._exchange = Exchange(
            Maker(), self._pool, EngineParams(), self._attend, self.events.append
        )
        self.live = self._exchange.receive(offer(called="100"), line)
        line.ear = self.live

    def _attend(self, live: LiveCall) -> CallAttendant:
        self.attendant = CallAttendant(live, self._params, self._prompts, barge_in=self._barge_in)
        return self.attendant

    def rises(self) -> None:
        self.attendant.event(
            State(
                call_id="c", leg=None, t=1.0, previous=EscalationState.CALM,
                state=EscalationState.RISING, evidence=0.5, reason="anger_rising",
            )
        )  # fmt: skip

    def alert(self, reason: str = "persistent_anger", *, update: bool = False) -> None:
        self.attendant.event(
            Alert(
                call_id="c", leg=Leg.CALLER, t=2.0, alert_id="a1", severity=Severity.CRITICAL,
                reason=reason, evidence=(), update=update,
            )
        )  # fmt: skip

    def speaks(self) -> None:
        self.attendant.event(
            UtteranceStarted(call_id="c", leg=Leg.CALLER, t=1.5, utterance=2, start=1.4)
        )

    @property
    def spoken(self) -> list[float]:
        """s of each prompt that was played, in order."""
        return [len(pcm) / 8000 for pcm in self.line.played]

    def transfers(self) -> list[str]:
        return [e.result for e in self.events if isinstance(e, Transfer)]

    async def over(self) -> None:
        self.live.ended("hangup")
        await until(lambda: any(isinstance(e, CallEnded) for e in self.events))
        self._exchange.close()
        self._pool.close()


def test_a_caller_who_loses_patience_is_soothed(tmp_path: Path) -> None:
    async def story() -> None:
        scene = Scene(tmp_path, FakeLine())
        scene.rises()
        await until(lambda: bool(scene.line.played))
        await scene.over()
        assert scene.spoken == [0.3]
        (said,) = [e for e in scene.events if isinstance(e, Action) and e.action == "prompt"]
        assert said.detail == "soothe, 0.3 s"

    asyncio.run(story())


def test_a_caller_who_speaks_is_not_talked_over(tmp_path: Path) -> None:
    async def story() -> None:
        scene = Scene(tmp_path, FakeLine(play_seconds=5.0))
        scene.rises()
        await until(lambda: bool(scene.line.played))
        scene.speaks()
        await until(lambda: scene.line.stopped == 1)
        await scene.over()

    asyncio.run(story())


def test_soothing_goes_on_over_a_caller_who_speaks_where_that_is_wanted(tmp_path: Path) -> None:
    async def story() -> None:
        scene = Scene(tmp_path, FakeLine(play_seconds=0.1), barge_in=False)
        scene.rises()
        await until(lambda: bool(scene.line.played))
        scene.speaks()
        await asyncio.sleep(0.15)
        await scene.over()
        assert scene.line.stopped == 0

    asyncio.run(story())


def test_an_alert_hands_over_with_a_briefing(tmp_path: Path) -> None:
    async def story() -> None:
        url = "https://desk/{alert_id}"
        scene = Scene(tmp_path, FakeLine([R.DONE]), briefing_url=url)
        scene.alert()
        await until(lambda: scene.transfers() == ["started", "done"])
        scene.alert(update=True)
        await scene.over()
        assert scene.spoken == [0.4]
        ((target, briefing),) = scene.line.asked
        assert (target, briefing.alert_id, briefing.url) == ("one", "a1", "https://desk/a1")
        assert scene.transfers() == ["started", "done"], "whoever took the caller keeps it"

    asyncio.run(story())


def test_the_log_names_the_queue(tmp_path: Path) -> None:
    async def story() -> None:
        hotline = [{"name": "hotline", "called": ["100"], "targets": ["two"]}]
        scene = Scene(tmp_path, FakeLine([R.BUSY, R.DONE]), again_seconds=0.0, queues=hotline)
        scene.alert()
        await until(lambda: scene.transfers() == ["started", "busy"])
        await until(lambda: len(scene.spoken) == 2)
        scene.alert(update=True)
        await until(lambda: scene.transfers()[-1] == "done")
        await scene.over()
        assert [target for target, _ in scene.line.asked] == ["two", "two"]

    with structlog.testing.capture_logs() as logs:
        asyncio.run(story())
    queues = {entry["event"]: entry["queue"] for entry in logs if "queue" in entry}
    assert queues == {"nobody_took_the_caller": "hotline", "caller_handed_over": "hotline"}


def test_where_nobody_takes_the_caller_the_caller_is_told(tmp_path: Path) -> None:
    async def story() -> None:
        scene = Scene(tmp_path, FakeLine([R.BUSY, R.DONE]), again_seconds=0.0)
        scene.alert()
        await until(lambda: scene.spoken == [0.4, 0.5])
        scene.alert(update=True)
        await until(lambda: scene.transfers() == ["started", "busy", "started", "done"])
        await scene.over()

    asyncio.run(story())


def test_nobody_is_asked_again_too_soon(tmp_path: Path) -> None:
    async def story() -> None:
        scene = Scene(tmp_path, FakeLine([R.BUSY]), again_seconds=100.0)
        scene.alert()
        await until(lambda: scene.spoken == [0.4, 0.5])
        scene.alert(update=True)
        await asyncio.sleep(0.02)
        await scene.over()
        assert len(scene.line.asked) == 1

    asyncio.run(story())


def test_the_prompt_is_heard_before_the_transfer_begins(tmp_path: Path) -> None:
    async def story() -> None:
        scene = Scene(tmp_path, FakeLine([R.DONE], play_seconds=0.1), announce_seconds=1.0)
        scene.alert()
        await until(lambda: bool(scene.line.played))
        assert scene.line.asked == []
        await until(lambda: bool(scene.line.asked))
        await scene.over()

    asyncio.run(story())


def test_a_long_prompt_holds_up_the_transfer_no_longer_than_it_may(tmp_path: Path) -> None:
    async def story() -> None:
        scene = Scene(tmp_path, FakeLine([R.DONE], play_seconds=5.0), announce_seconds=0.05)
        scene.alert()
        await until(lambda: bool(scene.line.asked), 1.0)
        assert scene.spoken == [0.4]
        await scene.over()

    asyncio.run(story())


def test_only_the_reasons_that_are_wanted_hand_over(tmp_path: Path) -> None:
    async def story() -> None:
        scene = Scene(tmp_path, FakeLine([R.DONE]), reasons=["asks_for_human"])
        scene.alert("persistent_anger")
        scene.alert("asks_for_human", update=True)
        await until(lambda: scene.transfers() == ["started", "done"])
        await scene.over()
        assert scene.line.asked[0][1].reason == "asks_for_human"

    asyncio.run(story())


def test_without_targets_there_is_no_transfer(tmp_path: Path) -> None:
    async def story() -> None:
        scene = Scene(tmp_path, FakeLine(), targets=[])
        scene.alert()
        await asyncio.sleep(0.02)
        await scene.over()
        assert scene.line.asked == [] and scene.spoken == []

    asyncio.run(story())


def test_the_end_of_the_call_is_the_end_of_the_attempt(tmp_path: Path) -> None:
    class Ringing(FakeLine):
        async def transfer(self, target: str, briefing: Any) -> Any:
            await asyncio.sleep(100)

    async def story() -> None:
        for reason, result in ((TRANSFERRED, "done"), ("hangup", "gone")):
            scene = Scene(tmp_path, Ringing())
            scene.alert()
            await until(lambda scene=scene: scene.transfers() == ["started"])  # type: ignore[misc]
            scene.live.ended(reason)
            await scene.over()
            assert scene.transfers() == ["started", result]
            assert isinstance(scene.events[-1], CallEnded)
            await asyncio.sleep(0.01)

    asyncio.run(story())


def test_a_line_that_cannot_be_spoken_to_is_not(tmp_path: Path) -> None:
    async def story() -> None:
        scene = Scene(tmp_path, FakeLine([R.UNSUPPORTED], can_speak=False))
        scene.rises()
        scene.alert()
        await until(lambda: scene.transfers() == ["started", "unsupported"])
        await scene.over()
        assert scene.spoken == []

    asyncio.run(story())


def test_real_anger_leads_to_a_transfer(tmp_path: Path) -> None:
    async def story() -> None:
        scene = Scene(tmp_path, FakeLine([R.DONE]))
        for _ in range(4):
            for _ in range(4):
                scene.live.audio(Leg.CALLER, tone(1.0, ANGRY))
            scene.live.audio(Leg.CALLER, tone(1.5))
            await asyncio.sleep(0.1)
        await until(lambda: scene.transfers() == ["started", "done"])
        await scene.over()

    asyncio.run(story())


def test_nobody_talks_over_a_human_who_has_taken_the_caller(tmp_path: Path) -> None:
    """After a bridge the call is still heard, and its states come on."""

    async def story() -> None:
        scene = Scene(tmp_path, FakeLine([R.DONE], play_seconds=5.0))
        scene.alert()
        await until(lambda: scene.transfers() == ["started", "done"])
        await until(lambda: scene.line.stopped == 1)
        scene.rises()
        await asyncio.sleep(0.02)
        await scene.over()
        assert scene.spoken == [0.4]

    asyncio.run(story())
