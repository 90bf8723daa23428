"""One call that Asterisk has given to our Stasis application."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import StrEnum
from functools import partial
from typing import Final

from voicebot.errors import VoicebotError
from voicebot.events import Leg, Pcm
from voicebot.telephony.asterisk.ari import (
    AriClient,
    AriError,
    Message,
    channel_of,
    number_of,
    text_of,
)
from voicebot.telephony.asterisk.ari_transfer import (
    continue_channel,
    failed,
    fetch_channel,
    redirect_channel,
    set_variables,
    subscribe,
    watching,
)
from voicebot.telephony.asterisk.dial_watch import DialWatch
from voicebot.telephony.asterisk.stasis_media import Stage, StasisMedia
from voicebot.telephony.line import (
    TRANSFERRED,
    Briefing,
    Ear,
    MediaFigures,
    Transferred,
    TransferResult,
)
from voicebot.telephony.media.media_session import MediaParams
from voicebot.telephony.media.ports import PortPool
from voicebot.telephony.pbx_transfer import (
    Dial,
    Place,
    Redirect,
    asterisk_target,
    briefing_variables,
)

_GRACE_SECONDS: Final = 3.0
"""s beyond Asterisk's own time limit before we give up on it"""


class Mode(StrEnum):
    """What we are to a call: first argument of ``Stasis(voicebot,...)``."""

    TAKE = "take"
    """the caller is handed to us alone"""
    MONITOR = "monitor"
    """we overhear both sides; the call goes its way through the dialplan"""


class Phase(StrEnum):
    """Where a call is."""

    SETTING_UP = "setting_up"
    LISTENING = "listening"
    LEFT = "left"
    """the dialplan has the caller again, by a transfer"""
    JOINED = "joined"
    """the caller talks to an agent in our bridge"""
    OVER = "over"


class StasisCall:
    """One call; a :class:`~voicebot.telephony.line.Line`.

    Args:
        client: ...
        stage: ...
        channel: Id of the caller's channel.
        mode: ...
    """

    def __init__(self, client: AriClient, stage: Stage, channel: str, mode: Mode) -> None:
        self.channel = channel
        self.mode = mode
        self.phase = Phase.SETTING_UP
        self.agent = ""
        """id of the agent's channel, while there is one"""
        self._client = client
        self._stage = stage
        token = uuid.uuid4().hex[:12]
        legs = (Leg.CALLER,) if mode == Mode.TAKE else (Leg.CALLER, Leg.AGENT)
        self.media = {leg: StasisMedia(client, stage, leg, token) for leg in legs}
        self._token = token
        self._ear: Ear | None = None
        self._over = asyncio.Event()
        self._reason = ""
        self._told = False
        self._transferring = asyncio.Lock()
        self._alive = True
        """whether the caller's channel exists"""

    # ------------------------------------------------------------ its life

    async def run(self, ear: Ear, media: MediaParams, pool: PortPool, *, up: bool) -> None:
        """From the first channel to the last; releases everything.

        Args:
            ear: ...
            media: ...
            pool: ...
            up: Whether the caller's channel was already answered.

        Raises:
            VoicebotError: the channels could not be made; the ear knows.
        """
        self._ear = ear
        try:
            # Not cut short by the caller's end: a request that is on its way may be done after
            # the one that removes its channel.  What needs the caller then fails at once.
            await self._open(media, pool, up=up)
            if self.phase == Phase.SETTING_UP:
                self.phase = Phase.LISTENING
            await self._over.wait()
        except VoicebotError:
            self.finish("line_error")
            if self.mode == Mode.TAKE:
                await self.let_go("FAILED")
            raise
        finally:
            self.finish("line_error")
            joined, self.phase = self.phase == Phase.JOINED, Phase.OVER
            if joined and self._over.is_set():
                await self._part()
            if not joined or self._over.is_set():  # else they go on talking without us
                for leg in self.media.values():
                    await leg.close()

    async def _open(self, media: MediaParams, pool: PortPool, *, up: bool) -> None:
        if self.mode == Mode.TAKE:
            if not up:
                await self._client.request("POST", "channels", self.channel, "answer")
            caller = self.media[Leg.CALLER]
            await caller.open(media, pool, self._heard(Leg.CALLER))
            await caller.join(self.channel)
            return
        try:
            await subscribe(self._client, self.channel)
            for leg, each in self.media.items():
                await each.open(media, pool, self._heard(leg), spied=self.channel)
        finally:
            # Whatever became of our ears, the caller must not wait for them.
            await self._client.request("POST", "channels", self.channel, "continue")

    def _heard(self, leg: Leg) -> Callable[[Pcm, bool], None]:
        def heard(pcm: Pcm, concealed: bool) -> None:
            if self._ear is not None and not self._told:
                self._ear.audio(leg, pcm, concealed=concealed)

        return heard

    async def let_go(self, status: str) -> None:
        """Give the caller back to the dialplan, which may read ``VOICEBOT_STATUS``."""
        with suppress(AriError):
            await set_variables(self._client, self.channel, {"VOICEBOT_STATUS": status})
        with suppress(AriError):
            await self._client.request("POST", "channels", self.channel, "continue")

    def finish(self, reason: str) -> None:
        """It is over; tells the ear, once."""
        if not self._reason:
            self._reason = reason
        if self.phase != Phase.JOINED:
            self._over.set()
        if self._ear is not None and not self._told:
            self._told = True
            self._ear.ended(self._reason)

    # ------------------------------------------------------------ events

    def event(self, message: Message) -> None:
        """Take an event about the caller's channel or the agent's."""
        kind = message.get("type")
        channel = text_of(channel_of(message), "id")
        if kind == "ChannelDestroyed" or kind == "StasisEnd":
            self._left(channel, gone=kind == "ChannelDestroyed")
        elif channel != self.channel or self._ear is None or self._told:
            return
        elif kind == "ChannelDtmfReceived":
            digit = text_of(message, "digit").upper()
            if len(digit) == 1 and digit in "0123456789*#ABCD":
                seconds = min(max(number_of(message, "duration_ms"), 0), 60_000) / 1000
                self._ear.digit(Leg.CALLER, digit, seconds)
        elif kind in ("ChannelHold", "ChannelUnhold"):
            self._ear.held(Leg.CALLER, kind == "ChannelHold")

    def _left(self, channel: str, *, gone: bool) -> None:
        if self.phase == Phase.JOINED and channel in (self.channel, self.agent):
            self._alive = self._alive and channel != self.channel
            self._over.set()  # run() removes the bridge; _part() ends the other side
        elif channel == self.channel:
            self._alive = self._alive and not gone
            if self._transferring.locked():
                return  # transfer() knows better how that ended
            if gone or (self.mode == Mode.TAKE and self.phase != Phase.LEFT):
                self.finish("hangup")

    def missing(self) -> None:
        """The caller's channel is not there any more; its end was missed."""
        self._alive = False
        self._over.set()
        self.finish("hangup")

    async def returned(self) -> None:
        """The dialplan gives the caller back after a transfer that failed."""
        if self.phase == Phase.LEFT and not self._told:
            self.phase = Phase.LISTENING
            with suppress(AriError):
                await self.media[Leg.CALLER].join(self.channel)

    # ------------------------------------------------------------ the phone side

    @property
    def can_speak(self) -> bool:
        """Whether the caller is with us."""
        return self.phase == Phase.LISTENING and self._alive and not self._told

    def figures(self) -> Mapping[Leg, MediaFigures]:
        """How well the audio arrives."""
        return {leg: media.figures for leg, media in self.media.items()}

    async def play(self, pcm: Pcm) -> None:
        """Say something to the caller; of an overheard call the agent does not hear it."""
        session = self.media[Leg.CALLER].session
        if self.can_speak and session is not None:
            await session.play(pcm)

    async def hang_up(self, reason: str) -> None:
        """End the call; one that is only overheard goes on without us."""
        self.finish(reason)
        if self.mode == Mode.TAKE and self._alive and self.phase not in (Phase.LEFT, Phase.JOINED):
            with suppress(AriError):
                await self._client.request("DELETE", "channels", self.channel, reason="normal")

    async def transfer(self, target: str, briefing: Briefing) -> Transferred:
        """Hand the caller over; see :func:`asterisk_target` for what a target may be."""
        async with self._transferring:
            if self._told or not self._alive:
                return Transferred(TransferResult.GONE, "the caller has hung up")
            try:
                where = asterisk_target(target)
            except ValueError as error:
                return Transferred(TransferResult.UNSUPPORTED, f"{target}: {error}")
            if self.mode == Mode.MONITOR or self.phase == Phase.LEFT:
                outcome = await fetch_channel(self._client, self.channel, target, briefing)
            elif isinstance(where, Place):
                self.phase = Phase.LEFT
                outcome = await continue_channel(self._client, self.channel, where, briefing)
            elif isinstance(where, Redirect):
                outcome = await redirect_channel(self._client, self.channel, where, briefing)
            else:
                outcome = await self._dial(where, briefing)
        if outcome.result == TransferResult.DONE:
            self.finish(TRANSFERRED)
        elif not self._alive:
            self.finish("hangup")
        return outcome

    async def _dial(self, where: Dial, briefing: Briefing) -> Transferred:
        """Call the agent while we stay with the caller, and join both."""
        client = self._client
        seconds = client.params.answer_seconds
        self.agent = agent = f"{client.app}-agent-{uuid.uuid4().hex[:12]}"
        arrived = self._stage.expect(agent)
        outcome = Transferred(TransferResult.TIMEOUT)
        try:
            async with watching(client, self.channel, own=agent) as watch:
                await client.request(
                    "POST",
                    "channels",
                    agent,
                    body={"variables": briefing_variables(briefing)},
                    endpoint=where.endpoint,
                    app=client.app,
                    appArgs="agent",
                    originator=self.channel,
                    timeout=seconds,
                )
                arrived.add_done_callback(partial(_answered, watch))
                outcome = await watch.wait(seconds + _GRACE_SECONDS)
            if outcome.result == TransferResult.DONE:
                await self.media[Leg.CALLER].join(agent)
                self.phase = Phase.JOINED
                await self.media[Leg.CALLER].release()
        except AriError as error:
            outcome = failed(error)
            if self._alive and outcome.result == TransferResult.GONE:
                outcome = Transferred(TransferResult.UNREACHABLE, str(error))
        finally:
            arrived.cancel()
            if self.phase != Phase.JOINED:
                self.agent = ""
                with suppress(AriError):
                    await client.request("DELETE", "channels", agent)
        return outcome

    async def _part(self) -> None:
        """After one of two who were joined has hung up: end the other side."""
        for channel in (self.channel, self.agent):
            if channel:
                with suppress(AriError):
                    await self._client.request("DELETE", "channels", channel)


def _answered(watch: DialWatch, arrived: asyncio.Future[None]) -> None:
    """The phone is in our application, so it can be joined; that it was answered is not enough."""
    if not arrived.cancelled() and arrived.exception() is None:
        watch.over(Transferred(TransferResult.DONE, "answered"))
