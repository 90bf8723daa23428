"""Offer and answer, with descriptions as real peers write them."""

from __future__ import annotations

import base64
import re

import pytest

from voicebot.telephony.media.sdp import (
    Abilities,
    Answered,
    Direction,
    LocalMedia,
    Negotiated,
    NoCommonCodecError,
    Origin,
    SdpError,
    SrtpMode,
    answer,
    build_offer,
    parse_offer,
    read_answer,
)

ORIGIN = Origin("192.0.2.1", 4711)
KEY = bytes(range(46))
LOCAL = LocalMedia("192.0.2.1", 30000, 30001, KEY)
THEIR_KEY = base64.b64encode(bytes(range(100, 130))).decode()
HEAD = "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n"


def sdp(*lines: str) -> str:
    return HEAD + "".join(f"{line}\r\n" for line in lines)


def answered(*lines: str, local: LocalMedia = LOCAL, **abilities: object) -> Answered:
    return answer(
        parse_offer(sdp(*lines)),
        ORIGIN,
        dict.fromkeys(range(8), local),
        Abilities(**abilities),  # type: ignore[arg-type]
    )


def agreed(*lines: str, local: LocalMedia = LOCAL, **abilities: object) -> Negotiated:
    result = answered(*lines, local=local, **abilities)
    assert len(result.media) == 1
    return result.media[0]


def test_the_usual_offer() -> None:
    result = answered(
        "m=audio 4000 RTP/AVP 0 8 101",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-16",
        "a=ptime:20",
        "a=sendrecv",
    )
    assert result.text == (
        "v=0\r\no=- 4711 1 IN IP4 192.0.2.1\r\ns=voicebot\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
        "m=audio 30000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n"
        "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    )
    media = result.media[0]
    assert (media.host, media.port) == ("198.51.100.7", 4000)
    assert (media.rtcp_host, media.rtcp_port, media.rtcp_mux) == ("198.51.100.7", 4001, False)
    assert media.direction is Direction.SENDRECV and not media.on_hold
    assert media.local_crypto is None and media.remote_crypto is None


@pytest.mark.parametrize(
    ("lines", "name", "payload"),
    [
        (("m=audio 4000 RTP/AVP 0",), "PCMU", 0),  # no rtpmap
        (("m=audio 4000 RTP/AVP 8 0",), "PCMA", 8),  # the offer's order
        (("m=audio 4000 RTP/AVP 97", "a=rtpmap:97 pcmu/8000"), "PCMU", 97),  # by name
        (("m=audio 4000 RTP/AVP 97", "a=rtpmap:97 PCMA/8000/1"), "PCMA", 97),
        (("m=audio 4000 RTP/AVP 18 3 111 8", "a=rtpmap:111 opus/48000/2"), "PCMA", 8),
        (("m=audio 4000 RTP/AVP 0 8", "a=rtpmap:0 L16/44100/2"), "PCMA", 8),  # 0 is not PCMU here
        (("m=audio 4000 RTP/AVP 97 0", "a=rtpmap:97 PCMU/16000"), "PCMU", 0),
    ],
)
def test_codecs_are_found_by_name_and_by_number(
    lines: tuple[str, ...], name: str, payload: int
) -> None:
    # aiosipua matched by number only.
    media = agreed(*lines)
    assert (media.codec.name, media.codec.payload) == (name, payload)
    assert media.receives == (media.codec,)


@pytest.mark.parametrize(
    ("events", "payload", "clock"),
    [
        ("a=rtpmap:96 telephone-event/8000", 96, 8000),
        ("a=rtpmap:96 TELEPHONE-EVENT/8000", 96, 8000),
        ("a=rtpmap:96 telephone-event/48000\r\na=rtpmap:97 telephone-event/8000", 97, 8000),
        ("a=rtpmap:96 telephone-event/48000", 96, 48000),
    ],
)
def test_telephone_events_keep_the_number_that_was_offered(
    events: str, payload: int, clock: int
) -> None:
    # aiosipua pinned them to 101.
    result = answered("m=audio 4000 RTP/AVP 0 96 97", *events.split("\r\n"))
    media = result.media[0]
    assert media.dtmf is not None
    assert (media.dtmf.payload, media.dtmf.clock) == (payload, clock)
    assert media.dtmf_heard == (payload,)
    assert f"a=rtpmap:{payload} telephone-event/{clock}\r\n" in result.text
    assert f"m=audio 30000 RTP/AVP 0 {payload}\r\n" in result.text


def test_no_telephone_event_is_answered_where_none_was_offered() -> None:
    result = answered("m=audio 4000 RTP/AVP 0")
    assert result.media[0].dtmf is None and "telephone-event" not in result.text


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((), 20),
        (("a=ptime:30",), 30),
        (("a=ptime:5",), 10),
        (("a=ptime:100",), 60),
        (("a=ptime:25",), 20),
        (("a=ptime:20.0",), 20),
        (("a=ptime:0",), 20),
        (("a=ptime:x",), 20),
        (("a=maxptime:10",), 10),
        (("a=ptime:40", "a=maxptime:30"), 30),
    ],
)
def test_packet_length(lines: tuple[str, ...], expected: int) -> None:
    assert agreed("m=audio 4000 RTP/AVP 0", *lines).ptime_ms == expected


@pytest.mark.parametrize(
    ("line", "wanted", "ours", "held"),
    [
        ("a=sendrecv", Direction.SENDRECV, Direction.SENDRECV, False),
        ("a=sendonly", Direction.SENDRECV, Direction.RECVONLY, True),
        ("a=inactive", Direction.SENDRECV, Direction.INACTIVE, True),
        ("a=recvonly", Direction.SENDRECV, Direction.SENDONLY, True),
        ("a=sendonly", Direction.RECVONLY, Direction.RECVONLY, False),  # a recorder
        ("a=inactive", Direction.RECVONLY, Direction.INACTIVE, True),
        ("c=IN IP4 0.0.0.0", Direction.SENDRECV, Direction.RECVONLY, True),
    ],
)
def test_hold(line: str, wanted: Direction, ours: Direction, held: bool) -> None:
    local = LocalMedia("192.0.2.1", 30000, 30001, KEY, wanted)
    result = answered("m=audio 4000 RTP/AVP 0", line, local=local)
    assert result.media[0].direction is ours
    assert result.media[0].on_hold is held
    assert f"a={ours}\r\n" in result.text


def test_a_held_session_is_held_in_every_stream() -> None:
    text = HEAD.replace("t=0 0\r\n", "t=0 0\r\na=inactive\r\na=ptime:30\r\n")
    offered = parse_offer(
        text + "m=audio 4000 RTP/AVP 0\r\nm=audio 4002 RTP/AVP 0\r\na=sendonly\r\n"
    )
    assert [media.direction for media in offered.media] == [Direction.INACTIVE, Direction.SENDONLY]
    assert offered.media[0].ptime_ms == 30


def test_addresses_of_the_session_and_of_a_stream() -> None:
    media = agreed("m=audio 4000 RTP/AVP 0", "c=IN IP4 203.0.113.9/127", "a=rtcp:5000")
    assert (media.host, media.rtcp_host, media.rtcp_port) == ("203.0.113.9", "203.0.113.9", 5000)
    media = agreed("m=audio 4000 RTP/AVP 0", "a=rtcp:5000 IN IP4 203.0.113.8")
    assert (media.host, media.rtcp_host) == ("198.51.100.7", "203.0.113.8")


def test_rtcp_on_the_same_port() -> None:
    result = answered("m=audio 4000 RTP/AVP 0", "a=rtcp-mux", "a=rtcp:4000")
    assert result.media[0].rtcp_mux and result.media[0].rtcp_port == 4000
    assert "a=rtcp-mux\r\n" in result.text
    assert "rtcp-mux" not in answered("m=audio 4000 RTP/AVP 0").text


def test_ipv6() -> None:
    text = HEAD.replace("IN IP4 198.51.100.7", "IN IP6 2001:db8::7") + "m=audio 4000 RTP/AVP 8\r\n"
    local = LocalMedia("2001:db8::1", 30000, 30001, KEY)
    result = answer(parse_offer(text), Origin("2001:db8::1", 5), {0: local}, Abilities())
    assert result.media[0].host == "2001:db8::7"
    assert "c=IN IP6 2001:db8::1\r\n" in result.text
    assert "o=- 5 1 IN IP6 2001:db8::1\r\n" in result.text


def test_streams_that_are_not_taken_are_answered_with_port_0() -> None:
    result = answered(
        "m=video 4002 RTP/AVP 96",
        "a=rtpmap:96 H264/90000",
        "m=audio 4000 RTP/AVP 0",
        "m=application 5 TCP/BFCP *",
        "m=audio 0 RTP/AVP 0",
        "m=audio 4010 RTP/AVP 18",
        "m=audio 4012 UDP/TLS/RTP/SAVPF 0",
    )
    assert re.findall(r"m=(.*)\r\n", result.text) == [
        "video 0 RTP/AVP 96",
        "audio 30000 RTP/AVP 0",
        "application 0 TCP/BFCP *",
        "audio 0 RTP/AVP 0",
        "audio 0 RTP/AVP 18",
        "audio 0 UDP/TLS/RTP/SAVPF 0",
    ]
    assert [media.index for media in result.media] == [1]


def test_each_audio_stream_of_a_recording_is_one_of_its_own() -> None:
    offered = parse_offer(
        sdp(
            "m=audio 4000 RTP/AVP 0",
            "a=label:1",
            "a=sendonly",
            "m=audio 4010 RTP/AVP 8",
            "a=label:two",
            "a=sendonly",
        )
    )
    assert [media.index for media in offered.audio] == [0, 1]
    locals_ = {
        index: LocalMedia(
            "192.0.2.1", 30000 + 2 * index, 30001 + 2 * index, KEY, Direction.RECVONLY
        )
        for index in (0, 1)
    }
    result = answer(offered, ORIGIN, locals_, Abilities())
    assert [(m.label, m.codec.name, m.port, m.on_hold) for m in result.media] == [
        ("1", "PCMU", 4000, False),
        ("two", "PCMA", 4010, False),
    ]
    assert "m=audio 30000 " in result.text and "m=audio 30002 " in result.text


@pytest.mark.parametrize("profile", ["RTP/SAVP", "RTP/SAVPF"])
@pytest.mark.parametrize(
    "suite", ["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AEAD_AES_256_GCM"]
)
def test_keys_are_answered_with_a_key(profile: str, suite: str) -> None:
    # aiosipua answered SAVP without a=crypto.
    length = 44 if suite.startswith("AEAD") else 30
    theirs = base64.b64encode(bytes(length)).decode()
    result = answered(
        f"m=audio 4000 {profile} 0",
        "a=crypto:1 AES_256_CM_HMAC_SHA1_80 inline:" + base64.b64encode(bytes(46)).decode(),
        "a=crypto:2 F8_128_HMAC_SHA1_80 inline:" + THEIR_KEY,
        f"a=crypto:7 {suite} inline:{theirs}|2^31",
    )
    media = result.media[0]
    assert media.remote_crypto is not None and media.local_crypto is not None
    assert (media.remote_crypto.tag, media.remote_crypto.key) == (7, bytes(length))
    assert len(media.local_crypto.key) == length
    ours = base64.b64encode(media.local_crypto.key).decode()
    again = agreed(f"m=audio 4000 {profile} 0", f"a=crypto:8 {suite} inline:{theirs}", "a=inactive")
    assert again.local_crypto is not None  # the same key in a re-INVITE: its stream goes on
    assert again.local_crypto.key == media.local_crypto.key
    assert f"a=crypto:7 {suite} inline:{ours}\r\n" in result.text
    assert f"m=audio 30000 {profile} 0\r\n" in result.text
    assert "b'" not in repr(media)  # no key in a log


@pytest.mark.parametrize(
    "crypto",
    [
        "",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:tooshort",
        f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{THEIR_KEY}|2^20|1:4",
        f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{THEIR_KEY} UNENCRYPTED_SRTP",
        f"a=crypto:x AES_CM_128_HMAC_SHA1_80 inline:{THEIR_KEY}",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "!" * 40,
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80",
        f"a=crypto:1 NULL_HMAC_SHA1_80 inline:{THEIR_KEY}",
    ],
)
def test_a_secure_profile_without_a_usable_key_is_refused(crypto: str) -> None:
    with pytest.raises(NoCommonCodecError, match="no usable a=crypto"):
        answered("m=audio 4000 RTP/SAVP 0", *([crypto] if crypto else []))


def test_encryption_that_is_offered_on_the_side() -> None:
    lines = (
        "m=audio 4000 RTP/AVP 0",
        f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{THEIR_KEY} WSH=64",
    )
    result = answered(*lines)
    assert result.media[0].local_crypto and "m=audio 30000 RTP/AVP 0\r\na=" in result.text
    assert "a=crypto:1 " in result.text
    assert agreed(*lines, srtp=SrtpMode.OFF).local_crypto is None
    assert agreed(*lines, srtp=SrtpMode.REQUIRED).local_crypto is not None


def test_encryption_on_and_off() -> None:
    with pytest.raises(NoCommonCodecError, match="refused here"):
        answered(
            "m=audio 4000 RTP/SAVP 0",
            f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{THEIR_KEY}",
            srtp=SrtpMode.OFF,
        )
    with pytest.raises(NoCommonCodecError, match="crypto"):
        answered("m=audio 4000 RTP/AVP 0", srtp=SrtpMode.REQUIRED)


def test_feedback_profiles_are_answered_alike() -> None:
    assert "m=audio 30000 RTP/AVPF 0\r\n" in answered("m=audio 4000 RTP/AVPF 0").text


def test_no_common_codec() -> None:
    with pytest.raises(NoCommonCodecError, match="offered G729"):
        answered("m=audio 4000 RTP/AVP 18", "a=rtpmap:18 G729/8000")
    with pytest.raises(NoCommonCodecError, match="no audio stream"):
        answered("m=video 4000 RTP/AVP 31")
    with pytest.raises(NoCommonCodecError):
        answered("m=audio 4000 RTP/AVP 9")  # not among our abilities


def test_wideband_and_the_rate_of_a_running_call() -> None:
    lines = ("m=audio 4000 RTP/AVP 9 0",)
    both = ("G722", "PCMU")
    assert agreed(*lines, codecs=both).codec.name == "G722"
    running = LocalMedia("192.0.2.1", 30000, 30001, KEY, rate=8000)
    assert agreed(*lines, local=running, codecs=both).codec.name == "PCMU"


def test_every_answer_in_a_dialog_has_its_own_version() -> None:
    offered = parse_offer(sdp("m=audio 4000 RTP/AVP 0"))
    again = answer(offered, ORIGIN.next(), {0: LOCAL}, Abilities())
    assert "o=- 4711 2 IN IP4 192.0.2.1\r\n" in again.text


# ---------------------------------------------------------------- our offers


def reply(ours_text: str, *lines: str) -> str:
    assert ours_text.startswith("v=0")
    return sdp(*lines)


def test_our_offer_and_its_answer() -> None:
    ours = build_offer(ORIGIN, [LOCAL], Abilities())
    assert "m=audio 30000 RTP/AVP 0 8 101\r\n" in ours.text and "crypto" not in ours.text
    (media,) = read_answer(
        sdp("m=audio 4000 RTP/AVP 8 96", "a=rtpmap:96 telephone-event/8000"), ours
    )
    assert media.codec.name == "PCMA"
    assert media.dtmf is not None and media.dtmf.payload == 96  # by which they listen
    assert media.dtmf_heard == (101, 96)  # they should send by our number
    assert parse_offer(ours.text).audio[0].codecs[0].name == "PCMU"


def test_an_answer_that_takes_several_codecs_may_use_them_all() -> None:
    ours = build_offer(ORIGIN, [LOCAL], Abilities(("G722", "PCMU", "PCMA")))
    (media,) = read_answer(sdp("m=audio 4000 RTP/AVP 0 8 9"), ours)
    assert [codec.name for codec in media.receives] == ["PCMU", "PCMA"]  # of one rate


def test_hold_and_resume_by_us() -> None:
    ours = build_offer(ORIGIN, [LOCAL], Abilities())
    (media,) = read_answer(sdp("m=audio 4000 RTP/AVP 8"), ours)
    held = LocalMedia("192.0.2.1", 30000, 30001, KEY, Direction.INACTIVE)
    again = build_offer(ORIGIN.next(), [held], Abilities(), [media])
    assert "m=audio 30000 RTP/AVP 8\r\n" in again.text  # nothing new
    assert "a=inactive\r\n" in again.text and " 2 IN IP4" in again.text
    (media,) = read_answer(sdp("m=audio 4000 RTP/AVP 8", "a=inactive"), again)
    assert media.direction is Direction.INACTIVE and not media.on_hold  # it is our wish


def test_keys_in_our_offer() -> None:
    secure = Abilities(srtp=SrtpMode.REQUIRED)
    ours = build_offer(ORIGIN, [LOCAL], secure)
    assert "RTP/SAVP 0 8 101" in ours.text and ours.text.count("a=crypto:") == 2
    lines = (
        "m=audio 4000 RTP/SAVP 0",
        f"a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:{THEIR_KEY}",
    )
    (media,) = read_answer(sdp(*lines), ours)
    assert media.local_crypto is not None and media.local_crypto.tag == 2
    assert media.remote_crypto is not None
    again = build_offer(ORIGIN.next(), [LOCAL], secure, [media])
    assert again.text.count("a=crypto:2 AES_CM_128_HMAC_SHA1_32 ") == 1
    for bad in (lines[:1], ("m=audio 4000 RTP/AVP 0",), (lines[0], lines[1].replace(":2", ":1"))):
        with pytest.raises(NoCommonCodecError):
            read_answer(sdp(*bad), ours)


def test_answers_that_are_none() -> None:
    ours = build_offer(ORIGIN, [LOCAL], Abilities())
    with pytest.raises(SdpError, match="2 streams answer 1"):
        read_answer(sdp("m=audio 4000 RTP/AVP 0", "m=audio 4002 RTP/AVP 0"), ours)
    with pytest.raises(NoCommonCodecError, match="refused"):
        read_answer(sdp("m=audio 0 RTP/AVP 0"), ours)
    with pytest.raises(NoCommonCodecError):
        read_answer(sdp("m=audio 4000 RTP/AVP 18"), ours)


def test_two_streams_of_ours_of_which_one_is_taken() -> None:
    second = LocalMedia("192.0.2.1", 30002, 30003, KEY, label="agent")
    ours = build_offer(ORIGIN, [LOCAL, second], Abilities())
    assert "a=label:agent\r\n" in ours.text
    (media,) = read_answer(sdp("m=audio 0 RTP/AVP 0", "m=audio 4002 RTP/AVP 0"), ours)
    assert (media.index, media.port) == (1, 4002)
