"""jambonz ``listen``: one JSON text about the call, then linear PCM.

Fields as in jambonz' documentation of the verb ``listen`` and in its feature
server (``lib/tasks/listen.js``) and ``mod_audio_fork``: 16-bit little-endian
samples at ``sampleRate``, two interleaved channels for ``mixType: stereo``
(the caller first).  Digits come as text where ``passDtmf`` is set.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import numpy as np
import structlog

from voicebot.events import Leg, Pcm
from voicebot.params import Params, key
from voicebot.telephony.faults import Faults
from voicebot.telephony.line import Offer, Reception
from voicebot.telephony.websocket import fork_access
from voicebot.telephony.websocket.fork import Controls, ForkSession, Lingering
from voicebot.telephony.websocket.fork_access import Tokens
from voicebot.telephony.websocket.fork_audio import L16, paced, text_of, texts
from voicebot.telephony.websocket.freeswitch_stream import MIXES, RATES
from voicebot.telephony.websocket.jambonz_transfer import JambonzRestParams, JambonzTransfer
from voicebot.telephony.websocket.websocket_peer import (
    Answer,
    Denial,
    Handshake,
    Peer,
    ProtocolFault,
)

_AHEAD: Final = 0.4
"""s of audio that jambonz may hold of a prompt"""
_GRACE: Final = 3.0
"""s that word of the end of a prompt may be late"""
_DTMF_RATE: Final = 8000
"""Hz of the RTP clock in which jambonz gives a digit's duration"""
_log = structlog.get_logger(__name__)


class Playback(StrEnum):
    """How audio goes back to jambonz."""

    NONE = "none"
    FILE = "file"
    """``bidirectionalAudio.enabled``: whole prompts as ``playAudio``"""
    STREAMING = "streaming"
    """``bidirectionalAudio.streaming``: PCM in binary messages, and marks"""


class JambonzParams(Params):
    """Calls that jambonz forks to us by its verb listen."""

    tokens: Tokens = key(
        [], "Secrets, one of which a stream must bring: as wsAuth.password or ?token= in the URL."
    )
    playback: Playback = key(
        Playback.NONE,
        "How prompts go back: none, file (bidirectionalAudio.enabled) or streaming. The field "
        "playback in the verb's metadata goes before it.",
    )
    rest: JambonzRestParams = key(JambonzRestParams(), "Transfers and hanging up, by jambonz' API.")


class JambonzEndpoint:
    """What lies behind /media/jambonz.

    Args:
        params: See there.
        reception: Takes the calls.
        faults: Counts.
        controls: What can be done with a call by REST.
        rest: Whose dial instructions are fetched here; None without REST.
    """

    path: Final = "/media/jambonz"

    def __init__(
        self,
        params: JambonzParams,
        reception: Reception,
        faults: Faults,
        controls: Controls,
        rest: JambonzTransfer | None = None,
    ) -> None:
        self._params = params
        self._reception = reception
        self._faults = faults
        self._controls = controls
        self._rest = rest
        self._lingering = Lingering()

    def admit(self, handshake: Handshake) -> Denial | None:
        """Check the token."""
        return fork_access.check_tokens("jambonz", handshake, self._params.tokens)

    def hook(self, handshake: Handshake) -> Answer | None:
        """Tell jambonz whom to dial."""
        return self._rest.hook(handshake) if self._rest is not None else None

    def open(self, peer: Peer) -> JambonzSession:
        """Begin with a stream."""
        return JambonzSession(
            self._params.playback, peer, self._reception, self._faults, self._controls,
            self._lingering,
        )  # fmt: skip

    def close(self) -> None:
        """End calls that are being transferred."""
        self._lingering.close()


class JambonzSession(ForkSession):
    """One stream.

    Args:
        playback: Unless the metadata says otherwise.
        peer: The connection.
        reception: Takes the call.
        faults: Counts.
        controls: By REST.
        lingering: See :class:`ForkSession`.
    """

    def __init__(
        self,
        playback: Playback,
        peer: Peer,
        reception: Reception,
        faults: Faults,
        controls: Controls,
        lingering: Lingering,
    ) -> None:
        super().__init__("jambonz", peer, reception, faults, controls, lingering)
        self._playback = playback
        self._l16: L16 | None = None
        self._legs: tuple[Leg, ...] = ()
        self._names = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[None]] = {}

    @property
    def can_speak(self) -> bool:
        """Whether the verb was said to be bidirectional."""
        return self._playback is not Playback.NONE

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The caller, and for stereo the agent."""
        return self._legs

    async def message(self, fields: Mapping[str, Any]) -> None:
        """Take the call's data, a digit, or word of a prompt's end."""
        if not self.started:
            self._start(fields)
        elif fields.get("event") == "dtmf":
            duration = text_of(fields, "duration")
            seconds = int(duration[:6]) / _DTMF_RATE if duration.isdecimal() else 0.0
            self.digit(text_of(fields, "dtmf"), seconds)
        elif fields.get("type") in ("mark", "playDone"):
            data = fields.get("data")
            name = text_of(data, "name", "id") if isinstance(data, dict) else ""
            self._said(name)
        elif "callSid" in fields:
            raise ProtocolFault("jambonz_two_starts", 1002, "a second call's data")
        else:
            self._faults.count("jambonz_unknown_message")

    async def binary(self, message: bytes) -> None:
        """Take audio."""
        if self._l16 is None:
            raise ProtocolFault("jambonz_no_start", 1002, "audio before the call's data")
        for leg, pcm in zip(self._legs, self._l16.split(message), strict=True):
            self.hear(leg, pcm)

    def _start(self, fields: Mapping[str, Any]) -> None:
        rate = RATES.get(text_of(fields, "sampleRate"))
        if rate is None:
            raise ProtocolFault("jambonz_bad_rate", 1003, "sampleRate must be 8000 or 16000")
        mix = text_of(fields, "mixType") or "mono"
        if mix not in MIXES:
            raise ProtocolFault("jambonz_bad_mix", 1003, "mixType is mono, mixed or stereo")
        call = text_of(fields, "callSid")
        if not call:
            raise ProtocolFault("jambonz_bad_start", 1002, "no callSid")
        if mix == "mixed":
            _log.warning("mixed_channel_taken_as_caller", gateway="jambonz")
        given = texts(fields)
        if "playback" in given:
            try:
                self._playback = Playback(given.pop("playback"))
            except ValueError:
                raise ProtocolFault(
                    "jambonz_bad_playback", 1003, "playback is none, file or streaming"
                ) from None
        for name in ("from", "to", "callerId", "token"):
            given.pop(name, None)
        self._l16 = L16(MIXES[mix])
        self._legs = (Leg.CALLER, Leg.AGENT)[: MIXES[mix]]
        self.begin(
            Offer(
                "jambonz", call, self._peer.handshake.peer, self._legs, rate,
                text_of(fields, "to"), text_of(fields, "from"), given,
            )
        )  # fmt: skip

    async def say(self, pcm: Pcm) -> None:
        """Send a prompt whole or in pieces, and wait for word of its end."""
        name = f"voicebot-{next(self._names)}"
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[name] = heard
        try:
            if self._playback is Playback.STREAMING:
                await paced(pcm, self._rate, self._send, ahead=_AHEAD)
                await self.tell(type="mark", data={"name": name})
                # A mark is set by the audio that follows it (mod_audio_fork).
                await self._send(np.zeros(self._rate // 50, np.int16))
                wait = _AHEAD + _GRACE
            else:
                content = base64.b64encode(pcm.astype("<i2").tobytes()).decode()
                await self.tell(
                    type="playAudio",
                    data={
                        "audioContentType": "raw", "sampleRate": self._rate,
                        "audioContent": content, "id": name,
                    },
                )  # fmt: skip
                wait = len(pcm) / self._rate + _GRACE
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await heard
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):
                await self.tell(type="killAudio")
            raise
        finally:
            del self._waiting[name]

    async def _send(self, pcm: Pcm) -> None:
        await self._peer.send(pcm.astype("<i2").tobytes())

    def _said(self, name: str) -> None:
        if (future := self._waiting.get(name)) is not None and not future.done():
            future.set_result(None)

    async def leave(self) -> None:
        """End the verb."""
        await self.tell(type="disconnect")

    def ended(self, reason: str) -> None:
        """Nobody waits for word of prompts any more."""
        for name in tuple(self._waiting):
            self._said(name)
        super().ended(reason)
