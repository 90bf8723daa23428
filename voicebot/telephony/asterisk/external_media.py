"""Calls that Asterisk gives to our Stasis application; their audio comes as plain RTP.

In the dialplan ``Stasis(voicebot,take,QUEUE)`` hands the caller to us alone, and
``Stasis(voicebot,monitor,QUEUE)`` lets us overhear both sides while the call goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

from voicebot.errors import VoicebotError
from voicebot.tasks import Tasks
from voicebot.telephony.asterisk.ari import AriClient, AriError, Message, channel_of, text_of
from voicebot.telephony.asterisk.stasis_call import Mode, Phase, StasisCall
from voicebot.telephony.asterisk.stasis_media import StasisError
from voicebot.telephony.faults import Faults
from voicebot.telephony.line import Ear, Offer, Reception, RefusedError
from voicebot.telephony.media.media_session import MediaParams
from voicebot.telephony.media.ports import PortPool


class ExternalMediaGateway:
    """Takes calls from one Asterisk.

    Args:
        client: Started here; whoever made it closes it, after this.
        reception: Takes the calls.
        media: Where RTP comes in.
        pool: Of ports; one for the whole process.
    """

    def __init__(
        self, client: AriClient, reception: Reception, media: MediaParams, pool: PortPool
    ) -> None:
        self.faults = Faults(self.name)
        self._client = client
        self._reception = reception
        self._media = media
        self._pool = pool
        self._calls: dict[str, StasisCall] = {}
        """by the id of the caller's channel"""
        self._expected: dict[str, asyncio.Future[None]] = {}
        self._tasks = Tasks("external_media")
        self._serving: dict[StasisCall, asyncio.Task[None]] = {}
        self._open = False
        self._tidied = False
        client.when_up(self._up)

    @property
    def name(self) -> str:
        """``external_media``."""
        return "external_media"

    @property
    def counters(self) -> Mapping[str, int]:
        """Ours and the client's: ``external_media_refused``, ``ari_lost``, ..."""
        return {**self.faults.counters, **self._client.counters}

    async def start(self) -> None:
        """Connect; calls come as soon as Asterisk is there.

        Raises:
            LineError: Asterisk knows no such user.
        """
        if not self._open:
            self._open = True
            self._stop = self._client.listen(self._event)
        await self._client.start()

    async def close(self) -> None:
        """End the calls that are left; callers who talk to an agent by now go on."""
        if not self._open:
            return
        self._open = False
        self._stop()
        for call, task in list(self._serving.items()):
            if call.phase == Phase.JOINED:
                task.cancel()
            else:
                await call.hang_up("shutdown")
        await self._tasks.ended(self._client.params.request_seconds)  # they remove their channels
        self._tasks.cancel()
        await self._tasks.ended()

    def expect(self, channel: str) -> asyncio.Future[None]:
        """See :class:`~voicebot.telephony.asterisk.stasis_media.Stage`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._expected[channel] = future

        def forget(done: asyncio.Future[None]) -> None:
            self._expected.pop(channel, None)
            if not done.cancelled():
                done.exception()  # nobody may be waiting any more

        future.add_done_callback(forget)
        return future

    # ------------------------------------------------------------ events

    def _event(self, message: Message) -> None:
        kind = message.get("type")
        channel = text_of(channel_of(message), "id")
        if not channel:
            return
        if kind == "StasisStart":
            self._came(message, channel)
            return
        if kind == "ChannelDestroyed":
            future = self._expected.get(channel)
            if future is not None and not future.done():
                future.set_exception(StasisError(f"Asterisk: {channel} ended at once"))
        call = self._calls.get(channel)
        if call is None and channel.startswith(f"{self._client.app}-agent-"):
            call = next((each for each in self._calls.values() if each.agent == channel), None)
        if call is not None:
            call.event(message)

    def _came(self, message: Message, channel: str) -> None:
        future = self._expected.get(channel)
        if future is not None:
            if not future.done():
                future.set_result(None)
            return
        if channel.startswith(self._ours()):
            self._tasks.spawn(
                self._remove("channels", channel)
            )  # came too late, nobody waits for it
            return
        call = self._calls.get(channel)
        if call is not None:
            self._tasks.spawn(call.let_go("") if call.mode == Mode.MONITOR else call.returned())
            return
        args = message.get("args")
        words = [word for word in args if isinstance(word, str)] if isinstance(args, list) else []
        try:
            mode = Mode(words[0] if words else Mode.TAKE)
        except ValueError:
            self.faults.count("external_media_bad_arguments")
            self._tasks.spawn(StasisCall(self._client, self, channel, Mode.TAKE).let_go("FAILED"))
            return
        self._receive(StasisCall(self._client, self, channel, mode), message, words[1:])

    def _receive(self, call: StasisCall, message: Message, words: list[str]) -> None:
        about = channel_of(message)
        extension = text_of(about, "dialplan", "exten")
        named = dict(word.split("=", 1) for word in words if "=" in word)
        offer = Offer(
            gateway=self.name,
            reference=call.channel,
            peer=urlsplit(self._client.params.url).netloc,
            legs=tuple(call.media),
            rate=8000,
            called=next((word for word in words if word and "=" not in word), extension),
            caller=text_of(about, "caller", "number"),
            parameters={
                **{name.lower(): value for name, value in named.items()},
                "extension": extension,
                "context": text_of(about, "dialplan", "context"),
                "mode": call.mode.value,
            },
        )
        try:
            ear = self._reception.receive(offer, call)
        except RefusedError as refusal:
            self.faults.count("external_media_refused", what=refusal.what)
            self._tasks.spawn(call.let_go("REFUSED"))
            return
        self._calls[call.channel] = call
        task = self._tasks.spawn(self._serve(call, ear, up=text_of(about, "state") == "Up"))
        self._serving[call] = task
        task.add_done_callback(lambda _: self._serving.pop(call, None))

    async def _serve(self, call: StasisCall, ear: Ear, *, up: bool) -> None:
        try:
            await call.run(ear, self._media, self._pool, up=up)
        except VoicebotError as error:
            self.faults.count("external_media_failed", what=str(error))
        finally:
            self._calls.pop(call.channel, None)

    # ------------------------------------------------------------ after a pause

    def _up(self) -> None:
        if self._open:
            self._tasks.spawn(self._reconcile())

    async def _reconcile(self) -> None:
        """Find out what was missed while there were no events; the first time, before we began."""
        before = dict(self._calls)
        try:
            answer = await self._client.request("GET", "channels")
        except AriError:
            return  # if the connection is lost too, this is done again
        channels = answer if isinstance(answer, list) else []
        there = {text_of(each, "id") for each in channels if isinstance(each, dict)}
        for channel, call in before.items():
            if channel not in there:
                self.faults.count("external_media_missed_end")
                call.missing()
        if not self._tidied:
            self._tidied = True
            await self._tidy([each for each in channels if isinstance(each, dict)])

    async def _tidy(self, channels: list[Message]) -> None:
        """Mend what an earlier run of this program left behind when it was killed."""
        # Calls that come just now are in Asterisk's list before their events are here.
        await asyncio.sleep(self._client.params.settle_seconds)
        try:
            bridges = await self._client.request("GET", "bridges")
        except AriError:
            return
        app = self._client.app
        in_use = {
            name
            for call in self._calls.values()
            for leg in call.media.values()
            for name in (call.channel, leg.media_channel, leg.spy_channel, leg.bridge)
        }
        for about in bridges if isinstance(bridges, list) else []:
            bridge = text_of(about, "id") if isinstance(about, dict) else ""
            if not bridge.startswith(f"{app}-bridge-") or bridge in in_use:
                continue
            members = [each for each in about.get("channels") or [] if isinstance(each, str)]
            if any(each.startswith(f"{app}-agent-") for each in members):
                in_use.update(members)  # a caller and an agent who talk: not to be disturbed
            else:
                self.faults.count("external_media_left_over")
                await self._remove("bridges", bridge)
        for about in channels:
            channel = text_of(about, "id")
            if channel in in_use or channel.startswith(f"{app}-agent-"):
                continue
            if channel.startswith(self._ours()):
                self.faults.count("external_media_left_over")
                await self._remove("channels", channel)
            elif (
                text_of(about, "dialplan", "app_name") == "Stasis"
                and text_of(about, "dialplan", "app_data").split(",")[0] == app
            ):
                self.faults.count("external_media_stranded")  # a caller who hears silence
                await StasisCall(self._client, self, channel, Mode.TAKE).let_go("FAILED")

    def _ours(self) -> tuple[str, ...]:
        return tuple(f"{self._client.app}-{kind}-" for kind in ("media", "spy", "agent"))

    async def _remove(self, kind: str, name: str) -> None:
        try:
            await self._client.request("DELETE", kind, name)
        except AriError:
            self.faults.count("external_media_not_removed")
