"""The audio of one leg of a call in Asterisk: its channels there, our RTP here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final, Protocol

from voicebot.errors import VoicebotError
from voicebot.events import Leg, Pcm
from voicebot.telephony.asterisk.ari import AriClient, AriError, text_of
from voicebot.telephony.line import MediaFigures
from voicebot.telephony.media.media_session import MediaParams, MediaSession
from voicebot.telephony.media.ports import PortPool
from voicebot.telephony.media.sdp_types import Codec, Direction, Negotiated

CODECS: Final = {"ulaw": Codec("PCMU", 0, 8000), "alaw": Codec("PCMA", 8, 8000)}


class StasisError(VoicebotError):
    """The channels for the audio could not be made."""


class Stage(Protocol):
    """Tells when channels that we have made are in our application."""

    def expect(self, channel: str) -> asyncio.Future[None]:
        """Done when the channel has come; :class:`StasisError` if it ended instead."""
        ...


class StasisMedia:
    """One leg's audio.

    Asterisk sends it by a channel ``UnicastRTP``, which shares a bridge with the caller's channel,
    or with a ``Snoop`` channel that overhears it.

    Args:
        client: ...
        stage: ...
        leg: Whose audio.
        token: Makes the names unique.
    """

    def __init__(self, client: AriClient, stage: Stage, leg: Leg, token: str) -> None:
        self._client = client
        self._stage = stage
        self.leg = leg
        self.bridge = f"{client.app}-bridge-{leg}-{token}"
        self.media_channel = f"{client.app}-media-{leg}-{token}"
        self.spy_channel = f"{client.app}-spy-{leg}-{token}"
        self.session: MediaSession | None = None
        self._made: list[tuple[str, str]] = []
        """what is to be removed: kind and id"""

    async def open(
        self,
        params: MediaParams,
        pool: PortPool,
        heard: Callable[[Pcm, bool], None],
        *,
        spied: str = "",
    ) -> None:
        """Make the channels and the bridge.

        Args:
            params: ...
            pool: ...
            heard: Given what is heard, and whether it is concealed.
            spied: Id of the channel to overhear; empty: :meth:`join` brings the caller itself.

        Raises:
            StasisError, LineError: that was not possible; :meth:`close` removes what was made.
        """
        client = self._client
        self.session = await MediaSession.open(params, pool, heard, _no_digit)
        try:
            self._made.append(("bridges", self.bridge))  # even if the answer gets lost
            await client.request("POST", "bridges", self.bridge, type="mixing")
            if spied:
                # What the caller says is `in`; what she hears is `out`, so it is there that a
                # prompt is whispered to her, which the agent does not hear.
                await self._make(
                    self.spy_channel,
                    lambda: client.request(
                        "POST",
                        "channels",
                        spied,
                        "snoop",
                        self.spy_channel,
                        spy="in" if self.leg == Leg.CALLER else "out",
                        whisper="out" if self.leg == Leg.CALLER else "none",
                        app=client.app,
                        appArgs="spy",
                    ),
                )
                await self.join(self.spy_channel)
            made = await self._make(
                self.media_channel,
                lambda: client.request(
                    "POST",
                    "channels",
                    "externalMedia",
                    channelId=self.media_channel,
                    app=client.app,
                    external_host=_address(params.advertise or params.host, self._port),
                    format=client.params.codec,
                    data="media",
                ),
            )
            host, port = await self._peer(made)
            duplex = self.leg == Leg.CALLER
            self.session.apply(_negotiated(client.params.codec, host, port, duplex=duplex))
            await self.join(self.media_channel)
        except AriError as error:
            raise StasisError(f"Asterisk makes no channels for the {self.leg}: {error}") from None

    async def join(self, channel: str) -> None:
        """Bring a channel of our application into the bridge.

        Raises:
            AriError: ...
        """
        await self._client.request("POST", "bridges", self.bridge, "addChannel", channel=channel)

    async def release(self) -> None:
        """Close our end and remove our channels; the bridge and who else is in it stay."""
        if self.session is not None:
            await self.session.close()
        made = [each for each in self._made if each[0] == "channels"]
        self._made = [each for each in self._made if each[0] != "channels"]
        await self._remove(made)

    async def close(self) -> None:
        """Remove everything.  May be called twice."""
        await self.release()
        made, self._made = self._made, []
        await self._remove(made)

    @property
    def figures(self) -> MediaFigures:
        """How well the audio arrives."""
        return MediaFigures() if self.session is None else self.session.figures()

    @property
    def _port(self) -> int:
        assert self.session is not None
        return self.session.port

    async def _make(
        self, channel: str, request: Callable[[], Awaitable[object]]
    ) -> Mapping[str, object]:
        arrived = self._stage.expect(channel)
        self._made.append(("channels", channel))
        try:
            answer = await request()
            async with asyncio.timeout(self._client.params.setup_seconds):
                await arrived
        except TimeoutError:
            raise StasisError(f"Asterisk: {channel} did not come in time") from None
        finally:
            arrived.cancel()
        return answer if isinstance(answer, dict) else {}

    async def _peer(self, made: Mapping[str, object]) -> tuple[str, int]:
        """Where Asterisk wants the audio that we send: variables of the channel tell."""
        found = []
        for name in ("UNICASTRTP_LOCAL_ADDRESS", "UNICASTRTP_LOCAL_PORT"):
            value = text_of(made, "channelvars", name)
            if not value:
                answer = await self._client.request(
                    "GET", "channels", self.media_channel, "variable", variable=name
                )
                value = text_of(answer, "value") if isinstance(answer, dict) else ""
            found.append(value)
        host, port = found
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise StasisError(f"Asterisk does not say where it takes audio: {host}:{port}")
        return host.strip("[]"), int(port)

    async def _remove(self, made: list[tuple[str, str]]) -> None:
        for kind, name in reversed(made):
            with suppress(AriError):
                await self._client.request("DELETE", kind, name)


def _no_digit(digit: str, seconds: float) -> None:
    """Digits come as events of Asterisk, not in RTP."""


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _negotiated(codec: str, host: str, port: int, *, duplex: bool) -> Negotiated:
    """What an exchange of SDP would have agreed on."""
    used = CODECS[codec]
    return Negotiated(
        index=0,
        label="",
        protocol="RTP/AVP",
        codec=used,
        receives=(used,),
        dtmf=None,
        dtmf_heard=(),
        comfort_noise=13,
        host=host,
        port=port,
        rtcp_host=host,
        rtcp_port=port + 1,
        rtcp_mux=False,
        direction=Direction.SENDRECV if duplex else Direction.RECVONLY,
        on_hold=False,
        ptime_ms=20,
        local_crypto=None,
        remote_crypto=None,
    )
