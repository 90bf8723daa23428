"""FreeSWITCH: linear PCM over a WebSocket, from mod_audio_stream or mod_audio_fork.

Both send 16-bit little-endian samples in binary messages, one channel or two
interleaved (the caller first), and optionally a text message before them, whose
content is up to the dialplan.  What they do not send is said in the URL, such
as ``/media/freeswitch?uuid=${uuid}&rate=8000&mix=stereo``, or as JSON in that
text with the same names.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import structlog

from voicebot.events import Leg, Pcm
from voicebot.params import Params, key
from voicebot.telephony.faults import Faults
from voicebot.telephony.line import Offer, Reception
from voicebot.telephony.websocket import fork_access
from voicebot.telephony.websocket.fork import Controls, ForkSession, Lingering
from voicebot.telephony.websocket.fork_access import Tokens
from voicebot.telephony.websocket.fork_audio import L16, paced, text_of, texts
from voicebot.telephony.websocket.websocket_peer import (
    Answer,
    Denial,
    Handshake,
    Peer,
    ProtocolFault,
)

RATES: Final = {"8000": 8000, "8k": 8000, "16000": 16000, "16k": 16000}
MIXES: Final = {"mono": 1, "mixed": 1, "stereo": 2}
_UUID: Final = ("uuid", "call_uuid", "callUuid", "callSid")
_RATE: Final = ("rate", "sampleRate", "sample_rate")
_MIX: Final = ("mix", "mixType", "mix_type")
_CALLED: Final = ("called", "callee", "to")
_CALLER: Final = ("caller", "from")
_KNOWN: Final = frozenset((*_UUID, *_RATE, *_MIX, *_CALLED, *_CALLER, "token", "playback"))
_log = structlog.get_logger(__name__)


class Playback(StrEnum):
    """How audio goes back to a FreeSWITCH fork."""

    NONE = "none"
    STREAM_AUDIO = "stream_audio"
    """mod_audio_stream: JSON ``streamAudio`` with base64"""
    PLAY_AUDIO = "play_audio"
    """mod_audio_fork: JSON ``playAudio`` with base64, stopped by ``killAudio``"""
    BINARY = "binary"
    """linear PCM in binary messages, where the module is set to play them"""


class FreeswitchParams(Params):
    """FreeSWITCH mod_audio_stream and mod_audio_fork, at /media/freeswitch."""

    tokens: Tokens = key([], "Secrets, one of which a fork must bring.")
    playback: Playback = key(
        Playback.NONE,
        "How prompts go back: none, stream_audio (mod_audio_stream), play_audio (mod_audio_fork) "
        "or binary. ?playback= in the URL goes before it.",
    )


class FreeswitchEndpoint:
    """What lies behind /media/freeswitch.

    Args:
        params: See there.
        reception: Takes the calls.
        faults: Counts.
        controls: What can be done with a call through FreeSWITCH's event socket.
    """

    path: Final = "/media/freeswitch"

    def __init__(
        self, params: FreeswitchParams, reception: Reception, faults: Faults, controls: Controls
    ) -> None:
        self._params = params
        self._reception = reception
        self._faults = faults
        self._controls = controls
        self._lingering = Lingering()

    def admit(self, handshake: Handshake) -> Denial | None:
        """Check the token."""
        return fork_access.check_tokens("freeswitch", handshake, self._params.tokens)

    def hook(self, handshake: Handshake) -> Answer | None:
        """There are none."""
        return None

    def open(self, peer: Peer) -> FreeswitchSession:
        """Begin with a fork."""
        return FreeswitchSession(
            self._params.playback, peer, self._reception, self._faults, self._controls,
            self._lingering,
        )  # fmt: skip

    def close(self) -> None:
        """End calls that are being transferred."""
        self._lingering.close()


class FreeswitchSession(ForkSession):
    """One fork.

    Args:
        playback: Unless the URL says otherwise.
        peer: The connection.
        reception: Takes the call.
        faults: Counts.
        controls: Through the event socket.
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
        super().__init__("freeswitch", peer, reception, faults, controls, lingering)
        self._playback = playback
        self._l16: L16 | None = None
        self._legs: tuple[Leg, ...] = ()

    @property
    def can_speak(self) -> bool:
        """Whether a way back is configured."""
        return self._playback is not Playback.NONE

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The caller, and for stereo the agent."""
        return self._legs

    async def text(self, message: str) -> None:
        """Take metadata; later texts may be anything, and only digits are understood."""
        if not self.started:
            await super().text(message)
            return
        with contextlib.suppress(ProtocolFault):
            await super().text(message)
            return
        self._faults.count("freeswitch_bad_json")

    async def message(self, fields: Mapping[str, Any]) -> None:
        """Take metadata, or a digit that the dialplan reports."""
        if not self.started:
            self._start(fields)
        elif fields.get("event") == "dtmf":
            self.digit(text_of(fields, "digit", "dtmf"))
        elif any(name in fields for name in (*_RATE, *_MIX)):
            raise ProtocolFault("freeswitch_two_starts", 1002, "metadata of a second call")

    async def binary(self, message: bytes) -> None:
        """Take audio."""
        if self._l16 is None:
            self._start({})
        assert self._l16 is not None
        for leg, pcm in zip(self._legs, self._l16.split(message), strict=True):
            self.hear(leg, pcm)

    def _start(self, metadata: Mapping[str, Any]) -> None:
        said = {**texts(metadata), **self._peer.handshake.query}
        rate = RATES.get(text_of(said, *_RATE).lower())
        if rate is None:
            raise ProtocolFault("freeswitch_bad_rate", 1003, "say rate=8000 or rate=16000")
        mix = text_of(said, *_MIX).lower() or "mono"
        if mix not in MIXES:
            raise ProtocolFault("freeswitch_bad_mix", 1003, "mix is mono, mixed or stereo")
        if mix == "mixed":
            _log.warning("mixed_channel_taken_as_caller", gateway="freeswitch")
        if "playback" in said:
            try:
                self._playback = Playback(said["playback"])
            except ValueError:
                raise ProtocolFault(
                    "freeswitch_bad_playback", 1003, "playback is none, stream_audio, "
                    "play_audio or binary",
                ) from None  # fmt: skip
        self._l16 = L16(MIXES[mix])
        self._legs = (Leg.CALLER, Leg.AGENT)[: MIXES[mix]]
        uuid, peer = text_of(said, *_UUID), self._peer.handshake.peer
        offer = Offer(
            "freeswitch", uuid or peer, peer, self._legs, rate,
            text_of(said, *_CALLED), text_of(said, *_CALLER),
            {name: value for name, value in said.items() if name not in _KNOWN},
        )  # fmt: skip
        self.begin(offer)
        if not uuid:
            self._reference = ""  # good enough for a log, but the exchange does not know it

    async def say(self, pcm: Pcm) -> None:
        """Send audio; FreeSWITCH does not say when it was heard, so the clock does."""
        if self._playback is Playback.PLAY_AUDIO:
            try:
                await self.tell(
                    type="playAudio",
                    data={
                        "audioContentType": "raw",
                        "sampleRate": self._rate,
                        "audioContent": base64.b64encode(pcm.astype("<i2").tobytes()).decode(),
                    },
                )
                await asyncio.sleep(len(pcm) / self._rate)
            except asyncio.CancelledError:
                with contextlib.suppress(Exception):
                    await self.tell(type="killAudio")
                raise
            return
        # What is not sent cannot be heard: these end within the pieces already under way.
        loop = asyncio.get_running_loop()
        over = loop.time() + len(pcm) / self._rate
        await paced(pcm, self._rate, self._send, chunk=0.2, ahead=0.4)
        await asyncio.sleep(max(0.0, over - loop.time()))

    async def _send(self, pcm: Pcm) -> None:
        data = pcm.astype("<i2").tobytes()
        if self._playback is Playback.BINARY:
            await self._peer.send(data)
        else:
            await self.tell(
                type="streamAudio",
                data={
                    "audioDataType": "raw",
                    "sampleRate": self._rate,
                    "audioData": base64.b64encode(data).decode(),
                },
            )
