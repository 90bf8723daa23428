"""Which ways calls may come in, as configured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from voicebot.config import Config
from voicebot.telephony.asterisk.ari import AriClient
from voicebot.telephony.asterisk.ari_transfer import AriTransfer
from voicebot.telephony.asterisk.audiosocket import AudioSocketGateway
from voicebot.telephony.asterisk.external_media import ExternalMediaGateway
from voicebot.telephony.freeswitch.esl import EslClient
from voicebot.telephony.freeswitch.esl_transfer import EslTransfer
from voicebot.telephony.line import Gateway, Reception
from voicebot.telephony.sip.sip_endpoint import SipEndpoint
from voicebot.telephony.siprec.siprec import SiprecRecorder
from voicebot.telephony.websocket.media_forks import media_forks


class Client(Protocol):
    """A connection to a PBX that several gateways may use."""

    @property
    def counters(self) -> Mapping[str, int]:
        """What went wrong, by name."""
        ...

    async def start(self) -> None:
        """Connect."""
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...


class Connection:
    """Opens such a connection before the gateways that use it, and closes it after them.

    Args:
        name: For the status.
        client: Not yet started.
    """

    def __init__(self, name: str, client: Client) -> None:
        self.name = name
        self._client = client

    @property
    def counters(self) -> Mapping[str, int]:
        """Of the connection."""
        return self._client.counters

    async def start(self) -> None:
        """Connect.

        Raises:
            LineError: the PBX lets nobody in with this password.
        """
        await self._client.start()

    async def close(self) -> None:
        """Disconnect."""
        await self._client.close()


def open_gateways(settings: Config, reception: Reception) -> Sequence[Gateway]:
    """Make the gateways that are enabled; they are not started yet.

    Args:
        settings: All of them.
        reception: Who is asked whether a call may come.

    Returns:
        In the order in which they are to be started; they are to be closed in the opposite one.
    """
    media, pool = settings.media, settings.media.pool()
    gateways: list[Gateway] = []
    asterisk = AriClient(settings.ari) if settings.ari.enabled else None
    freeswitch = EslClient(settings.esl) if settings.esl.enabled else None
    if asterisk:
        gateways.append(Connection("ari", asterisk))
        gateways.append(ExternalMediaGateway(asterisk, reception, media, pool))
    if freeswitch:
        gateways.append(Connection("esl", freeswitch))
    if settings.sip.enabled:
        siprec = SiprecRecorder(settings.siprec, media, pool)
        gateways.append(SipEndpoint(settings.sip, media, reception, pool, siprec))
    if settings.audiosocket.enabled:
        transfer = AriTransfer(asterisk) if asterisk else None
        gateways.append(AudioSocketGateway(settings.audiosocket, reception, transfer))
    if settings.websocket.is_open:
        redirect = EslTransfer(freeswitch) if freeswitch else None
        gateways.append(media_forks(settings.websocket, reception, redirect))
    return gateways
