"""Read session descriptions (RFC 8866) of peers that may be careless or hostile."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Final

from voicebot.telephony.media.sdp_types import (
    PROTOCOLS,
    SUITES,
    Codec,
    Crypto,
    Direction,
    Media,
    Offered,
    SdpError,
    direction,
)

_MOST_CHARACTERS: Final = 65536
_MOST_MEDIA: Final = 32
_STATIC: Final = {
    0: Codec("PCMU", 0, 8000),
    8: Codec("PCMA", 8, 8000),
    9: Codec("G722", 9, 8000),
    13: Codec("CN", 13, 8000),
}
"""those of RFC 3551 table 4 that matter here; they need no rtpmap"""
_RTPMAP: Final = re.compile(r"(\d{1,3})\s+([^\s/]+)/(\d{1,9})(?:/(\d{1,3}))?\s*", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9.:%_-]{1,253}")
_HELD: Final = "0.0.0.0"


@dataclass(slots=True)
class _Level:
    """Attributes of the session or of one m-line, as they were written."""

    host: str = ""
    direction: Direction | None = None
    ptime: int | None = None
    maxptime: int | None = None
    rtcp_port: int = 0
    rtcp_host: str = ""
    rtcp_mux: bool = False
    label: str = ""
    crypto: list[Crypto] = field(default_factory=list)
    rtpmap: dict[int, Codec] = field(default_factory=dict)
    fmtp: dict[int, str] = field(default_factory=dict)


def parse_offer(text: str) -> Offered:
    """Read a session description, offer or answer.

    Lines of unknown type and unknown attributes are skipped, as is a missing ``s=`` or ``t=``.

    Raises:
        SdpError: it is malformed; names the line.
    """
    if len(text) > _MOST_CHARACTERS:
        raise SdpError(f"session description: longer than {_MOST_CHARACTERS} characters")
    session = _Level()
    level = session
    medias: list[tuple[str, _Level, int]] = []
    session_id = version = ""
    started = False
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        if not line.strip():
            continue
        if len(line) < 2 or line[1] != "=" or not line[0].isalpha():
            raise _bad(number, line, "not of the form x=...")
        kind, value = line[0], line[2:].strip()
        if not started:
            if kind != "v" or value != "0":
                raise _bad(number, line, "a session description begins with v=0")
            started = True
        elif kind == "o":
            parts = value.split()
            if len(parts) < 6:
                raise _bad(number, line, "six fields are needed")
            session_id, version = parts[1], parts[2]
        elif kind == "c":
            level.host = _connection(number, line, value)
        elif kind == "m":
            if len(medias) == _MOST_MEDIA:
                raise _bad(number, line, f"more than {_MOST_MEDIA} streams")
            level = _Level()
            medias.append((value, level, number))
        elif kind == "a":
            _attribute(level, number, line, value)
    if not started:
        raise SdpError("session description: empty")
    media = tuple(_media(index, *item, session) for index, item in enumerate(medias))
    return Offered(media, session_id, version)


def _bad(number: int, line: str, why: str) -> SdpError:
    # Keys must not reach a log; nor must an endless line.
    shown = line[:9] + "..." if line.startswith("a=crypto") else line[:60]
    return SdpError(f"session description, line {number} ({shown!r}): {why}")


def _number(text: str, most: int) -> int | None:
    """A plain decimal number, 0 to most."""
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        return None
    value = int(text)
    return value if value <= most else None


def _connection(number: int, line: str, value: str) -> str:
    parts = value.split()
    if len(parts) != 3 or parts[0] != "IN" or parts[1] not in ("IP4", "IP6"):
        raise _bad(number, line, "IN IP4 or IN IP6 and an address are needed")
    return _host(number, line, parts[2].split("/")[0])  # a multicast address carries a TTL


def _host(number: int, line: str, host: str) -> str:
    if not _HOST.fullmatch(host):
        raise _bad(number, line, "neither an address nor a name")
    return host


def _attribute(level: _Level, number: int, line: str, value: str) -> None:
    name, _, rest = value.partition(":")
    rest = rest.strip()
    match name:
        case "sendrecv" | "sendonly" | "recvonly" | "inactive":
            level.direction = Direction(name)
        case "ptime":
            level.ptime = _milliseconds(rest)
        case "maxptime":
            level.maxptime = _milliseconds(rest)
        case "rtcp-mux":
            level.rtcp_mux = True
        case "rtcp":
            parts = rest.split()
            port = _number(parts[0], 65535) if parts else None
            if port is None or len(parts) not in (1, 4):
                raise _bad(number, line, "a port is needed, or a port and an address")
            level.rtcp_port = port
            level.rtcp_host = _host(number, line, parts[3]) if len(parts) == 4 else ""
        case "label":
            level.label = rest
        case "rtpmap":
            found = _RTPMAP.fullmatch(rest)
            if found is None or int(found[1]) > 127 or not 0 < int(found[3]) <= 384000:
                raise _bad(number, line, "payload type, name and clock rate are needed")
            payload = int(found[1])
            level.rtpmap[payload] = Codec(
                found[2].upper(), payload, int(found[3]), int(found[4] or 1)
            )
        case "fmtp":
            head, _, parameters = rest.partition(" ")
            payload_type = _number(head, 127)
            if payload_type is not None:
                level.fmtp[payload_type] = parameters.strip()
        case "crypto":
            crypto = _crypto(rest)
            if crypto is not None and len(level.crypto) < 16:
                level.crypto.append(crypto)
        case _:
            pass


def _milliseconds(text: str) -> int | None:
    """Some peers write 20.0; nonsense is as good as nothing."""
    return _number(text.partition(".")[0], 10000) or None


def _crypto(text: str) -> Crypto | None:
    """One key (RFC 4568 section 9.2); None if we cannot use it."""
    parts = text.split()
    if len(parts) < 3 or parts[1] not in SUITES or not parts[2].startswith("inline:"):
        return None
    tag = _number(parts[0], 999999999)
    fields = parts[2].removeprefix("inline:").split("|")
    # A master key identifier makes packets longer, and several keys need one; session parameters
    # that turn encryption off or change the keys' derivation are not for us either.
    if tag is None or any(":" in part for part in fields[1:]) or ";" in parts[2]:
        return None
    if any(not part.startswith(("WSH=", "-")) for part in parts[3:]):
        return None
    try:
        # Some peers leave the padding out.
        key = base64.b64decode(fields[0] + "=" * (-len(fields[0]) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return Crypto(tag, parts[1], key) if len(key) == SUITES[parts[1]] else None


def _media(index: int, value: str, level: _Level, number: int, session: _Level) -> Media:
    parts = value.split()
    line = f"m={value}"
    if len(parts) < 4:
        raise _bad(number, line, "kind, port, protocol and formats are needed")
    port = _number(parts[1].split("/")[0], 65535)
    if port is None:
        raise _bad(number, line, "the port is no port")
    protocol, formats = parts[2], tuple(parts[3:])
    host = level.host or session.host
    if not host and port:
        raise _bad(number, line, "no c= line says where to send")
    codecs = _codecs(number, line, formats, level, session) if protocol in PROTOCOLS else ()
    wants = level.direction or session.direction or Direction.SENDRECV
    if host == _HELD:  # RFC 2543 B.5: where nobody can be sent to, nobody receives
        wants = direction(wants.sends, False)
    return Media(
        index=index,
        kind=parts[0],
        port=port,
        protocol=protocol,
        formats=formats,
        codecs=codecs,
        host=host,
        direction=wants,
        ptime_ms=level.ptime or session.ptime,
        maxptime_ms=level.maxptime or session.maxptime,
        rtcp_host=level.rtcp_host or host,
        rtcp_port=level.rtcp_port or min(port + 1, 65535),
        rtcp_mux=level.rtcp_mux or session.rtcp_mux,
        label=level.label,
        # RFC 4568 section 5: at media level only; but some peers put it above.
        crypto=tuple(level.crypto or session.crypto),
    )


def _codecs(
    number: int, line: str, formats: tuple[str, ...], level: _Level, session: _Level
) -> tuple[Codec, ...]:
    codecs: dict[int, Codec] = {}
    for item in formats:
        payload = _number(item, 127)
        if payload is None:
            raise _bad(number, line, "a payload type is not a number of 0-127")
        codec = level.rtpmap.get(payload) or session.rtpmap.get(payload) or _STATIC.get(payload)
        if codec is not None and payload not in codecs:
            fmtp = level.fmtp.get(payload) or session.fmtp.get(payload) or ""
            codecs[payload] = Codec(codec.name, payload, codec.clock, codec.channels, fmtp)
    return tuple(codecs.values())
