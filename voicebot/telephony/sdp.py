"""Offer and answer (RFC 3264): pure functions, nothing is sent here.

Usage, when a peer offers::

    offered = parse_offer(text)                         # SdpError -> 400
    sessions = {m.index: await MediaSession.open(...) for m in offered.audio}
    answered = answer(offered, origin, {i: s.local() for i, s in sessions.items()}, abilities)
    for negotiated in answered.media:                   # NoCommonCodecError -> 488
        sessions[negotiated.index].apply(negotiated)    # close those that are not among them

and when we do (INVITE, or the 200 to an INVITE without SDP)::

    ours = build_offer(origin, [session.local()], abilities)
    for negotiated in read_answer(text, ours):
        ...
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from voicebot.telephony.sdp_types import (
    Abilities,
    Answered,
    Codec,
    Crypto,
    Direction,
    LocalMedia,
    Media,
    Negotiated,
    NoCommonCodecError,
    Offered,
    Origin,
    OurOffer,
    SdpError,
    SrtpMode,
)

__all__ = [
    "Abilities",
    "Answered",
    "Codec",
    "Crypto",
    "Direction",
    "LocalMedia",
    "Media",
    "Negotiated",
    "NoCommonCodecError",
    "Offered",
    "Origin",
    "OurOffer",
    "SdpError",
    "SrtpMode",
    "answer",
    "build_offer",
    "parse_offer",
    "read_answer",
]


def parse_offer(text: str) -> Offered:
    """Read a session description, offer or answer.

    Raises:
        SdpError: it is malformed; names the line.
    """
    raise NotImplementedError


def answer(
    offered: Offered, origin: Origin, media: Mapping[int, LocalMedia], abilities: Abilities
) -> Answered:
    """Answer an offer; for a re-offer give ``origin.next()``.

    Args:
        offered: By :func:`parse_offer`.
        origin: Ours.
        media: Our side of the m-lines we would take, by :attr:`Media.index`; all others are
            answered with port 0.
        abilities: Ours.

    Raises:
        NoCommonCodecError: not one m-line can be taken.
    """
    raise NotImplementedError


def build_offer(
    origin: Origin,
    media: Sequence[LocalMedia],
    abilities: Abilities,
    current: Sequence[Negotiated] = (),
) -> OurOffer:
    """Offer one audio m-line for each of ``media``.

    Args:
        origin: Ours; ``.next()`` in a re-offer.
        media: Ours; their ``direction`` says hold (SENDONLY, INACTIVE) or resume.
        abilities: Ours.
        current: In a re-offer, what is in force, so that payload types and profile stay.
    """
    raise NotImplementedError


def read_answer(text: str, ours: OurOffer) -> tuple[Negotiated, ...]:
    """Read the peer's answer to our offer.

    Returns:
        The m-lines that it took, by rising index.

    Raises:
        SdpError: malformed, or no answer to this offer (number of m-lines).
        NoCommonCodecError: it took nothing, or something that was not offered.
    """
    raise NotImplementedError
