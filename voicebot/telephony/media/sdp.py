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

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from voicebot.telephony.media.sdp_parse import parse_offer
from voicebot.telephony.media.sdp_types import (
    SUITES,
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
from voicebot.telephony.media.sdp_write import description, refused, stream

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


_EVENTS: Final = "TELEPHONE-EVENT"
_DIGITS: Final = "0-15"
_OUR_EVENTS: Final = Codec(_EVENTS, 101, 8000, fmtp=_DIGITS)
_OURS: Final = {
    "PCMU": Codec("PCMU", 0, 8000),
    "PCMA": Codec("PCMA", 8, 8000),
    "G722": Codec("G722", 9, 8000),
}
_COMFORT_NOISE: Final = 13
_OFFERED_SUITES: Final = ("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32")


def answer(
    offered: Offered, origin: Origin, media: Mapping[int, LocalMedia], abilities: Abilities
) -> Answered:
    """Answer an offer; for a re-offer give ``origin.next()``.

    One codec is taken, the first of the offer's that we know, so that none changes in a call.
    Comfort noise is never agreed to: a peer that goes on sending is heard better.

    Args:
        offered: By :func:`parse_offer`.
        origin: Ours.
        media: Our side of the m-lines we would take, by :attr:`Media.index`; all others are
            answered with port 0.
        abilities: Ours.

    Raises:
        NoCommonCodecError: not one m-line can be taken.
    """
    taken: list[Negotiated] = []
    lines: list[str] = []
    reasons: list[str] = []
    for theirs in offered.media:
        local = media.get(theirs.index)
        if local is None or not theirs.is_audio:
            lines.append(refused(theirs))
            continue
        try:
            agreed = _agree(theirs, local, abilities)
        except NoCommonCodecError as error:
            reasons.append(error.what)
            lines.append(refused(theirs))
            continue
        taken.append(agreed)
        lines.append(
            stream(
                local,
                origin,
                protocol=agreed.protocol,
                codecs=(agreed.codec, *((agreed.dtmf,) if agreed.dtmf else ())),
                crypto=(agreed.local_crypto,) if agreed.local_crypto else (),
                direction=agreed.direction,
                ptime_ms=agreed.ptime_ms,
                rtcp_mux=agreed.rtcp_mux,
            )
        )
    if not taken:
        raise NoCommonCodecError("; ".join(dict.fromkeys(reasons)) or "no audio stream is offered")
    return Answered(description(origin, lines), tuple(taken))


def build_offer(
    origin: Origin,
    media: Sequence[LocalMedia],
    abilities: Abilities,
    current: Sequence[Negotiated] = (),
) -> OurOffer:
    """Offer one audio m-line for each of ``media``.

    Keys are offered where ``srtp`` is required, or in force already; not where it is optional,
    since a profile that the peer does not know would cost the call.

    Args:
        origin: Ours; ``.next()`` in a re-offer.
        media: Ours; their ``direction`` says hold (SENDONLY, INACTIVE) or resume.
        abilities: Ours.
        current: In a re-offer, what is in force, in the order of ``media``, so that codec,
            payload types, profile and keys stay.
    """
    lines: list[str] = []
    codecs: list[tuple[Codec, ...]] = []
    protocols: list[str] = []
    crypto: list[tuple[Crypto, ...]] = []
    for place, local in enumerate(media):
        now = current[place] if place < len(current) else None
        if now is not None:
            ours = tuple(dict.fromkeys(now.receives))
            events = [now.dtmf] if now.dtmf else []
            keys: tuple[Crypto, ...] = (now.local_crypto,) if now.local_crypto else ()
            protocol, ptime, mux = now.protocol, now.ptime_ms, now.rtcp_mux
        else:
            ours = tuple(_OURS[name] for name in _names(abilities, local))
            events = [_OUR_EVENTS]
            secure = abilities.srtp is SrtpMode.REQUIRED
            keys = _keys(local) if secure else ()
            protocol, ptime, mux = ("RTP/SAVP" if secure else "RTP/AVP"), abilities.ptime_ms, False
        codecs.append((*ours, *events))
        protocols.append(protocol)
        crypto.append(keys)
        lines.append(
            stream(
                local,
                origin,
                protocol=protocol,
                codecs=codecs[-1],
                crypto=keys,
                direction=local.direction,
                ptime_ms=ptime,
                rtcp_mux=mux,
            )
        )
    return OurOffer(
        description(origin, lines),
        tuple(media),
        abilities,
        tuple(codecs),
        tuple(protocols),
        tuple(crypto),
    )


def read_answer(text: str, ours: OurOffer) -> tuple[Negotiated, ...]:
    """Read the peer's answer to our offer.

    Returns:
        The m-lines that it took, by rising index.

    Raises:
        SdpError: malformed, or no answer to this offer (number of m-lines).
        NoCommonCodecError: it took nothing, or something that was not offered.
    """
    theirs = parse_offer(text)
    if len(theirs.media) != len(ours.media):
        raise SdpError(
            f"session description: {len(theirs.media)} streams answer {len(ours.media)} offered"
        )
    taken = [
        _agreed(media, local, ours, place)
        for place, (media, local) in enumerate(zip(theirs.media, ours.media, strict=True))
        if media.kind == "audio" and media.port
    ]
    if not taken:
        raise NoCommonCodecError("every stream of our offer was refused")
    return tuple(taken)


def _agree(theirs: Media, local: LocalMedia, abilities: Abilities) -> Negotiated:
    """Our answer to one m-line."""
    codec = _first(theirs, _names(abilities, local))
    if codec is None:
        names = ", ".join(dict.fromkeys(each.name[:20] for each in theirs.codecs[:10])) or "none"
        raise NoCommonCodecError(
            f"no common codec: offered {names}; taken {', '.join(abilities.codecs)}"
        )
    remote = None
    if abilities.srtp is not SrtpMode.OFF and theirs.crypto:
        remote = theirs.crypto[0]
    if remote is None and (theirs.secure or abilities.srtp is SrtpMode.REQUIRED):
        raise NoCommonCodecError(
            "encryption is refused here"
            if abilities.srtp is SrtpMode.OFF
            else "no usable a=crypto line in the offer"
        )
    events = _events(theirs, codec.clock)
    return _negotiated(
        theirs,
        local,
        codec=codec,
        receives=(codec,),
        dtmf=replace(events, fmtp=_DIGITS) if events else None,
        dtmf_heard=(events.payload,) if events else (),
        ptime_ms=abilities.ptime_ms,
        local_crypto=_key(remote.tag, remote.suite, local) if remote else None,
        remote_crypto=remote,
    )


def _agreed(theirs: Media, local: LocalMedia, ours: OurOffer, place: int) -> Negotiated:
    """One m-line of the peer's answer."""
    if theirs.protocol != ours.protocols[place]:
        raise NoCommonCodecError(
            f"{ours.protocols[place]} was offered, {theirs.protocol[:20]} answered"
        )
    offered = ours.codecs[place]
    codec = _first(theirs, [each.name for each in offered if each.name != _EVENTS])
    if codec is None:
        raise NoCommonCodecError("the answer takes no codec that was offered")
    # A peer sends by our numbers (RFC 3264 section 5.1); some use those of their own answer.
    named = {each.name for each in theirs.codecs}
    mine = [each for each in offered if each.name in named and each.name in _OURS]
    same = [each for each in (*mine, *theirs.codecs) if _rate(each) == _rate(codec)]
    events = _events(theirs, codec.clock)
    heard = [each.payload for each in offered if each.name == _EVENTS] if events else []
    keys = ours.crypto[place]
    remote = local_key = None
    if keys:
        by_tag = {key.tag: key for key in keys}
        for item in theirs.crypto:
            if item.tag in by_tag and by_tag[item.tag].suite == item.suite:
                remote, local_key = item, by_tag[item.tag]
                break
        else:
            raise NoCommonCodecError("the answer has no key that fits an offered one")
    return _negotiated(
        theirs,
        local,
        codec=codec,
        receives=tuple(dict.fromkeys((codec, *same))),
        dtmf=replace(events, fmtp=_DIGITS) if events else None,
        dtmf_heard=tuple(dict.fromkeys((*heard, *((events.payload,) if events else ())))),
        ptime_ms=ours.abilities.ptime_ms,
        local_crypto=local_key,
        remote_crypto=remote,
    )


def _negotiated(
    theirs: Media,
    local: LocalMedia,
    *,
    codec: Codec,
    receives: tuple[Codec, ...],
    dtmf: Codec | None,
    dtmf_heard: tuple[int, ...],
    ptime_ms: int,
    local_crypto: Crypto | None,
    remote_crypto: Crypto | None,
) -> Negotiated:
    ours = local.direction.within(theirs.direction.reverse)
    noise = [each.payload for each in theirs.codecs if each.name == "CN" and each.clock == 8000]
    return Negotiated(
        index=theirs.index,
        label=theirs.label,
        protocol=theirs.protocol,
        codec=codec,
        receives=receives,
        dtmf=dtmf,
        dtmf_heard=dtmf_heard,
        comfort_noise=noise[0] if noise else _COMFORT_NOISE,
        host=theirs.host,
        port=theirs.port,
        rtcp_host=theirs.rtcp_host,
        rtcp_port=theirs.port if theirs.rtcp_mux else theirs.rtcp_port,
        rtcp_mux=theirs.rtcp_mux,
        direction=ours,
        on_hold=ours is not local.direction,
        ptime_ms=_ptime(theirs, ptime_ms),
        local_crypto=local_crypto,
        remote_crypto=remote_crypto,
    )


def _names(abilities: Abilities, local: LocalMedia) -> list[str]:
    """Codecs that this stream may have."""
    known = [name for name in abilities.codecs if name in _OURS]
    return [name for name in known if local.rate in (0, _rate(_OURS[name]))]


def _first(theirs: Media, names: Sequence[str]) -> Codec | None:
    """The first of the peer's codecs that is one of ours: by name, whatever its number."""
    for codec in theirs.codecs:
        known = _OURS.get(codec.name)
        if (
            known is not None
            and codec.name in names
            and codec.clock == known.clock
            and codec.channels == 1
        ):
            return replace(codec, fmtp="")
    return None


def _rate(codec: Codec) -> int:
    """Hz of the audio; 0 if it is none of ours."""
    if codec.name not in _OURS or codec.channels != 1 or codec.clock != _OURS[codec.name].clock:
        return 0
    return 16000 if codec.name == "G722" else 8000


def _events(theirs: Media, clock: int) -> Codec | None:
    """Telephone events, best at the codec's clock (RFC 4733 section 2.1 asks for that)."""
    events = [each for each in theirs.codecs if each.name == _EVENTS]
    return next((each for each in events if each.clock == clock), events[0] if events else None)


def _ptime(theirs: Media, ours: int) -> int:
    """What the peer asked for, in our limits of 10-60 ms and whole 10 ms."""
    wanted = theirs.ptime_ms or ours
    if theirs.maxptime_ms is not None:
        wanted = min(wanted, theirs.maxptime_ms)
    return max(10, min(wanted, 60) // 10 * 10)


def _keys(local: LocalMedia) -> tuple[Crypto, ...]:
    return tuple(_key(tag, suite, local) for tag, suite in enumerate(_OFFERED_SUITES, 1))


def _key(tag: int, suite: str, local: LocalMedia) -> Crypto:
    # Another suite, another key: a stream that starts over must not reuse one.
    key = hashlib.sha512(suite.encode("ascii") + local.key).digest()
    return Crypto(tag, suite, key[: SUITES[suite]])
