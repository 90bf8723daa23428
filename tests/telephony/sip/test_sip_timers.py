from __future__ import annotations

import asyncio

from tests.telephony.sip_help import run_at_once
from voicebot.telephony.sip.sip_timers import Timers, Times, where


def test_repeating_doubles_up_to_the_longest() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        begun, at, timers = loop.time(), [], Timers()
        timers.repeat("A", 0.5, 4.0, lambda: at.append(round(loop.time() - begun, 3)))
        await asyncio.sleep(16)
        timers.stop("A", "B")
        await asyncio.sleep(10)
        assert at == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5]

    run_at_once(scene())


def test_a_timer_started_again_is_one() -> None:
    async def scene() -> None:
        fired: list[int] = []
        timers = Timers()
        timers.start("A", 1.0, lambda: fired.append(1))
        timers.start("A", 2.0, lambda: fired.append(2))
        timers.start("B", 1.0, lambda: fired.append(3))
        await asyncio.sleep(5)
        assert fired == [3, 2]
        timers.start("A", 1.0, lambda: fired.append(1))
        timers.stop_all()
        await asyncio.sleep(5)
        assert fired == [3, 2]

    run_at_once(scene())


def test_the_values_of_table_4() -> None:
    assert Times().timeout == 32.0


def test_where() -> None:
    try:
        raise KeyError("secret")
    except KeyError as error:
        assert where(error).startswith("KeyError at test_sip_timers.py:")
    assert where(ValueError("secret")) == "ValueError"
