"""A recording client of two legs: sipp signals, two streams of our own carry the speech."""

import re
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.peers.house import House
from tests.peers.processes import wait_for
from tests.peers.rtp import RtpSender, send_all
from tests.peers.sipp import Sipp
from tests.peers.sound import compare, speech
from voicebot.events import Leg
from voicebot.telephony.line import TransferResult
from voicebot.telephony.siprec.siprec_parties import SiprecParams


@pytest.mark.parametrize(
    ("patterns", "caller"), [(["*@agents.example"], 1), ([], 0)], ids=["patterns", "order"]
)
def test_two_legs(patterns: list[str], caller: int, stack: ExitStack, tmp_path: Path) -> None:
    house = stack.enter_context(House(siprec=SiprecParams(agent_patterns=patterns)))
    says = [speech(2.0, start=20.0), speech(2.0, start=30.0)]
    senders = [stack.enter_context(closing(RtpSender(ssrc))) for ssrc in (1, 2)]
    keys = {f"port{place}": str(sender.port) for place, sender in enumerate(senders, 1)}
    sipp = stack.enter_context(Sipp("siprec", tmp_path, house.port(), keys=keys))
    call = house.call()
    wait_for(lambda: "ACK sip" in sipp.messages(), "the ACK")
    answer = sipp.messages().partition("SIP/2.0 200 OK")[2]
    assert answer.count("a=recvonly") == 2
    send_all(senders, [int(p) for p in re.findall(r"m=audio (\d+)", answer)[:2]], says)
    assert not call.line.can_speak
    assert house.transfer(call, "200").result is TransferResult.UNSUPPORTED
    sipp.finish()
    house.ended()
    assert (call.offer.gateway, call.offer.legs) == ("siprec", (Leg.CALLER, Leg.AGENT))
    assert call.offer.caller == ("+4930123456" if caller else "7001")
    for leg, said in ((Leg.CALLER, says[caller]), (Leg.AGENT, says[1 - caller])):
        match = compare(said, call.pcm(leg))
        assert match.correlation > 0.99
        assert abs(match.heard - match.sent) <= 0.06
        assert call.figures[leg].lost == 0
    assert set(call.holds[:2]) == {(Leg.CALLER, True), (Leg.AGENT, True)}
    assert set(call.holds[2:]) == {(Leg.CALLER, False), (Leg.AGENT, False)}
    assert not house.recorder.counters
