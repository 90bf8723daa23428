"""Twilio Media Streams: mu-law in JSON over a WebSocket.

Fields as in Twilio's "Media Streams - WebSocket messages".  The track
``inbound`` is what Twilio hears of the party on this call, so the caller;
``outbound`` is what that party is played, so the agent.  Twilio drops query
strings, so a token travels in the path, or as a ``<Parameter>`` that arrives
with ``start``, before any audio.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import unquote

import numpy as np
from pydantic import SecretStr

from voicebot.audio.g711 import decode_mulaw, encode_mulaw
from voicebot.events import Leg, Pcm
from voicebot.params import Params, key
from voicebot.telephony.faults import Faults
from voicebot.telephony.line import MediaFigures, Offer, Reception
from voicebot.telephony.websocket import fork_access
from voicebot.telephony.websocket.fork import Controls, ForkSession, Lingering
from voicebot.telephony.websocket.fork_access import Tokens
from voicebot.telephony.websocket.fork_audio import paced, text_of, texts
from voicebot.telephony.websocket.timeline import Timeline
from voicebot.telephony.websocket.twilio_signature import is_signed
from voicebot.telephony.websocket.twilio_transfer import TwilioRestParams
from voicebot.telephony.websocket.websocket_peer import (
    Answer,
    Denial,
    Handshake,
    Peer,
    ProtocolFault,
)

_RATE: Final = 8000
_LEGS: Final = {"inbound": Leg.CALLER, "outbound": Leg.AGENT}
_YES: Final = frozenset({"yes", "true", "1"})
_AHEAD: Final = 0.4
"""s of audio that Twilio may hold of a prompt; more would be slower to stop"""
_MARK_GRACE: Final = 3.0
"""s that a mark may be late before a prompt is taken as said"""


class TwilioParams(Params):
    """Calls that Twilio forks to us, or connects to us."""

    tokens: Tokens = key(
        [], "Secrets, one of which a stream must bring: in the path or as <Parameter name=token>."
    )
    auth_token: SecretStr = key(
        SecretStr(""),
        "Auth token of the account: X-Twilio-Signature is checked with it, and then suffices.",
    )
    rest: TwilioRestParams = key(TwilioRestParams(), "Transfers and hanging up, by Twilio's API.")


class TwilioEndpoint:
    """What lies behind /media/twilio.

    Args:
        params: See there.
        public_url: As in the listener's parameters.
        reception: Takes the calls.
        faults: Counts.
        controls: What can be done with a call by REST.
    """

    path: Final = "/media/twilio"

    def __init__(
        self,
        params: TwilioParams,
        public_url: str,
        reception: Reception,
        faults: Faults,
        controls: Controls,
    ) -> None:
        self._params = params
        self._public_url = public_url
        self._reception = reception
        self._faults = faults
        self._controls = controls
        self._lingering = Lingering()

    def admit(self, handshake: Handshake) -> Denial | None:
        """Check the signature or token; one that comes with ``start`` is checked then."""
        p = self._params
        if not p.tokens and not p.auth_token.get_secret_value():
            return fork_access.closed(
                "twilio", "websocket.twilio.tokens or websocket.twilio.auth_token"
            )
        if self._is_known(handshake):
            return None
        if p.tokens and not _offered(handshake, self.path):
            return None  # it must come with start, before any audio
        return fork_access.wrong("twilio")

    def hook(self, handshake: Handshake) -> Answer | None:
        """There are none."""
        return None

    def open(self, peer: Peer) -> TwilioSession:
        """Begin with a stream."""
        known = self._is_known(peer.handshake)
        return TwilioSession(
            peer, self._reception, self._faults, self._controls, self._lingering,
            wanted=() if known else tuple(self._params.tokens),
        )  # fmt: skip

    def close(self) -> None:
        """End calls that are being transferred."""
        self._lingering.close()

    def _is_known(self, handshake: Handshake) -> bool:
        p = self._params
        secret = p.auth_token.get_secret_value()
        if secret and is_signed(handshake, secret, self._public_url):
            return True
        offered = _offered(handshake, self.path)
        return any(fork_access.is_one_of(token, p.tokens) for token in offered)


def _offered(handshake: Handshake, root: str) -> list[str]:
    rest = unquote(handshake.path.removeprefix(root)).strip("/")
    return [*([rest] if rest else []), *fork_access.offered(handshake)]


class TwilioSession(ForkSession):
    """One stream.

    Args:
        peer: The connection.
        reception: Takes the call.
        faults: Counts.
        controls: By REST.
        lingering: See :class:`ForkSession`.
        wanted: Tokens, one of which ``start`` must bring; none if the request was let in already.
    """

    def __init__(
        self,
        peer: Peer,
        reception: Reception,
        faults: Faults,
        controls: Controls,
        lingering: Lingering,
        wanted: tuple[SecretStr, ...],
    ) -> None:
        super().__init__("twilio", peer, reception, faults, controls, lingering)
        self._wanted = wanted
        self._stream = ""
        self._speaks = False
        self._last = 0
        self._names = itertools.count(1)
        self._marks: dict[str, asyncio.Future[None]] = {}
        self._timelines: dict[Leg, Timeline] = {}
        self._figures: dict[Leg, MediaFigures] = {}

    @property
    def can_speak(self) -> bool:
        """Whether the TwiML said so: nothing else tells ``<Connect>`` from ``<Start>``."""
        return self._speaks

    @property
    def legs(self) -> tuple[Leg, ...]:
        """One for each track."""
        return tuple(self._timelines)

    def figures(self) -> Mapping[Leg, MediaFigures]:
        """What was missing by the timestamps."""
        return dict(self._figures)

    async def binary(self, message: bytes) -> None:
        """There is none in this protocol."""
        raise ProtocolFault("twilio_binary", 1003, "binary where JSON is due")

    async def message(self, fields: Mapping[str, Any]) -> None:
        """Take one of Twilio's messages."""
        event = fields.get("event")
        if event == "connected":
            return
        if event == "start":
            self._start(fields)
            return
        if not self.started:
            raise ProtocolFault("twilio_no_start", 1002, "nothing may come before start")
        if not self._is_next(fields):
            return
        if event == "media":
            self._media(fields.get("media"))
        elif event == "dtmf":
            dtmf = fields.get("dtmf")
            self.digit(dtmf.get("digit") if isinstance(dtmf, dict) else None)
        elif event == "mark":
            mark = fields.get("mark")
            name = text_of(mark, "name") if isinstance(mark, dict) else ""
            if (future := self._marks.get(name)) is not None and not future.done():
                future.set_result(None)
        elif event == "stop":
            self.ended("hangup")
        else:
            self._faults.count("twilio_unknown_event")

    def _start(self, fields: Mapping[str, Any]) -> None:
        if self.started:
            raise ProtocolFault("twilio_two_starts", 1002, "a second start")
        start = fields.get("start")
        if not isinstance(start, dict):
            raise ProtocolFault("twilio_bad_start", 1002, "start without its fields")
        given = texts(start.get("customParameters"))
        token = given.pop("token", "")
        if self._wanted and not fork_access.is_one_of(token, self._wanted):
            raise ProtocolFault("twilio_unauthorized", 1008, "wrong or missing token")
        media = start.get("mediaFormat")
        media = media if isinstance(media, dict) else {}
        form = (media.get("encoding"), media.get("sampleRate"), media.get("channels"))
        if form != ("audio/x-mulaw", _RATE, 1):
            raise ProtocolFault("twilio_bad_format", 1003, "only audio/x-mulaw, 8000, 1 channel")
        tracks = start.get("tracks")
        tracks = tracks if isinstance(tracks, list) else []
        legs = tuple(_LEGS[track] for track in ("inbound", "outbound") if track in tracks)
        self._stream = text_of(start, "streamSid") or text_of(fields, "streamSid")
        call = text_of(start, "callSid")
        if not legs or not self._stream or not call:
            raise ProtocolFault("twilio_bad_start", 1002, "start without tracks, stream or call")
        self._last = _number(fields.get("sequenceNumber")) or 0
        begun = asyncio.get_running_loop().time()
        self._timelines = {leg: Timeline(_RATE, begun) for leg in legs}
        self._figures = {leg: MediaFigures("PCMU") for leg in legs}
        self._speaks = given.pop("speak", "").lower() in _YES
        called, caller = given.pop("called", ""), given.pop("caller", "")
        self.begin(
            Offer("twilio", call, self._peer.handshake.peer, legs, _RATE, called, caller, given)
        )

    def _is_next(self, fields: Mapping[str, Any]) -> bool:
        """Whether a message comes in its order; a repeated or late one is dropped."""
        number = _number(fields.get("sequenceNumber"))
        if number is None:  # Twilio's stand-ins for tests leave it out
            return True
        if number <= self._last:
            self._faults.count("twilio_out_of_order")
            media = fields.get("media")
            leg = _LEGS.get(text_of(media, "track")) if isinstance(media, dict) else None
            if leg in self._figures:
                figures = self._figures[leg]
                self._figures[leg] = replace(figures, duplicates=figures.duplicates + 1)
            return False
        self._last = number
        return True

    def _media(self, media: object) -> None:
        if not isinstance(media, dict):
            raise ProtocolFault("twilio_bad_media", 1007, "media without its fields")
        leg = _LEGS.get(text_of(media, "track") or "inbound")
        timeline = self._timelines.get(leg) if leg is not None else None
        if leg is None or timeline is None:
            self._faults.count("twilio_unknown_track")
            return
        payload = media.get("payload")
        try:
            pcm = decode_mulaw(base64.b64decode(payload or "", validate=True))
        except (binascii.Error, TypeError, ValueError):
            raise ProtocolFault("twilio_bad_base64", 1007, "payload is not base64") from None
        figures = self._figures[leg]
        stamp = _number(media.get("timestamp"))
        if stamp is not None:
            now = asyncio.get_running_loop().time()
            if missing := timeline.missing(stamp / 1000, now):
                # Twilio sends nothing while nobody is played anything: that is no loss.
                lost = leg is Leg.CALLER and figures.packets > 0
                self.hear(leg, np.zeros(missing, np.int16), concealed=lost)
                if lost:
                    figures = replace(
                        figures,
                        lost=figures.lost + max(1, round(missing / max(1, len(pcm)))),
                        concealed=figures.concealed + missing / _RATE,
                    )
        timeline.heard(len(pcm))
        self._figures[leg] = replace(figures, packets=figures.packets + 1)
        self.hear(leg, pcm)

    async def say(self, pcm: Pcm) -> None:
        """Send media, then a mark, which comes back when all was heard."""
        name = f"voicebot-{next(self._names)}"
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._marks[name] = heard
        try:
            await paced(pcm, _RATE, self._send, chunk=0.1, ahead=_AHEAD)
            await self.tell(event="mark", streamSid=self._stream, mark={"name": name})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_AHEAD + _MARK_GRACE):
                    await heard
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):
                await self.tell(event="clear", streamSid=self._stream)
            raise
        finally:
            del self._marks[name]

    async def _send(self, pcm: Pcm) -> None:
        payload = base64.b64encode(encode_mulaw(pcm)).decode()
        await self.tell(event="media", streamSid=self._stream, media={"payload": payload})

    def ended(self, reason: str) -> None:
        """Nobody waits for marks any more."""
        for mark in self._marks.values():
            if not mark.done():
                mark.set_result(None)
        super().ended(reason)


def _number(value: object) -> int | None:
    """Twilio's numbers are text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 18:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**18:
        return value
    return None
