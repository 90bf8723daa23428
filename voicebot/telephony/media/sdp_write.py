"""Write session descriptions."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from voicebot.telephony.media.sdp_types import Codec, Crypto, Direction, LocalMedia, Media, Origin


def description(origin: Origin, media: Sequence[str]) -> str:
    """A whole session description.

    Args:
        origin: Ours; its host is also the session's ``c=``.
        media: M-lines with their attributes, by :func:`stream` or :func:`refused`.
    """
    address = _address(origin.host)
    head = (
        "v=0\r\n"
        f"o=- {origin.session_id} {origin.version} {address}\r\n"
        "s=voicebot\r\n"
        f"c={address}\r\n"
        "t=0 0\r\n"
    )
    return head + "".join(media)


def stream(
    local: LocalMedia,
    origin: Origin,
    *,
    protocol: str,
    codecs: Sequence[Codec],
    crypto: Sequence[Crypto],
    direction: Direction,
    ptime_ms: int,
    rtcp_mux: bool,
) -> str:
    """One audio m-line with its attributes."""
    lines = [f"m=audio {local.port} {protocol} {' '.join(str(c.payload) for c in codecs)}"]
    if local.host != origin.host:
        lines.append(f"c={_address(local.host)}")
    for codec in codecs:
        channels = f"/{codec.channels}" if codec.channels > 1 else ""
        name = codec.name.lower() if codec.name == "TELEPHONE-EVENT" else codec.name
        lines.append(f"a=rtpmap:{codec.payload} {name}/{codec.clock}{channels}")
        if codec.fmtp:
            lines.append(f"a=fmtp:{codec.payload} {codec.fmtp}")
    for item in crypto:
        key = base64.b64encode(item.key).decode("ascii")
        lines.append(f"a=crypto:{item.tag} {item.suite} inline:{key}")
    if rtcp_mux:
        lines.append("a=rtcp-mux")
    elif local.rtcp_port != local.port + 1:
        lines.append(f"a=rtcp:{local.rtcp_port}")
    if local.label:
        lines.append(f"a=label:{local.label}")
    lines += [f"a=ptime:{ptime_ms}", f"a={direction}"]
    return "".join(f"{line}\r\n" for line in lines)


def refused(media: Media) -> str:
    """An m-line that is not taken (RFC 3264 section 6)."""
    return f"m={media.kind} 0 {media.protocol} {' '.join(media.formats)}\r\n"


def _address(host: str) -> str:
    return f"IN {'IP6' if ':' in host else 'IP4'} {host}"
