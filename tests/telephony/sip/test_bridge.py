"""Two legs joined, and parted again."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from tests.telephony.receiving import Heard, tone
from tests.telephony.sip.test_leg_media import NARROW, OFFER, WIDE, agree, legs, needs_g722
from tests.waiting import until
from voicebot.events import Leg
from voicebot.telephony.media.media_session import MediaParams
from voicebot.telephony.sip.bridge import Bridge
from voicebot.telephony.sip.leg_media import LegMedia


def listen(leg: LegMedia) -> Heard:
    ear = Heard(leg.describe(OFFER), None)  # type: ignore[arg-type]
    leg.begin(ear)
    return ear


@pytest.mark.parametrize("other", [NARROW, pytest.param(WIDE, marks=needs_g722)])
def test_both_sides_hear_each_other(other: MediaParams) -> None:
    """Wideband on one side is resampled."""

    async def scene() -> None:
        async with legs(NARROW, NARROW, other, other) as (caller, ours, agents, agent):
            await agree(caller, ours)
            await agree(agents, agent)
            at_caller, at_agent, middle = listen(caller), listen(agent), listen(ours)
            bridge = Bridge(ours, agents)
            bridge.join()
            await asyncio.gather(
                caller.play(tone(0.5, hertz=500.0)), agent.play(tone(0.5, agent.rate, 1500.0))
            )
            await until(lambda: len(at_agent.pcm()) > 0.3 * agent.rate)
            await until(lambda: len(at_caller.pcm()) > 0.3 * 8000)
            for ear, rate, hertz in ((at_agent, agent.rate, 500.0), (at_caller, 8000, 1500.0)):
                heard = ear.pcm().astype(float)
                loudest = np.argmax(np.abs(np.fft.rfft(heard))) * rate / len(heard)
                assert loudest == pytest.approx(hertz, abs=15)
            assert len(middle.pcm()) > 0.3 * 8000, "the ear hears on"
            bridge.part()
            bridge.part()
            before = len(at_agent.pcm())
            await caller.play(tone(0.1))
            await asyncio.sleep(0.05)
            assert len(at_agent.pcm()) - before < 0.1 * agent.rate

    asyncio.run(scene())


def test_ringing_is_heard_one_way() -> None:
    async def scene() -> None:
        async with legs(NARROW, NARROW, NARROW, NARROW) as (caller, ours, agents, agent):
            await agree(caller, ours)
            await agree(agents, agent)
            at_caller, at_agent = listen(caller), listen(agent)
            Bridge(ours, agents).let_hear()
            await asyncio.gather(caller.play(tone(0.2)), agent.play(tone(0.2)))
            await until(lambda: len(at_caller.pcm()) > 800)
            assert not at_agent.pcm().any(), "nothing but what keeps the line open"

    asyncio.run(scene())


def test_digits_are_passed_on_in_order() -> None:
    async def scene() -> None:
        async with legs(NARROW, NARROW, NARROW, NARROW) as (caller, ours, agents, agent):
            await agree(caller, ours)
            await agree(agents, agent)
            at_agent = listen(agent)
            Bridge(ours, agents).join()
            for digit in "12":
                ours.digit(digit, 0.06)
            await until(lambda: len(at_agent.digits) == 2)
            assert [digit for _, digit, _ in at_agent.digits] == ["1", "2"]
            assert at_agent.digits[0][0] is Leg.CALLER

    asyncio.run(scene())
