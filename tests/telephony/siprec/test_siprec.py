"""Recorded calls: their streams, and what changes in them, over real sockets on loopback."""

import asyncio
import re
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest
from aiosipua.message import SipRequest

from tests.telephony import siprec_samples as samples
from voicebot.audio.g711 import encode_mulaw
from voicebot.events import Leg, Pcm
from voicebot.telephony.line import Offer
from voicebot.telephony.media.media_session import MediaParams
from voicebot.telephony.media.ports import PortPool
from voicebot.telephony.media.sdp_types import NoCommonCodecError
from voicebot.telephony.sip.call_media import BodyError
from voicebot.telephony.sip.multipart import Part, build
from voicebot.telephony.siprec.siprec import SiprecMedia, SiprecRecorder
from voicebot.telephony.siprec.siprec_parties import SiprecParams

CALLER, AGENT = Leg.CALLER, Leg.AGENT
MEDIA = MediaParams(port_low=0, port_high=0, reorder_ms=10)
OFFER = Offer("sip", "id", "127.0.0.1:5060", (CALLER,), 8000, called="recorder", caller="sbc")


class Ear:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.heard: dict[Leg, list[Pcm]] = {CALLER: [], AGENT: []}
        self.holds: list[tuple[Leg, bool]] = []
        self.digits: list[tuple[Leg, str]] = []

    def audio(self, leg: Leg, pcm: Pcm, *, concealed: bool = False) -> None:
        self.heard[leg].append(pcm)

    def digit(self, leg: Leg, digit: str, seconds: float) -> None:
        self.digits.append((leg, digit))

    def held(self, leg: Leg, held: bool) -> None:
        self.holds.append((leg, held))

    def ended(self, reason: str) -> None:
        raise AssertionError("the session says that, not its media")

    def level(self, leg: Leg) -> int:
        """The one value that was heard; 0 if nothing was."""
        pcm = np.concatenate(self.heard[leg]) if self.heard[leg] else np.zeros(0, np.int16)
        return int(np.median(pcm)) if len(pcm) else 0


def line(
    label: str = "",
    port: int = 40000,
    direction: str = "sendonly",
    codec: str = "0",
    kind: str = "audio",
) -> str:
    named = f"a=label:{label}\r\n" if label else ""
    return f"m={kind} {port} RTP/AVP {codec}\r\n{named}a={direction}\r\n"


def message(*lines: str, metadata: bytes | None = None, method: str = "INVITE") -> SipRequest:
    sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    request = SipRequest(method=method, uri="sip:recorder@127.0.0.1")
    parts = [Part("application/sdp", (sdp + "".join(lines)).encode())] if lines else []
    if metadata is not None:
        kind = "application/rs-metadata+xml"
        parts.append(Part(kind, metadata, {"content-disposition": "recording-session"}))
    kind, body = build(parts, "xyzzy")
    if len(parts) == 1:
        kind, body = parts[0].kind, parts[0].body
    request.set_header("Content-Type", kind)
    request.body = body
    return request


def update(inner: str, mode: str = "partial") -> bytes:
    return (
        "<recording xmlns='urn:ietf:params:xml:ns:recording:1'>"
        f"<datamode>{mode}</datamode>{inner}</recording>"
    ).encode()


class Call:
    """One recorded call, and the peer's sockets."""

    def __init__(self, *patterns: str, media: MediaParams = MEDIA) -> None:
        self.pool = PortPool(0, 0)
        params = SiprecParams(agent_patterns=list(patterns))
        self.recorder = SiprecRecorder(params, media, self.pool)
        self.ear = Ear()
        self.media: SiprecMedia | None = None
        self.answer = ""
        self.offer = OFFER
        self.sent: dict[int, tuple[socket.socket, int]] = {}

    async def begin(self, invite: SipRequest) -> None:
        self.media = await self.recorder.open(invite)
        await self.take(invite)
        self.offer = self.media.describe(OFFER)
        self.media.begin(self.ear)

    async def take(self, request: SipRequest) -> None:
        assert self.media is not None
        self.answer = (await self.media.take_offer(request)).data.decode()

    @property
    def ports(self) -> list[int]:
        return [int(port) for port in re.findall(r"^m=\w+ (\d+)", self.answer, re.MULTILINE)]

    @property
    def directions(self) -> list[str]:
        return re.findall(r"^a=(sendrecv|sendonly|recvonly|inactive)", self.answer, re.MULTILINE)

    async def send(self, port: int, value: int, packets: int = 12) -> None:
        """Send 20 ms packets of one value, and wait until they are through the jitter buffer."""
        payload = encode_mulaw(np.full(160, value, np.int16))
        if port not in self.sent:
            self.sent[port] = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0)
        sock, count = self.sent[port]
        for number in range(count, count + packets):
            head = (0x8000 << 16 | number) << 64 | (number * 160) << 32 | port
            sock.sendto(head.to_bytes(12, "big") + payload, ("127.0.0.1", port))
        self.sent[port] = (sock, count + packets)
        await asyncio.sleep(0.05)

    async def levels(self, *values: int) -> tuple[int, int]:
        """Send on each m-line that has a port; what is heard of the caller and of the agent."""
        self.ear.heard = {CALLER: [], AGENT: []}
        for port, value in zip(self.ports, values, strict=True):
            if port:
                await self.send(port, value)
        return self.ear.level(CALLER), self.ear.level(AGENT)

    @property
    def counters(self) -> dict[str, int]:
        return dict(self.recorder.counters)


LOW, HIGH = 1052, 9852
"""values that mu-law can say exactly"""


def run(test: Callable[[Call], Coroutine[Any, Any, None]], *patterns: str) -> None:
    async def whole() -> None:
        call = Call(*patterns)
        async with asyncio.timeout(10):
            try:
                await test(call)
            finally:
                if call.media is not None:
                    await call.media.close()
                    await call.media.close()
                for sock, _ in call.sent.values():
                    sock.close()
        assert call.pool.in_use == 0

    asyncio.run(whole())


def two_legs(metadata: bytes | None = samples.RFC7865) -> SipRequest:
    return message(line("96"), line("97"), metadata=metadata)


def test_two_streams_are_caller_and_agent() -> None:
    async def test(call: Call) -> None:
        await call.begin(two_legs())
        assert call.directions == ["recvonly", "recvonly"]
        assert re.findall(r"a=label:(\d+)", call.answer) == ["96", "97"]
        assert len(set(call.ports)) == 2
        assert (call.offer.gateway, call.offer.legs) == ("siprec", (CALLER, AGENT))
        assert (call.offer.caller, call.offer.called) == ("alice", "bob")
        assert await call.levels(LOW, HIGH) == (LOW, HIGH)
        assert call.ear.holds == []
        assert call.counters == {}
        assert call.media is not None
        assert {leg: figures.packets for leg, figures in call.media.figures().items()} == {
            CALLER: 12,
            AGENT: 12,
        }

    run(test)


def test_a_pattern_turns_them_round() -> None:
    async def test(call: Call) -> None:
        await call.begin(two_legs())
        assert (call.offer.caller, call.offer.called) == ("bob", "alice")
        assert await call.levels(LOW, HIGH) == (HIGH, LOW)

    run(test, "*@atlanta.com")


def test_a_recorder_says_what_it_is() -> None:
    assert SiprecMedia.options == ("siprec",)
    assert SiprecMedia.contact_parameters == ";+sip.srs"
    assert not SiprecMedia.can_speak


def test_one_mixed_stream_is_the_callers_with_a_warning() -> None:
    async def test(call: Call) -> None:
        await call.begin(message(line("1"), metadata=samples.broadworks(mixed=True)))
        assert call.offer.legs == (CALLER,)
        assert call.offer.caller == "7663"
        assert await call.levels(LOW) == (LOW, 0)
        assert call.counters == {"siprec_mixed": 1}

    run(test)


def test_broadworks_names_the_number_that_was_dialled() -> None:
    async def test(call: Call) -> None:
        invite = message(
            line("1"),
            line("2"),
            metadata=samples.broadworks(way="termCall", called="sip:+12025550199@as"),
        )
        await call.begin(invite)
        assert call.offer.called == "+12025550199"
        assert call.offer.caller == "7663"
        assert await call.levels(LOW, HIGH) == (HIGH, LOW)

    run(test)


@pytest.mark.parametrize(
    ("metadata", "counted"),
    [
        (None, {"siprec_no_metadata": 1}),
        (b"<!DOCTYPE x><x/>", {"siprec_metadata_malformed": 1}),
        (b"\xff\xfe\xff", {"siprec_metadata_malformed": 1}),
    ],
)
def test_without_usable_metadata_the_first_stream_is_the_caller(
    metadata: bytes | None, counted: dict[str, int]
) -> None:
    async def test(call: Call) -> None:
        await call.begin(two_legs(metadata))
        assert (call.offer.caller, call.offer.called) == ("sbc", "recorder")
        assert await call.levels(LOW, HIGH) == (LOW, HIGH)
        assert call.counters == counted

    run(test)


def test_recording_pauses_and_goes_on() -> None:
    async def test(call: Call) -> None:
        await call.begin(two_legs())
        ports = call.ports
        await call.take(message(line("96", direction="inactive"), line("97")))
        assert call.directions == ["inactive", "recvonly"]
        assert call.ear.holds == [(CALLER, True)]
        await call.take(message(line("96"), line("97")))
        assert call.ear.holds == [(CALLER, True), (CALLER, False)]
        assert call.ports == ports
        assert await call.levels(LOW, HIGH) == (LOW, HIGH)
        assert re.search(r"o=- \d+ 3 IN", call.answer)

    run(test)


def test_recording_pauses_by_taking_all_streams_away() -> None:
    async def test(call: Call) -> None:
        await call.begin(two_legs())
        await call.take(message(line("96", port=0), line("97", port=0)))
        assert call.ports == [0, 0]
        assert set(call.ear.holds) == {(CALLER, True), (AGENT, True)}
        assert call.pool.in_use == 0
        await call.take(message(line("96"), line("97")))
        assert set(call.ear.holds[2:]) == {(CALLER, False), (AGENT, False)}
        assert await call.levels(LOW, HIGH) == (LOW, HIGH)

    run(test)


def test_a_stream_comes_and_goes() -> None:
    async def test(call: Call) -> None:
        alice_alone = update(
            "<participant participant_id='srfBElmCRp2QB23b7Mpk0w=='>"
            "<nameID aor='sip:alice@atlanta.com'/></participant>"
            "<stream stream_id='UAAMm5GRQKSCMVvLyl4rFw=='><label>96</label></stream>"
            "<participantstreamassoc participant_id='srfBElmCRp2QB23b7Mpk0w=='>"
            "<send>UAAMm5GRQKSCMVvLyl4rFw==</send></participantstreamassoc>",
            "complete",
        )
        await call.begin(message(line("96"), metadata=alice_alone))
        assert call.offer.legs == (CALLER, AGENT)
        assert call.ear.holds == [(AGENT, True)]
        assert call.counters == {}
        await call.take(two_legs())
        assert call.ear.holds == [(AGENT, True), (AGENT, False)]
        assert await call.levels(LOW, HIGH) == (LOW, HIGH)
        assert call.media is not None
        await call.take(message(line("96"), line("97", port=0)))
        assert call.ear.holds[2:] == [(AGENT, True)]
        assert call.ports[1] == 0
        assert call.pool.in_use == 1
        assert call.media.figures()[AGENT].packets == 12
        await call.take(two_legs())
        assert await call.levels(LOW, HIGH) == (LOW, HIGH)
        assert call.media.figures()[AGENT].packets == 24

    run(test)


def test_metadata_alone_may_turn_the_legs_round() -> None:
    async def test(call: Call) -> None:
        await call.begin(two_legs(None))
        assert await call.levels(LOW, HIGH) == (LOW, HIGH)
        assert call.media is not None
        call.media.take_rest(message(metadata=samples.RFC7865, method="UPDATE"))
        assert await call.levels(LOW, HIGH) == (HIGH, LOW)

    run(test, "alice@*")


def test_a_weaker_rule_moves_nobody() -> None:
    async def test(call: Call) -> None:
        await call.begin(two_legs())
        assert await call.levels(LOW, HIGH) == (HIGH, LOW)
        assert call.media is not None
        forget = update("", "complete")
        call.media.take_rest(message(metadata=forget, method="UPDATE"))
        assert await call.levels(LOW, HIGH) == (HIGH, LOW)
        await call.take(message(line("96"), line("97"), line("98"), metadata=forget))
        assert call.ports[2] == 0
        assert await call.levels(LOW, HIGH, 0) == (HIGH, LOW)
        assert call.counters["siprec_stream_unwanted"] == 1

    run(test, "alice@*")


def test_a_partial_update_in_a_reinvite() -> None:
    async def test(call: Call) -> None:
        await call.begin(two_legs())
        assert await call.levels(LOW, HIGH) == (HIGH, LOW)
        crossed = update(
            "<participantstreamassoc participant_id='srfBElmCRp2QB23b7Mpk0w=='>"
            "<send>i1Pz3to5hGk8fuXl+PbwCw==</send></participantstreamassoc>"
            "<participantstreamassoc participant_id='zSfPoSvdSDCmU3A3TRDxAw=='>"
            "<send>UAAMm5GRQKSCMVvLyl4rFw==</send></participantstreamassoc>"
        )
        await call.take(message(line("96"), line("97"), metadata=crossed))
        assert await call.levels(LOW, HIGH) == (LOW, HIGH)

    run(test, "alice@*", "carol@*")


def test_video_is_not_wanted() -> None:
    async def test(call: Call) -> None:
        await call.begin(
            message(line("1", kind="video", codec="96"), line("96"), metadata=samples.RFC7865)
        )
        assert call.answer.count("m=video 0 ") == 1
        assert call.ports[0] == 0
        assert call.pool.in_use == 1

    run(test)


def test_what_cannot_be_answered_changes_nothing() -> None:
    async def test(call: Call) -> None:
        await call.begin(two_legs())
        before, answer = call.pool.in_use, call.answer
        for request in (
            message(line("96", codec="18"), line("97", codec="18")),
            message(line("96", codec="18"), line("97", codec="18"), line("98", codec="18")),
        ):
            with pytest.raises(NoCommonCodecError):
                await call.take(request)
        assert call.pool.in_use == before
        assert call.answer == answer
        assert await call.levels(LOW, HIGH) == (LOW, HIGH)

    run(test)


def test_a_first_offer_without_a_common_codec_leaks_no_port() -> None:
    async def test(call: Call) -> None:
        with pytest.raises(NoCommonCodecError):
            await call.begin(message(line("1", codec="18"), line("2", codec="18")))

    run(test)


def test_one_stream_of_two_can_be_taken() -> None:
    async def test(call: Call) -> None:
        await call.begin(message(line("96"), line("97", codec="18"), metadata=samples.RFC7865))
        assert call.ports[1] == 0
        assert call.pool.in_use == 1
        assert call.ear.holds == [(AGENT, True)]

    run(test)


def test_a_client_must_offer() -> None:
    async def test(call: Call) -> None:
        with pytest.raises(BodyError):
            await call.recorder.open(message(metadata=samples.RFC7865))
        with pytest.raises(BodyError):
            await call.recorder.open(SipRequest(method="INVITE", uri="sip:a@b"))

    run(test)


def test_the_session_is_kept_alive_by_offering_what_is_in_force() -> None:
    async def test(call: Call) -> None:
        await call.begin(two_legs())
        await call.take(message(line("96"), line("97", port=0)))
        assert call.media is not None
        ours = (await call.media.make_offer()).data.decode()
        assert re.findall(r"^m=audio (\d+)", ours, re.MULTILINE) == [str(call.ports[0]), "0"]
        assert ours.count("a=recvonly") == 2
        await call.media.take_answer(message(line("96"), line("97", port=0)))
        assert await call.levels(LOW, 0) == (LOW, 0)

    run(test)


def test_a_digit_by_signalling_is_the_callers() -> None:
    async def test(call: Call) -> None:
        await call.begin(two_legs())
        assert call.media is not None
        call.media.digit("5", 0.1)
        await call.media.play(np.zeros(160, np.int16))
        await call.media.close()
        call.media.digit("6", 0.1)
        assert call.ear.digits == [(CALLER, "5")]

    run(test)
