"""Descriptions of careless and hostile peers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.telephony.media.sdp import (
    Abilities,
    LocalMedia,
    NoCommonCodecError,
    Origin,
    SdpError,
    answer,
    build_offer,
    parse_offer,
    read_answer,
)

GOOD = (
    "v=0\r\no=alice 2890844526 2890844527 IN IP4 198.51.100.7\r\ns=call\r\n"
    "c=IN IP4 198.51.100.7\r\nt=0 0\r\na=sendrecv\r\n"
    "m=audio 49170 RTP/SAVP 0 8 97 101\r\na=rtpmap:97 iLBC/8000/1\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=maxptime:60\r\n"
    "a=rtcp:53020 IN IP4 198.51.100.8\r\na=rtcp-mux\r\na=label:1\r\n"
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"
    "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20\r\n"
    "m=video 51372 RTP/AVP 31\r\na=rtpmap:31 H261/90000\r\n"
)
HEAD = "v=0\no=- 1 1 IN IP4 1.2.3.4\ns=-\nc=IN IP4 1.2.3.4\nt=0 0\n"
LOCAL = LocalMedia("192.0.2.1", 30000, 30001, bytes(46))


def test_what_a_description_says() -> None:
    offered = parse_offer(GOOD)
    audio, video = offered.media
    assert (offered.session_id, offered.version) == ("2890844526", "2890844527")
    assert [codec.name for codec in audio.codecs] == ["PCMU", "PCMA", "ILBC", "TELEPHONE-EVENT"]
    assert audio.codecs[3].fmtp == "0-15"
    assert (audio.ptime_ms, audio.maxptime_ms, audio.label) == (20, 60, "1")
    assert (audio.rtcp_host, audio.rtcp_port, audio.rtcp_mux) == ("198.51.100.8", 53020, True)
    assert audio.secure and len(audio.crypto) == 1
    assert video.formats == ("31",) and offered.audio == (audio,)


@pytest.mark.parametrize("ending", ["\n", "\r", "\r\n"])
def test_line_endings_and_what_is_missing(ending: str) -> None:
    text = ending.join(("v=0", "c=IN IP4 1.2.3.4", "", "m=audio 4000 RTP/AVP 0", ""))
    assert parse_offer(text).audio[0].port == 4000


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "empty"),
        ("hello", "line 1"),
        ("m=audio 1 RTP/AVP 0", "line 1"),
        ("v=1\n", "line 1"),
        (HEAD + "m=audio\n", "line 6"),
        (HEAD + "m=audio 4000 RTP/AVP\n", "line 6"),
        (HEAD + "m=audio 70000 RTP/AVP 0\n", "line 6"),
        (HEAD + "m=audio -1 RTP/AVP 0\n", "line 6"),
        (HEAD + "m=audio ٣ RTP/AVP 0\n", "line 6"),
        (HEAD + "m=audio 4000 RTP/AVP 0 128\n", "line 6"),
        (HEAD + "m=audio 4000 RTP/AVP PCMU\n", "line 6"),
        (HEAD + "m=audio 4000 RTP/AVP 97\na=rtpmap:97\n", "line 7"),
        (HEAD + "m=audio 4000 RTP/AVP 97\na=rtpmap:97 PCMU/0\n", "line 7"),
        (HEAD + "m=audio 4000 RTP/AVP 97\na=rtpmap:297 PCMU/8000\n", "line 7"),
        (HEAD + "m=audio 4000 RTP/AVP 0\na=rtcp:\n", "line 7"),
        (HEAD + "m=audio 4000 RTP/AVP 0\na=rtcp:99999\n", "line 7"),
        (HEAD + "m=audio 4000 RTP/AVP 0\nc=IN IP5 1.2.3.4\n", "line 7"),
        (HEAD + "c=IN IP4\n", "line 6"),
        (HEAD + "c=IN IP4 a\0b\n", "line 6"),
        ("v=0\no=- 1\n", "line 2"),
        ("v=0\nm=audio 4000 RTP/AVP 0\n", "no c="),
        (HEAD + "m=audio 4000 RTP/AVP 0\nnonsense\n", "line 7"),
        (HEAD + "m=audio 4 RTP/AVP 0\n" * 33, "line 38"),
        ("v=0\n" + "a=x\n" * 40000, "longer"),
    ],
)
def test_malformed_descriptions_are_named_by_line(text: str, line: str) -> None:
    with pytest.raises(SdpError, match=line):
        parse_offer(text)


def test_a_key_is_never_in_an_error() -> None:
    with pytest.raises(SdpError) as caught:
        parse_offer("v=0\na=crypto:1 X inline:secret\na crypto")
    assert "secret" not in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutations_raise_nothing_else(data: st.DataObject) -> None:
    text = list(GOOD)
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(text)))
        length = data.draw(st.integers(0, 12))
        text[place : place + length] = data.draw(
            st.one_of(
                st.text(max_size=8),
                st.sampled_from(["\r\n", "m=audio 0 RTP/AVP 0", "a=rtcp:", "c=IN IP4 ", "/", ":"]),
            )
        )
    ours = build_offer(Origin("192.0.2.1", 1), [LOCAL, LOCAL], Abilities())
    for read in (
        lambda: answer(parse_offer("".join(text)), Origin("192.0.2.1", 1), {0: LOCAL}, Abilities()),
        lambda: read_answer("".join(text), ours),
    ):
        try:
            read()
        except (SdpError, NoCommonCodecError):
            continue


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_any_text_raises_nothing_else(text: str) -> None:
    try:
        parse_offer("v=0\n" + text)
    except SdpError:
        return
