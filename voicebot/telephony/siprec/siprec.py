"""Recording server of SIPREC (RFC 7866): calls that somebody else has, sent here to be heard.

A session border controller or PBX calls us with one stream for each party and metadata
that say who they are.  We only listen: every stream is answered ``recvonly``, nothing is
played, and the caller can be transferred only by whoever has the call.

The INVITE session itself is the SIP endpoint's; this is the media of such a session.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from aiosipua.message import SipRequest, SipResponse

from voicebot.audio.pcm import StreamResampler, to_float, to_int16
from voicebot.events import Leg, Pcm
from voicebot.telephony.faults import Faults
from voicebot.telephony.line import Ear, MediaFigures, Offer
from voicebot.telephony.media.media_session import MediaParams, MediaSession
from voicebot.telephony.media.ports import PortPool
from voicebot.telephony.media.sdp import answer, build_offer, parse_offer, read_answer
from voicebot.telephony.media.sdp_types import (
    Answered,
    Direction,
    LocalMedia,
    Media,
    Negotiated,
    Offered,
    Origin,
    OurOffer,
    SdpError,
)
from voicebot.telephony.media.sdp_write import description, refused
from voicebot.telephony.sip.call_media import SDP, Body, BodyError, sdp_of
from voicebot.telephony.siprec.siprec_parties import Parties, SiprecParams


@dataclass(slots=True)
class _Track:
    """One stream that is listened to."""

    session: MediaSession
    leg: Leg
    resampler: StreamResampler | None = None


class SiprecRecorder:
    """Opens recording sessions for the SIP endpoint.

    Args:
        params: Which parties are agents.
        media: Addresses, ports, codecs.
        pool: Shared with all other calls.
    """

    def __init__(self, params: SiprecParams, media: MediaParams, pool: PortPool) -> None:
        self._params = params
        self._media = media
        self._pool = pool
        self.faults = Faults("siprec")

    @property
    def counters(self) -> Mapping[str, int]:
        """``siprec_mixed``, ``siprec_metadata_malformed``, ``siprec_no_metadata``, ..."""
        return self.faults.counters

    async def open(self, invite: SipRequest) -> SiprecMedia:
        """Make the media of a recording session; :meth:`SiprecMedia.take_offer` comes next.

        Raises:
            BodyError: it brings no session description: a recording client must offer
                (RFC 7866 section 7.1).
        """
        if sdp_of(invite) is None:
            raise BodyError("a recording session without a session description")
        return SiprecMedia(self._params, self._media, self._pool, self.faults)


class SiprecMedia:
    """The streams of one recorded call: see :class:`voicebot.telephony.sip.call_media.CallMedia`.

    Args:
        params: Which parties are agents.
        media: Addresses, ports, codecs.
        pool: Shared.
        faults: Counts what is odd.
    """

    options: tuple[str, ...] = ("siprec",)
    contact_parameters = ";+sip.srs"
    can_speak = False

    def __init__(
        self, params: SiprecParams, media: MediaParams, pool: PortPool, faults: Faults
    ) -> None:
        self._media = media
        self._pool = pool
        self._faults = faults
        self._parties = Parties(params, faults)
        self._lines: tuple[Media, ...] = ()
        """the m-lines of the last offer"""
        self._tracks: dict[int, _Track] = {}
        """by m-line"""
        self._origin = Origin(media.advertise or media.host, secrets.randbits(40))
        self._described = False
        self._ours: OurOffer | None = None
        self._ear: Ear | None = None
        self._legs: tuple[Leg, ...] = (Leg.CALLER, Leg.AGENT)
        self._held = dict.fromkeys(Leg, False)
        """what the ear was told last"""
        self._past: dict[Leg, MediaFigures] = {}
        self._closed = False
        self.rate = 0
        """Hz of what the ear gets"""

    def describe(self, offer: Offer) -> Offer:
        """Say that it is a recorded call, and who talks to whom."""
        self.rate = self.rate or 8000
        # The second stream may come later, by re-INVITE; until then its leg is on hold.
        self._legs = (Leg.CALLER,) if self._parties.mixed else (Leg.CALLER, Leg.AGENT)
        return replace(
            offer,
            gateway="siprec",
            legs=self._legs,
            rate=self.rate,
            called=self._parties.called or offer.called,
            caller=self._parties.caller or offer.caller,
        )

    def begin(self, ear: Ear) -> None:
        """Pour into an ear; a leg without a stream counts as held."""
        self._ear = ear
        self._tell()

    async def take_offer(self, message: SipRequest) -> Body:
        """Take a session description, and the metadata beside it if there are any.

        If it cannot be answered, the call goes on as it was.
        """
        text = sdp_of(message)
        if text is None:
            raise BodyError("no session description")
        offered = parse_offer(text)
        self._parties.read(message)
        legs = self._parties.assign(offered.audio, self._current())
        wanted = {
            media.index: leg
            for media, leg in zip(offered.audio, legs, strict=True)
            if leg is not None and leg in self._legs
        }
        if len(wanted) < len(offered.audio):
            self._faults.count("siprec_stream_unwanted", streams=len(offered.audio))
        origin = self._next_origin()
        if self._tracks and not offered.audio:  # recording pauses by taking all streams away
            await self._adopt({}, (), offered)
            lines = [refused(media) for media in offered.media]
            return Body(description(origin, lines).encode(), SDP)
        sessions, answered = await self._answer(offered, origin, wanted)
        tracks = {
            item.index: _Track(sessions[item.index], wanted[item.index]) for item in answered.media
        }
        await self._adopt(tracks, answered.media, offered)
        return Body(answered.text.encode(), SDP)

    async def make_offer(self) -> Body:
        """Offer what is in force, to keep the session alive."""
        if not self._tracks:
            raise BodyError("a recording server has nothing to offer")
        placeholder = next(iter(self._tracks.values())).session
        locals_: list[LocalMedia] = []
        current: list[Negotiated] = []
        for media in self._lines:
            track = self._tracks.get(media.index)
            session = track.session if track else placeholder
            local = session.local(Direction.RECVONLY, media.label)
            now = session.negotiated
            assert now is not None, "a track is kept only once its m-line was agreed on"
            if track is None:
                local = replace(local, port=0, label="")
            elif now.direction is Direction.INACTIVE:
                local = replace(local, direction=Direction.INACTIVE)
            locals_.append(local)
            current.append(now)
        self._ours = build_offer(self._next_origin(), locals_, self._media.abilities(), current)
        return Body(self._ours.text.encode(), SDP)

    async def take_answer(self, message: SipRequest | SipResponse) -> None:
        """Take the answer to :meth:`make_offer`."""
        try:
            text = sdp_of(message)
        except BodyError as error:
            raise SdpError("no session description in the answer") from error
        if text is None or self._ours is None:
            raise SdpError("no session description in the answer")
        for item in read_answer(text, self._ours):
            track = self._tracks.get(item.index)
            if track is not None:
                track.session.apply(item)
        self._tell()

    def take_rest(self, message: SipRequest) -> None:
        """Take metadata that come alone, in an UPDATE or INFO."""
        self._parties.read(message)
        audio = [media for media in self._lines if media.index in self._tracks]
        legs = self._parties.assign(audio, self._current())
        for media, leg in zip(audio, legs, strict=True):
            if leg is not None and leg in self._legs:
                self._tracks[media.index].leg = leg
        self._tell()

    def digit(self, digit: str, seconds: float) -> None:
        """A digit that came by signalling; of the caller, for all we know."""
        if self._ear is not None and not self._closed:
            self._ear.digit(Leg.CALLER, digit, seconds)

    def figures(self) -> Mapping[Leg, MediaFigures]:
        """How well the audio arrives; streams that one leg had before are counted in."""
        figures = dict(self._past)
        for track in self._tracks.values():
            figures[track.leg] = _added(figures.get(track.leg), track.session.figures())
        return figures

    async def play(self, pcm: Pcm) -> None:
        """Nobody would hear it."""

    async def close(self) -> None:
        """Release the ports."""
        self._closed = True
        tracks, self._tracks = self._tracks, {}
        await self._drop(tracks.values())

    # ------------------------------------------------------------- streams

    async def _answer(
        self, offered: Offered, origin: Origin, wanted: Mapping[int, Leg]
    ) -> tuple[dict[int, MediaSession], Answered]:
        """Answer, with sockets for each m-line that is wanted; on error new ones are given back."""
        sessions: dict[int, MediaSession] = {}
        try:
            for index in wanted:
                track = self._tracks.get(index)
                sessions[index] = track.session if track else await self._open(index)
            local = {
                index: session.local(Direction.RECVONLY, offered.media[index].label)
                for index, session in sessions.items()
            }
            answered = answer(offered, origin, local, self._media.abilities())
        except BaseException:
            await self._give_back(sessions.values())
            raise
        taken = {item.index for item in answered.media}
        await self._give_back(s for index, s in sessions.items() if index not in taken)
        return sessions, answered

    async def _give_back(self, sessions: Iterable[MediaSession]) -> None:
        """Close those that no stream in force has."""
        in_force = {id(track.session) for track in self._tracks.values()}
        for session in list(sessions):
            if id(session) not in in_force:
                await session.close()

    def _next_origin(self) -> Origin:
        if self._described:
            self._origin = self._origin.next()
        self._described = True
        return self._origin

    async def _adopt(
        self, tracks: dict[int, _Track], negotiated: Sequence[Negotiated], offered: Offered
    ) -> None:
        """Put an answer in force."""
        self._ours = None
        before, self._tracks, self._lines = self._tracks, tracks, offered.media
        for item in negotiated:
            track = tracks[item.index]
            track.session.apply(item)
            self.rate = self.rate or track.session.rate
            if track.session.rate != self.rate:
                track.resampler = StreamResampler(track.session.rate, self.rate, 1)
        self._tell()
        kept = {id(track.session) for track in tracks.values()}
        await self._drop(track for track in before.values() if id(track.session) not in kept)

    async def _drop(self, tracks: Iterable[_Track]) -> None:
        """Close streams; their figures stay with their legs."""
        for track in list(tracks):
            self._past[track.leg] = _added(self._past.get(track.leg), track.session.figures())
            await track.session.close()

    def _current(self) -> dict[int, Leg]:
        return {index: track.leg for index, track in self._tracks.items()}

    def _tell(self) -> None:
        """Tell the ear which legs pause or go on: those that no stream is received of."""
        if self._ear is None:
            return
        heard = {t.leg for t in self._tracks.values() if t.session.direction.receives}
        for leg in self._legs:
            held = leg not in heard
            if held != self._held[leg]:
                self._held[leg] = held
                self._ear.held(leg, held)

    async def _open(self, index: int) -> MediaSession:
        """Open sockets for an m-line; whose it is may change later."""

        def heard(pcm: Pcm, concealed: bool) -> None:
            self._heard(index, session, pcm, concealed)

        def digit(digit: str, seconds: float) -> None:
            track = self._tracks.get(index)
            if self._ear is not None and track is not None and not self._closed:
                self._ear.digit(track.leg, digit, seconds)

        session = await MediaSession.open(self._media, self._pool, heard, digit)
        if self._closed:  # hung up meanwhile
            await session.close()
            raise BodyError("the call is over")
        return session

    def _heard(self, index: int, session: MediaSession, pcm: Pcm, concealed: bool) -> None:
        track = self._tracks.get(index)
        if self._closed or self._ear is None or track is None or track.session is not session:
            return
        if track.resampler is not None:
            pcm = to_int16(track.resampler.push(to_float(pcm)[:, None])[:, 0])
        if len(pcm):
            self._ear.audio(track.leg, pcm, concealed=concealed)


def _added(past: MediaFigures | None, now: MediaFigures) -> MediaFigures:
    """Figures of a leg over several streams; codec and jitter are the last one's."""
    if past is None:
        return now
    sums = {
        item.name: getattr(past, item.name) + getattr(now, item.name)
        for item in fields(MediaFigures)
        if item.name not in ("codec", "jitter")
    }
    return replace(now, **sums)
