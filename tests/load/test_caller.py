from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from tests.waiting import until
from voicebot.events import Leg, Pcm
from voicebot.load.caller import Callers, Outcome, Speech
from voicebot.telephony.line import Line, Offer, RefusedError
from voicebot.telephony.media.media_params import MediaParams
from voicebot.telephony.sip.sip_endpoint import SipEndpoint, SipEndpointParams
from voicebot.telephony.sip.sip_params import SipParams

SOUND = (8000 * np.sin(2 * np.pi * 300 * np.arange(8000) / 8000)).astype(np.int16)


class Ear:
    def __init__(self) -> None:
        self.pieces: list[Pcm] = []
        self.concealed = 0
        self.reason = ""

    def audio(self, leg: Leg, pcm: Pcm, *, concealed: bool = False) -> None:
        self.pieces.append(pcm)
        self.concealed += concealed

    def digit(self, leg: Leg, digit: str, seconds: float) -> None:
        pass

    def held(self, leg: Leg, held: bool) -> None:
        pass

    def ended(self, reason: str) -> None:
        self.reason = self.reason or reason


class Desk:
    def __init__(self, most: int = 100) -> None:
        self.most = most
        self.taken: list[tuple[Ear, Line]] = []

    def receive(self, offer: Offer, line: Line) -> Ear:
        if len(self.taken) >= self.most:
            raise RefusedError("at_capacity", 5.0)
        self.taken.append((Ear(), line))
        return self.taken[-1][0]


async def scene(desk: Desk) -> tuple[SipEndpoint, Callers]:
    params = SipEndpointParams(signalling=SipParams(listen=["udp:127.0.0.1:0"]))
    endpoint = SipEndpoint(params, MediaParams(port_low=0, port_high=0), desk)
    await endpoint.start()
    callers = Callers(endpoint.listeners[0], Speech(SOUND))
    await callers.start()
    return endpoint, callers


def test_what_callers_say_is_heard_without_a_gap() -> None:
    async def story() -> None:
        desk = Desk()
        endpoint, callers = await scene(desk)
        outcomes = await asyncio.gather(*(callers.call(1.0) for _ in range(5)))
        await until(lambda: all(ear.reason == "hangup" for ear, _ in desk.taken))
        for outcome in outcomes:
            assert outcome.status == 200 and not outcome.ended_by_peer
            assert outcome.packets == pytest.approx(50, abs=4)
        heard = [sum(len(p) for p in ear.pieces) for ear, _ in desk.taken]
        assert sorted(heard) == sorted(160 * outcome.packets for outcome in outcomes)
        assert not any(ear.concealed for ear, _ in desk.taken)
        await callers.close()
        await endpoint.close()

    asyncio.run(story())


def test_callers_whose_clock_was_held_up_say_no_more_than_their_time() -> None:
    async def story() -> None:
        desk = Desk()
        endpoint, callers = await scene(desk)
        await asyncio.sleep(0.05)
        time.sleep(0.5)  # nothing on this loop moves
        outcome = await callers.call(1.0)
        assert outcome.packets == pytest.approx(50, abs=4)
        assert callers.late > 0.4
        await callers.close()
        await endpoint.close()

    asyncio.run(story())


def test_a_refusal_and_a_hang_up_of_the_other_side_are_told() -> None:
    async def story() -> None:
        desk = Desk(most=1)
        endpoint, callers = await scene(desk)
        first = asyncio.create_task(callers.call(30.0))
        await until(lambda: bool(desk.taken and desk.taken[0][0].pieces))
        assert await callers.call(1.0) == Outcome(503)
        await desk.taken[0][1].hang_up("operator")
        outcome = await first
        assert outcome.ended_by_peer
        await callers.close()
        await endpoint.close()

    asyncio.run(story())
