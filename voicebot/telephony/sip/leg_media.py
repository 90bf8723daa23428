"""One leg of RTP in an INVITE session: a caller's, or an agent's whom we called."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Protocol

from aiosipua.message import SipRequest, SipResponse

from voicebot.audio.pcm import StreamResampler, resample, to_float, to_int16
from voicebot.events import Leg, Pcm
from voicebot.telephony.line import Ear, MediaFigures, Offer
from voicebot.telephony.media.media_session import MediaParams, MediaSession
from voicebot.telephony.media.ports import PortPool
from voicebot.telephony.media.sdp import answer, build_offer, parse_offer, read_answer
from voicebot.telephony.media.sdp_types import (
    Direction,
    Negotiated,
    NoCommonCodecError,
    Offered,
    Origin,
    OurOffer,
    SdpError,
)
from voicebot.telephony.sip.call_media import Body, BodyError, sdp_of


class Tap(Protocol):
    """Listens beside the ear: the other side of a bridge."""

    def heard(self, pcm: Pcm, rate: int) -> None:
        """Take audio as it comes in."""
        ...

    def digit(self, digit: str, seconds: float) -> None:
        """Take a DTMF digit."""
        ...


class LegMedia:
    """One leg of RTP and what was agreed on it: a caller's, or an agent's in a bridge.

    Args:
        params: Addresses, ports, codecs.
        pool: Shared.
        leg: Whose.
    """

    options: tuple[str, ...] = ()
    contact_parameters = ""
    can_speak = True

    def __init__(self, params: MediaParams, pool: PortPool, leg: Leg = Leg.CALLER) -> None:
        self._params = params
        self._pool = pool
        self._leg = leg
        self._session: MediaSession | None = None
        self._origin = Origin(params.advertise or params.host, secrets.randbits(40))
        self._described = False
        self._ours: OurOffer | None = None
        self._ear: Ear | None = None
        self._held = False
        self._past: list[MediaFigures] = []
        self._resampler: StreamResampler | None = None
        self._closed = False
        self.tap: Tap | None = None
        """hears the same as the ear"""
        self.rate = 0
        """Hz of what the ear gets; stays what it is from the first negotiation on"""

    @property
    def session(self) -> MediaSession | None:
        """The sockets, once they are open."""
        return self._session

    @property
    def ready(self) -> bool:
        """Whether something was agreed on."""
        return self._session is not None and self._session.negotiated is not None

    def describe(self, offer: Offer) -> Offer:
        """Add leg and rate."""
        # Where we offer, the rate is not known yet: narrow band, resampled if need be.
        self.rate = self.rate or 8000
        return replace(offer, legs=(self._leg,), rate=self.rate)

    def begin(self, ear: Ear) -> None:
        """Pour into an ear."""
        self._ear = ear
        if self._held:
            ear.held(self._leg, True)

    async def take_offer(self, message: SipRequest) -> Body:
        """See :meth:`CallMedia.take_offer`; the first audio stream that fits is taken."""
        text = sdp_of(message)
        if text is None:
            raise BodyError("no session description")
        offered = parse_offer(text)
        session = await self._open()
        try:
            reply, negotiated = self._answer(offered, session)
        except NoCommonCodecError:
            if session.negotiated is None:
                raise
            # Perhaps a codec of another rate, which wants new sockets; if not, the old ones stay.
            session = await self._open_another()
            try:
                reply, negotiated = self._answer(offered, session)
            except BaseException:
                await session.close()
                raise
            await self._move_to(session)
        self._ours = None
        self._apply(session, negotiated)
        return reply

    async def make_offer(self) -> Body:
        """See :meth:`CallMedia.make_offer`."""
        session = await self._open()
        now = session.negotiated
        # A peer that holds us goes on holding us: what is in force is offered again.
        local = session.local(now.direction if now else Direction.SENDRECV)
        current = (now,) if now else ()
        self._ours = build_offer(self._next_origin(), [local], self._params.abilities(), current)
        return Body(self._ours.text.encode())

    async def take_answer(self, message: SipRequest | SipResponse) -> None:
        """See :meth:`CallMedia.take_answer`."""
        try:
            text = sdp_of(message)
        except BodyError as error:
            raise SdpError("no session description in the answer") from error
        session = self._session
        if text is None or self._ours is None or session is None:
            raise SdpError("no session description in the answer")
        self._apply(session, read_answer(text, self._ours)[0])

    def take_rest(self, message: SipRequest) -> None:
        """Nothing else is of interest, and nothing else is understood.

        Raises:
            BodyError: there is a body.
        """
        if message.body:
            raise BodyError("no session description")

    def digit(self, digit: str, seconds: float) -> None:
        """Pass a digit on, however it came."""
        if self._ear is not None:
            self._ear.digit(self._leg, digit, seconds)
        if self.tap is not None:
            self.tap.digit(digit, seconds)

    def figures(self) -> Mapping[Leg, MediaFigures]:
        """How well the audio arrives."""
        if self._session is None:
            return {self._leg: self._past[-1]} if self._past else {}
        return {self._leg: _sum(self._past, self._session.figures())}

    async def play(self, pcm: Pcm) -> None:
        """Say something; ``pcm`` is at :attr:`rate`."""
        session = self._session
        if session is not None and session.negotiated is not None and not self._closed:
            await session.play(resample(pcm, self.rate or session.rate, session.rate))

    async def close(self) -> None:
        """Release the ports."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            self._past.append(_sum(self._past, session.figures()))
            await session.close()

    def _answer(self, offered: Offered, session: MediaSession) -> tuple[Body, Negotiated]:
        """Answer with the first m-line that fits; the others are refused."""
        fault: NoCommonCodecError | None = None
        abilities = self._params.abilities()
        origin = self._next_origin()
        for media in offered.audio:
            try:
                answered = answer(offered, origin, {media.index: session.local()}, abilities)
            except NoCommonCodecError as error:
                fault = fault or error
                continue
            return Body(answered.text.encode()), answered.media[0]
        raise fault or NoCommonCodecError("no audio stream is offered")

    def _next_origin(self) -> Origin:
        if self._described:
            self._origin = self._origin.next()
        self._described = True
        return self._origin

    async def _open(self) -> MediaSession:
        if self._closed:
            raise NoCommonCodecError("the call is over")
        if self._session is None:
            self._session = await self._open_another()
        return self._session

    async def _open_another(self) -> MediaSession:
        opened = await MediaSession.open(self._params, self._pool, self._heard, self.digit)
        if self._closed:  # hung up meanwhile
            await opened.close()
            raise NoCommonCodecError("the call is over")
        return opened

    async def _move_to(self, session: MediaSession) -> None:
        before, self._session = self._session, session
        if before is not None:
            self._past = [_sum(self._past, before.figures())]
            await before.close()

    def _apply(self, session: MediaSession, negotiated: Negotiated) -> None:
        session.apply(negotiated)
        self.rate = self.rate or session.rate
        if session.rate == self.rate:
            self._resampler = None
        else:
            self._resampler = StreamResampler(session.rate, self.rate, 1)
        held = negotiated.direction is not Direction.SENDRECV
        if held != self._held:
            self._held = held
            if self._ear is not None:
                self._ear.held(self._leg, held)

    def _heard(self, pcm: Pcm, concealed: bool) -> None:
        if self.tap is not None and self._session is not None:
            self.tap.heard(pcm, self._session.rate)
        if self._ear is None:
            return
        if self._resampler is not None:
            pcm = to_int16(self._resampler.push(to_float(pcm)[:, None])[:, 0])
        if len(pcm):
            self._ear.audio(self._leg, pcm, concealed=concealed)


def _sum(past: list[MediaFigures], now: MediaFigures) -> MediaFigures:
    """Figures of a leg over all of its sockets; codec and jitter are those of the last."""
    if not past:
        return now
    added = {
        item.name: getattr(past[-1], item.name) + getattr(now, item.name)
        for item in fields(MediaFigures)
        if item.name not in ("codec", "jitter")
    }
    return replace(now, **added)
