"""Genesys AudioHook Monitor: mu-law in binary messages, JSON around it.

Protocol version 2, as in Genesys' specification and its reference
implementation (purecloudlabs/audiohook-reference-implementation, MIT).  The
client opens, pings and closes; the server answers.  Every message has a number
of its own (``seq``) and names the last that was heard of the other side
(``serverseq``, ``clientseq``).  The channel ``external`` is the caller,
``internal`` the agent.  Nothing can be played, and calls are not handed over
here: AudioHook Monitor only listens.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final

import numpy as np

from voicebot.audio.g711 import MULAW_TO_LINEAR
from voicebot.events import Leg
from voicebot.telephony.faults import Faults
from voicebot.telephony.line import MediaFigures, Offer, Reception
from voicebot.telephony.websocket.fork import Controls, ForkSession, Lingering
from voicebot.telephony.websocket.fork_audio import text_of, texts
from voicebot.telephony.websocket.timeline import Timeline
from voicebot.telephony.websocket.websocket_peer import Peer, ProtocolFault

_RATE: Final = 8000
_LEGS: Final = {"external": Leg.CALLER, "internal": Leg.AGENT}
_NOBODY: Final = "00000000-0000-0000-0000-000000000000"
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DURATION: Final = re.compile(r"PT([0-9]{1,9}(?:\.[0-9]{1,9})?)S")
_TEXT_LENGTH: Final = 65_535
"""characters of a text message, by the specification"""
_DRIFT: Final = 1.0
"""s by which the client's position may differ from the audio that came"""


class State(StrEnum):
    """Where a session is."""

    PREPARING = "preparing"
    """nothing was opened yet"""
    ACTIVE = "active"
    PAUSED = "paused"
    PROBED = "probed"
    """Genesys tries the connection; no call, no audio"""
    CLOSED = "closed"


class AudiohookSession(ForkSession):
    """One session.

    Args:
        peer: The connection.
        reception: Takes the call.
        faults: Counts.
        lingering: See :class:`ForkSession`.
    """

    def __init__(
        self, peer: Peer, reception: Reception, faults: Faults, lingering: Lingering
    ) -> None:
        why = "AudioHook Monitor only listens; transfer in Genesys Cloud itself"
        controls = Controls(unsupported=why)
        super().__init__("audiohook", peer, reception, faults, controls, lingering)
        self._state = State.PREPARING
        self._id = peer.handshake.headers.get("audiohook-session-id", "")
        self._seq = 0
        self._client_seq = 0
        self._legs: tuple[Leg, ...] = ()
        self._timeline = Timeline(_RATE, 0.0)
        self._figures = MediaFigures("PCMU")

    @property
    def started(self) -> bool:
        """Whether it was opened."""
        return self._state is not State.PREPARING

    @property
    def legs(self) -> tuple[Leg, ...]:
        """One for each channel."""
        return self._legs

    def figures(self) -> Mapping[Leg, MediaFigures]:
        """What Genesys says that it discarded counts as concealed."""
        return dict.fromkeys(self._legs, self._figures)

    async def text(self, message: str) -> None:
        """Take a message, which the specification limits in length."""
        if len(message) > _TEXT_LENGTH:
            raise ProtocolFault("audiohook_too_long", 1009, "text longer than 64 KiB")
        await super().text(message)

    async def message(self, fields: Mapping[str, Any]) -> None:
        """Take one of the client's messages."""
        parameters = self._checked(fields)
        match fields["type"]:
            case "open":
                await self._open(parameters)
            case "ping":
                await self._send("pong", {})
            case "close":
                self._state = State.CLOSED
                self.ended("hangup")
                await self._send("closed", {})
            case "paused":
                self._pause(True)
            case "resumed":
                self._pause(False)
            case "discarded":
                self._discarded(parameters)
            case "update":
                await self._send("updated", {})
            case "dtmf":
                self.digit(parameters.get("digit"))
            case "error":
                self._faults.count("audiohook_client_error", code=text_of(parameters, "code"))
            case _:
                self._faults.count("audiohook_unknown_message")

    def _checked(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Check what every message has; its parameters."""
        seq, serverseq = fields.get("seq"), fields.get("serverseq")
        parameters = fields.get("parameters")
        if (
            fields.get("version") != "2"
            or not isinstance(fields.get("type"), str)
            or type(seq) is not int
            or type(serverseq) is not int
            or not isinstance(parameters, dict)
        ):
            raise ProtocolFault("audiohook_malformed", 1002, "not a client message of version 2")
        position = seconds(fields.get("position"))
        if position is None:
            raise ProtocolFault("audiohook_malformed", 1002, "position is no duration")
        if seq != self._client_seq + 1:
            raise ProtocolFault("audiohook_bad_seq", 1002, "seq does not follow")
        if not 0 <= serverseq <= self._seq:
            raise ProtocolFault("audiohook_bad_seq", 1002, "serverseq was never sent")
        self._client_seq = seq
        given = fields.get("id")
        if not isinstance(given, str) or not _UUID.fullmatch(given):
            raise ProtocolFault("audiohook_malformed", 1002, "id is no UUID")
        self._id = self._id or given
        if given != self._id:
            raise ProtocolFault("audiohook_wrong_session", 1002, "id is another session's")
        if self._state is State.ACTIVE and abs(position - self._timeline.position) > _DRIFT:
            self._faults.count("audiohook_position")
        return parameters

    async def _open(self, parameters: Mapping[str, Any]) -> None:
        if self._state is not State.PREPARING:
            raise ProtocolFault("audiohook_two_opens", 1002, "a second open")
        headers = self._peer.handshake.headers
        organization = text_of(parameters, "organizationId")
        if organization != headers.get("audiohook-organization-id", ""):
            raise ProtocolFault("audiohook_wrong_organization", 1008, "organizationId differs")
        conversation = text_of(parameters, "conversationId")
        if not _UUID.fullmatch(conversation):
            raise ProtocolFault("audiohook_malformed", 1002, "conversationId is no UUID")
        opened: dict[str, Any] = {"media": [], "startPaused": False}
        if parameters.get("supportedLanguages") is True:
            opened["supportedLanguages"] = []
        if conversation == _NOBODY:
            self._faults.counters["audiohook_probes"] += 1
            self._state = State.PROBED
            await self._send("opened", opened)
            return
        media = choose(parameters.get("media"))
        if media is None:
            raise ProtocolFault("audiohook_no_media", 1003, "no PCMU at 8000 Hz is offered")
        self._legs = tuple(_LEGS[channel] for channel in media["channels"])
        self._timeline = Timeline(_RATE, asyncio.get_running_loop().time())
        participant = parameters.get("participant")
        participant = participant if isinstance(participant, dict) else {}
        given = texts(parameters.get("customConfig"))
        given |= {
            "organization_id": organization,
            "session_id": self._id,
            "correlation_id": headers.get("audiohook-correlation-id", "")[:64],
            "language": text_of(parameters, "language")[:16],
        }
        # The caller's leg comes first, whatever the order of the channels.
        legs = tuple(leg for leg in Leg if leg in self._legs)
        self.begin(
            Offer(
                "audiohook", conversation, self._peer.handshake.peer, legs, _RATE,
                text_of(participant, "dnis"), text_of(participant, "ani"),
                {name: value for name, value in given.items() if value},
            )
        )  # fmt: skip
        self._state = State.ACTIVE
        await self._send("opened", {**opened, "media": [media]})

    async def binary(self, message: bytes) -> None:
        """Take audio."""
        if self._state in (State.PREPARING, State.PROBED):
            raise ProtocolFault("audiohook_early_audio", 1002, "audio before it was opened")
        if self._state is not State.ACTIVE:
            self._faults.count("audiohook_late_audio")
            return
        channels = len(self._legs)
        if not message or len(message) % channels:
            raise ProtocolFault("audiohook_bad_frame", 1007, "a frame with half a sample")
        pcm = MULAW_TO_LINEAR[np.frombuffer(message, np.uint8)]
        self._timeline.heard(len(pcm) // channels)
        self._figures = replace(self._figures, packets=self._figures.packets + 1)
        for index, leg in enumerate(self._legs):
            self.hear(leg, np.ascontiguousarray(pcm[index::channels]))

    def _pause(self, paused: bool) -> None:
        before, after = State.ACTIVE, State.PAUSED
        if not paused:
            before, after = after, before
        if self._state is before:
            self._state = after
            self.hold(paused)
        elif self._state is not after:
            self._faults.count("audiohook_bad_pause")

    def _discarded(self, parameters: Mapping[str, Any]) -> None:
        """Audio that Genesys dropped: silence in its place, marked as made up."""
        gone = seconds(parameters.get("discarded"))
        if gone is None or self._state is not State.ACTIVE:
            self._faults.count("audiohook_bad_discarded")
            return
        now = asyncio.get_running_loop().time()
        missing = self._timeline.missing(self._timeline.position + gone, now)
        concealed = self._figures.concealed + missing / _RATE
        self._figures = replace(self._figures, concealed=concealed)
        for leg in self._legs:
            self.hear(leg, np.zeros(missing, np.int16), concealed=True)

    async def _send(self, kind: str, parameters: Mapping[str, Any]) -> None:
        self._seq += 1
        await self.tell(
            version="2", type=kind, seq=self._seq, clientseq=self._client_seq, id=self._id,
            parameters=parameters,
        )  # fmt: skip

    async def reject(self, code: int, reason: str) -> None:
        """Say ``disconnect``, then close."""
        why = "unauthorized" if code == 1008 and not self.started else "error"
        try:
            await self._send("disconnect", {"reason": why, "info": reason})
        except Exception:  # it may be the connection that is at fault
            pass
        finally:
            await super().reject(code, reason)

    async def hang_up(self, reason: str) -> None:
        """Stop listening; the call in Genesys goes on, and the client closes."""
        if self._is_over:
            return
        self._finish(reason)
        try:
            await self._send("disconnect", {"reason": "completed", "info": reason})
        except Exception:  # nobody is left to be told
            await self._peer.close()


def choose(media: object) -> dict[str, Any] | None:
    """The best of the offered media: mu-law, both channels rather than the caller's alone."""
    found: list[dict[str, Any]] = []
    for one in media[:32] if isinstance(media, list) else []:
        if not isinstance(one, dict) or not isinstance(one.get("channels"), list):
            continue
        channels = one["channels"]
        if (
            (one.get("type"), one.get("format"), one.get("rate")) == ("audio", "PCMU", _RATE)
            and channels in (["external", "internal"], ["internal", "external"], ["external"])
        ):  # fmt: skip
            found.append({"type": "audio", "format": "PCMU", "channels": channels, "rate": _RATE})
    return max(found, key=lambda one: len(one["channels"])) if found else None


def seconds(duration: object) -> float | None:
    """Read ``PT1.25S``; None if it is none (ISO 8601, as far as Genesys uses it)."""
    match = _DURATION.fullmatch(duration) if isinstance(duration, str) else None
    return float(match[1]) if match else None
