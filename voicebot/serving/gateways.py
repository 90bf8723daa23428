"""Which ways calls may come in, as configured."""

from __future__ import annotations

from collections.abc import Sequence

from voicebot.config import Config
from voicebot.telephony.audiosocket import AudioSocketGateway
from voicebot.telephony.line import Gateway, Reception
from voicebot.telephony.sip_endpoint import SipEndpoint
from voicebot.telephony.siprec import SiprecRecorder


def open_gateways(settings: Config, reception: Reception) -> Sequence[Gateway]:
    """Make the gateways that are enabled; they are not started yet.

    Args:
        settings: All of them.
        reception: Who is asked whether a call may come.
    """
    pool = settings.sip.media.pool()
    siprec = SiprecRecorder(settings.siprec, settings.sip.media, pool)
    gateways: list[Gateway] = [SipEndpoint(settings.sip, reception, pool, siprec)]
    if settings.audiosocket.enabled:
        gateways.append(AudioSocketGateway(settings.audiosocket, reception))
    return gateways
