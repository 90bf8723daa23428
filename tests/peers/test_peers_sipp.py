"""Calls from sipp: what a PBX may do, and what it should not."""

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.peers.baresip import Baresip
from tests.peers.house import House, params
from tests.peers.processes import wait_for
from tests.peers.sipp import Sipp
from tests.peers.sound import compare, speech
from voicebot.events import Leg
from voicebot.telephony.line import TransferResult
from voicebot.telephony.sip.sip_incoming import IncomingCall


@pytest.mark.parametrize("transport", ["u1", "t1"])
@pytest.mark.parametrize("scenario", ["call", "call_without_sdp"])
def test_speech_arrives(scenario: str, transport: str, stack: ExitStack, tmp_path: Path) -> None:
    house = stack.enter_context(House())
    says = speech(1.5, start=20.0)
    port = house.port("udp" if transport == "u1" else "tcp")
    more = ("-d", "1700")
    sipp = stack.enter_context(
        Sipp(scenario, tmp_path, port, says=says, transport=transport, more=more)
    )
    sipp.finish()
    call = house.ended()
    match = compare(says, call.pcm())
    assert match.correlation > 0.99
    assert abs(match.heard - match.sent) <= 0.06
    assert len(house.calls) == 1


def test_cancel(stack: ExitStack, tmp_path: Path) -> None:
    house = stack.enter_context(House())
    stack.enter_context(Sipp("cancel", tmp_path, house.port(), calls=3)).finish()
    assert [house.ended(number).end for number in range(3)] == ["cancelled"] * 3


def test_hold_and_resume(stack: ExitStack, tmp_path: Path) -> None:
    house = stack.enter_context(House())
    says = speech(1.6, start=20.0)
    stack.enter_context(Sipp("hold", tmp_path, house.port(), says=says)).finish()
    call = house.ended()
    assert call.holds == [(Leg.CALLER, True), (Leg.CALLER, False)]
    assert compare(says[:8000], call.pcm()[:4800]).correlation > 0.99


def test_options(stack: ExitStack, tmp_path: Path) -> None:
    house = stack.enter_context(House())
    stack.enter_context(Sipp("options", tmp_path, house.port(), calls=5, at_once=5)).finish()
    assert not house.calls


def test_no_common_codec(stack: ExitStack, tmp_path: Path) -> None:
    house = stack.enter_context(House())
    stack.enter_context(Sipp("no_codec", tmp_path, house.port())).finish()
    assert not house.calls


def test_two_calls_with_one_call_id(stack: ExitStack, tmp_path: Path) -> None:
    house = stack.enter_context(House())
    stack.enter_context(Sipp("twins", tmp_path, house.port())).finish()
    assert [house.ended(number).end for number in (0, 1)] == ["hangup", "hangup"]
    assert len(house.calls) == 2
    assert house.calls[0].offer.reference == house.calls[1].offer.reference


def test_a_lost_ack(stack: ExitStack, tmp_path: Path) -> None:
    house = stack.enter_context(House())
    says = speech(0.4, start=20.0)
    sipp = stack.enter_context(Sipp("late_ack", tmp_path, house.port(), says=says))
    messages = sipp.finish()
    call = house.ended()
    assert call.end == "hangup"
    assert messages.count("SIP/2.0 200 OK") >= 3  # twice for the INVITE, once for BYE
    assert compare(says, call.pcm()).correlation > 0.99
    assert len(house.calls) == 1


def test_everything_comes_twice(stack: ExitStack, tmp_path: Path) -> None:
    house = stack.enter_context(House())
    says = speech(0.4, start=20.0)
    stack.enter_context(Sipp("duplicates", tmp_path, house.port(), says=says)).finish()
    assert house.ended().end == "hangup"
    assert len(house.calls) == 1
    assert compare(says, house.calls[0].pcm()).correlation > 0.99


def test_the_wrong_payload_type(stack: ExitStack, tmp_path: Path) -> None:
    house = stack.enter_context(House())
    says = speech(1.0, start=20.0)
    stack.enter_context(Sipp("wrong_payload", tmp_path, house.port(), says=says)).finish()
    call = house.ended()
    assert call.seconds() == 0.0
    assert call.figures[Leg.CALLER].strangers >= 20


def test_audio_of_a_stranger(stack: ExitStack, tmp_path: Path) -> None:
    house = stack.enter_context(House())
    says = speech(1.5, start=20.0)
    sipp = stack.enter_context(Sipp("call", tmp_path, house.port(), says=says, more=("-d", "1700")))
    call = house.call()
    wait_for(lambda: call.seconds() > 0.4, "audio")
    assert isinstance(call.line, IncomingCall)
    session = getattr(call.line.media, "session", None)
    assert session is not None
    noise = b"\x12\x34" * 80
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number in range(100):
            head = (0x8000 << 16 | number) << 64 | (number * 160) << 32 | 4711
            sock.sendto(head.to_bytes(12, "big") + noise, ("127.0.0.1", session.port))
    sipp.finish()
    house.ended()
    assert compare(says, call.pcm()).correlation > 0.99
    assert call.figures[Leg.CALLER].strangers == 100
    assert abs(call.seconds() - 1.5) <= 0.06


def test_at_capacity(stack: ExitStack, tmp_path: Path) -> None:
    house = stack.enter_context(House(most_calls=0))
    stack.enter_context(Sipp("refused", tmp_path, house.port())).finish()
    assert not house.calls


def test_a_bridge_where_refer_is_refused(stack: ExitStack, tmp_path: Path) -> None:
    house = stack.enter_context(House(params()))
    says, agent_says = speech(1.5, start=20.0), speech(3.0, start=30.0)
    agent = stack.enter_context(
        Baresip("agent", tmp_path, agent_says, account="audio_codecs=PCMU;answermode=auto")
    )
    sipp = stack.enter_context(Sipp("refer_refused", tmp_path, house.port(), says=says))
    call = house.call()
    wait_for(lambda: "ACK sip" in sipp.messages(), "the ACK")
    result = house.transfer(call, agent.uri)
    assert result.result is TransferResult.DONE, result
    agent.wait("CALL_ESTABLISHED")
    sipp.finish()  # the agent hangs up at the end of what it says, and so do we
    house.ended()
    match = compare(says, agent.heard())
    assert match.correlation > 0.99, match
    assert house.counters["sip_refer_refused"] == 1
