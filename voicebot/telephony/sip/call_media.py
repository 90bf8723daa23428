"""What an INVITE session needs of its media, and the bodies that carry their descriptions.

:class:`CallMedia` is what a call needs of its media, whatever they are: one leg
(:mod:`leg_media`), or two in a recording session.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from aiosipua.message import SipRequest, SipResponse

from voicebot.events import Leg, Pcm
from voicebot.telephony.line import Ear, MediaFigures, Offer
from voicebot.telephony.sip.multipart import MultipartError, split

SDP: Final = "application/sdp"


class BodyError(ValueError):
    """A body that we cannot take: answered by 415."""


@dataclass(frozen=True, slots=True)
class Body:
    """What goes out in a message."""

    data: bytes
    kind: str = SDP

    def put(self, message: SipRequest | SipResponse) -> None:
        """Make it the body of a message."""
        message.set_header("Content-Type", self.kind)
        message.body = self.data


class CallMedia(Protocol):
    """What a call needs of its media.  Every method may be called again in the same call."""

    options: tuple[str, ...]
    """option tags that this kind of call supports besides those of every call: ``siprec``"""
    contact_parameters: str
    """appended to our Contact: ``;+sip.srs``; else empty"""
    can_speak: bool
    """whether :meth:`play` reaches the caller"""

    def describe(self, offer: Offer) -> Offer:
        """Complete what is told to the reception: legs, rate, names; after the first offer."""
        ...

    def begin(self, ear: Ear) -> None:
        """From now on pour what is heard into an ear: audio, digits, hold."""
        ...

    async def take_offer(self, message: SipRequest) -> Body:
        """Take the offer in a message with a session description; returns the answer.

        Raises:
            SdpError: malformed (400).
            NoCommonCodecError: nothing in common (488).
            BodyError: no session description among what the message carries (415).
            NoPortError: no port is free (503).
        """
        ...

    async def make_offer(self) -> Body:
        """Offer what is in force, or all we can at first.

        Raises:
            NoPortError: no port is free (503).
        """
        ...

    async def take_answer(self, message: SipRequest | SipResponse) -> None:
        """Take the answer to the last :meth:`make_offer`.

        Raises:
            SdpError: malformed, or there is none.
            NoCommonCodecError: nothing was accepted.
        """
        ...

    def take_rest(self, message: SipRequest) -> None:
        """Look at a re-INVITE or UPDATE without session description, for what else it has.

        Raises:
            BodyError: something that is not understood (415).
        """
        ...

    def digit(self, digit: str, seconds: float) -> None:
        """Take a digit that came by signalling."""
        ...

    def figures(self) -> Mapping[Leg, MediaFigures]:
        """How well the audio arrives."""
        ...

    async def play(self, pcm: Pcm) -> None:
        """As :meth:`Line.play`."""
        ...

    async def close(self) -> None:
        """Release ports.  May be called twice."""
        ...


class SiprecHandler(Protocol):
    """Takes recording sessions (RFC 7866), which come by INVITE too."""

    async def open(self, invite: SipRequest) -> CallMedia:
        """Make the media of a recording session; :meth:`CallMedia.take_offer` comes next.

        Args:
            invite: Has ``Require: siprec`` or a part ``application/rs-metadata``.

        Raises:
            SdpError, NoCommonCodecError, BodyError, NoPortError: as :meth:`CallMedia.take_offer`.
        """
        ...


def sdp_of(message: SipRequest | SipResponse) -> str | None:
    """The session description of a message, alone or as one part of several.

    Returns:
        None if the message has no body.

    Raises:
        BodyError: There are other things only.
    """
    if not message.body:
        return None
    try:
        parts = split(message.content_type or "", message.body)
    except MultipartError as error:
        raise BodyError(str(error)) from error
    for part in parts:
        if part.kind == SDP:
            return part.body.decode("utf-8", "replace")
    raise BodyError("no session description")


def is_siprec(request: SipRequest) -> bool:
    """Whether an INVITE opens a recording session (RFC 7866 section 6)."""
    required = ",".join(request.headers.get("require")).lower().split(",")
    if "siprec" in (tag.strip() for tag in required):
        return True
    try:
        parts = split(request.content_type or "", request.body) if request.body else ()
    except MultipartError:
        return False
    return any(part.kind.startswith("application/rs-metadata") for part in parts)
