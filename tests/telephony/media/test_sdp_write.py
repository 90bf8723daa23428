from __future__ import annotations

from voicebot.telephony.media.sdp_parse import parse_offer
from voicebot.telephony.media.sdp_types import Codec, Crypto, Direction, LocalMedia, Origin
from voicebot.telephony.media.sdp_write import description, refused, stream


def test_what_is_written_is_read() -> None:
    origin = Origin("192.0.2.1", 5, 7)
    local = LocalMedia("2001:db8::5", 30000, 30007, bytes(46), label="agent")
    key = Crypto(3, "AES_CM_128_HMAC_SHA1_80", bytes(range(30)))
    codecs = (Codec("PCMA", 97, 8000), Codec("TELEPHONE-EVENT", 100, 8000, fmtp="0-15"))
    text = description(
        origin,
        [
            stream(
                local,
                origin,
                protocol="RTP/SAVP",
                codecs=codecs,
                crypto=(key,),
                direction=Direction.SENDONLY,
                ptime_ms=30,
                rtcp_mux=False,
            )
        ],
    )
    assert text.endswith("\r\n") and "\n\n" not in text
    offered = parse_offer(text)
    (media,) = offered.media
    assert (offered.session_id, offered.version) == ("5", "7")
    assert (media.host, media.port, media.rtcp_port) == ("2001:db8::5", 30000, 30007)
    assert (media.codecs, media.crypto, media.label) == (codecs, (key,), "agent")
    assert (media.ptime_ms, media.direction) == (30, Direction.SENDONLY)
    assert parse_offer(description(origin, [refused(media)])).media[0].port == 0
