from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.waiting import until
from voicebot.telephony.line import LineError
from voicebot.telephony.pbx_connection import ConnectionState, PbxConnection


class Scripted(PbxConnection[str]):
    """A connection whose attempts are scripted."""

    def __init__(self, *attempts: Callable[[Scripted], str]) -> None:
        super().__init__("pbx", 0.001, 0.004)
        self.attempts = list(attempts)
        self.done = 0

    @property
    def _host(self) -> str:
        return "127.0.0.1:1"

    async def _converse(self) -> str:
        if self.done == len(self.attempts):
            await asyncio.Event().wait()
        self.done += 1
        return self.attempts[self.done - 1](self)

    def refuse(self) -> str:
        self._refusal = LineError("wrong password")
        return "refused"

    def up_and_down(self) -> str:
        self._is_up()
        assert self.state is ConnectionState.UP
        for word in ("one", "two"):
            self._tell(word, word)
        return "gone"


def test_it_is_tried_again_and_again() -> None:
    async def story() -> None:
        down: Callable[[Scripted], str] = lambda _: "connection refused"  # noqa: E731
        pbx = Scripted(down, down, Scripted.up_and_down, down)
        assert pbx.state.value == "closed"
        await pbx.start()
        assert pbx.counters == {"pbx_unreachable": 1}, "the first attempt is over"
        await until(lambda: pbx.done == 4 and pbx.state is ConnectionState.CONNECTING)
        assert pbx.counters == {"pbx_unreachable": 1, "pbx_lost": 3}
        await pbx.start()
        await pbx.close()
        await pbx.close()
        assert pbx.state is ConnectionState.CLOSED

    asyncio.run(story())


def test_the_pause_doubles_up_to_the_longest_and_begins_anew_once_it_was_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    async def story() -> None:
        down: Callable[[Scripted], str] = lambda _: "connection refused"  # noqa: E731
        pbx = Scripted(down, down, down, down, Scripted.up_and_down)
        with monkeypatch.context() as patched:
            patched.setattr("voicebot.telephony.pbx_connection.asyncio.sleep", noted)
            await pbx.start()
            while pbx.done < 5:
                await sleep(0)
            await sleep(0)
            await pbx.close()

    asyncio.run(story())
    for pause, full in zip(pauses, (0.001, 0.002, 0.004, 0.004, 0.001), strict=True):
        assert 0.75 * full <= pause <= full


def test_one_that_is_refused_says_so_and_may_be_started_again() -> None:
    async def story() -> None:
        pbx = Scripted(Scripted.refuse, Scripted.up_and_down)
        with pytest.raises(LineError, match="wrong password"):
            await pbx.start()
        assert pbx.state is ConnectionState.CLOSED
        await pbx.start()
        await pbx.close()

    asyncio.run(story())


def test_a_listener_that_fails_costs_the_others_nothing() -> None:
    async def story() -> None:
        pbx = Scripted(Scripted.up_and_down)
        heard: list[str] = []

        def fail(event: str) -> None:
            raise RuntimeError("broken")

        pbx.listen(fail)
        pbx.listen(heard.append)
        stop = pbx.listen(lambda event: pytest.fail("was to hear no more"))
        stop()
        stop()
        await pbx.start()
        await pbx.close()
        assert heard == ["one", "two"]
        assert pbx.counters["pbx_defect"] == 2

    asyncio.run(story())
