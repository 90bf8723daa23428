"""What a session description says, in the words of this program.

Sources:
    RFC 8866 (SDP), RFC 3264 (offer and answer), RFC 4568 (keys in SDP), RFC 4733
    (telephone events), RFC 5761 (RTP and RTCP on one port), RFC 4574 (labels).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from voicebot.errors import VoicebotError


class SdpError(VoicebotError):
    """A session description that cannot be read; names the line.  For SIP: 400, or 488 in a BYE."""


class NoCommonCodecError(VoicebotError):
    """Nothing that both sides can speak: codec, keys or profile.  For SIP: 488."""


class Direction(StrEnum):
    """Which way audio flows, as seen by whoever says it."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        """Whether the one who says it sends."""
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        """Whether the one who says it receives."""
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    @property
    def reverse(self) -> Direction:
        """The same, as seen by the other side."""
        return direction(self.receives, self.sends)

    def within(self, other: Direction) -> Direction:
        """What is left of it where only ``other`` is allowed."""
        return direction(self.sends and other.sends, self.receives and other.receives)


def direction(sends: bool, receives: bool) -> Direction:
    """The direction of one who sends, receives, both or neither."""
    if sends:
        return Direction.SENDRECV if receives else Direction.SENDONLY
    return Direction.RECVONLY if receives else Direction.INACTIVE


class SrtpMode(StrEnum):
    """Whether media are encrypted."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload format."""

    name: str
    """encoding name in upper case: ``PCMU``, ``PCMA``, ``G722``, ``TELEPHONE-EVENT``, ``CN``"""
    payload: int
    """payload type, 0-127"""
    clock: int
    """Hz of the timestamps; 8000 for G.722 too (RFC 3551 section 4.5.2)"""
    channels: int = 1
    fmtp: str = ""


@dataclass(frozen=True, slots=True)
class Crypto:
    """One ``a=crypto`` line (RFC 4568)."""

    tag: int
    suite: str
    """``AES_CM_128_HMAC_SHA1_80``, ..."""
    key: bytes
    """master key and salt"""

    def __repr__(self) -> str:
        return f"Crypto(tag={self.tag}, suite={self.suite!r})"


@dataclass(frozen=True, slots=True)
class Origin:
    """Our ``o=`` line.  One a dialog, made with a random ``session_id``."""

    host: str
    """our advertised address"""
    session_id: int
    version: int = 1

    def next(self) -> Origin:
        """For the next description in the same dialog (RFC 3264 section 8)."""
        return replace(self, version=self.version + 1)


@dataclass(frozen=True, slots=True)
class Media:
    """One m-line as a peer wrote it, session level already applied."""

    index: int
    """place among the m-lines, from 0"""
    kind: str
    """``audio``, ``video``, ..."""
    port: int
    """0: not wanted"""
    protocol: str
    """``RTP/AVP``, ``RTP/SAVP``, ``RTP/AVPF``, ``RTP/SAVPF``, ..."""
    formats: tuple[str, ...]
    codecs: tuple[Codec, ...]
    """in the peer's order; those of unknown name left out"""
    host: str
    """where it wants to receive; ``0.0.0.0`` if it is held the old way"""
    direction: Direction
    """as seen by the peer; already INACTIVE or SENDONLY where ``c=`` says hold"""
    ptime_ms: int | None
    maxptime_ms: int | None
    rtcp_host: str
    rtcp_port: int
    rtcp_mux: bool
    label: str
    """``a=label``; empty if none"""
    crypto: tuple[Crypto, ...]
    """those that could be read, in the peer's order"""

    @property
    def secure(self) -> bool:
        """Whether the profile is a secure one."""
        return "SAVP" in self.protocol

    @property
    def is_audio(self) -> bool:
        """Whether it is an audio stream over RTP that the peer wants."""
        return self.kind == "audio" and self.port > 0 and self.protocol in PROTOCOLS


PROTOCOLS: Final = ("RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF")
"""profiles that can be answered"""
SUITES: Final = {
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
    "AEAD_AES_128_GCM": 28,
    "AEAD_AES_256_GCM": 44,
}
"""suites that can be used, best known first, and octets of their key and salt (RFC 4568, 7714)"""


@dataclass(frozen=True, slots=True)
class Offered:
    """A peer's session description."""

    media: tuple[Media, ...]
    session_id: str
    version: str

    @property
    def audio(self) -> tuple[Media, ...]:
        """The m-lines that can be answered."""
        return tuple(media for media in self.media if media.is_audio)


@dataclass(frozen=True, slots=True)
class Abilities:
    """What we can do with any stream; :meth:`MediaParams.abilities` makes it."""

    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    """names we take; the order is that of our own offers (an answer follows the offer's)"""
    ptime_ms: int = 20
    srtp: SrtpMode = SrtpMode.OPTIONAL


@dataclass(frozen=True, slots=True)
class LocalMedia:
    """Our side of one m-line; :meth:`MediaSession.local` makes it."""

    host: str
    """advertised"""
    port: int
    rtcp_port: int
    key: bytes
    """at least 46 random octets, kept for the session; master key and salt are made of them"""
    direction: Direction = Direction.SENDRECV
    """what we want to do; RECVONLY for a recorder"""
    label: str = ""
    rate: int = 0
    """Hz of the codecs that may be taken; 0: any.  In a call the rate cannot change."""

    def __repr__(self) -> str:
        return f"LocalMedia({self.host!r}, {self.port}, {self.direction!s})"


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What both sides agreed on for one m-line."""

    index: int
    label: str
    protocol: str
    codec: Codec
    """what we send, and expect"""
    receives: tuple[Codec, ...]
    """all that the peer may send, ``codec`` first"""
    dtmf: Codec | None
    """telephone-event as we send it; None if it was not offered"""
    dtmf_heard: tuple[int, ...]
    """payload types of telephone-event that the peer may send"""
    comfort_noise: int
    """payload type of comfort noise, RFC 3389; it is never asked for, but always understood"""
    host: str
    """where to send"""
    port: int
    rtcp_host: str
    rtcp_port: int
    rtcp_mux: bool
    direction: Direction
    """as seen by us"""
    on_hold: bool
    """we may not do what we wanted to"""
    ptime_ms: int
    """of what we send"""
    local_crypto: Crypto | None
    """encrypts what we send; None: not encrypted"""
    remote_crypto: Crypto | None


@dataclass(frozen=True, slots=True)
class Answered:
    """Our answer."""

    text: str
    media: tuple[Negotiated, ...]
    """those m-lines that were accepted, by rising index"""


@dataclass(frozen=True, slots=True)
class OurOffer:
    """Our offer; kept until the answer comes."""

    text: str
    media: tuple[LocalMedia, ...]
    abilities: Abilities
    codecs: tuple[tuple[Codec, ...], ...]
    """of each m-line, telephone-event among them"""
    protocols: tuple[str, ...]
    crypto: tuple[tuple[Crypto, ...], ...]
    """of each m-line; empty where nothing is encrypted"""
