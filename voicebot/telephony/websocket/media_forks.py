"""The WebSocket forks together: one listener, four endpoints."""

from __future__ import annotations

from pydantic import SecretStr

from voicebot.params import key
from voicebot.telephony.faults import Faults
from voicebot.telephony.line import Reception
from voicebot.telephony.pbx_transfer import PbxTransfer
from voicebot.telephony.websocket.audiohook_endpoint import AudiohookEndpoint, AudiohookParams
from voicebot.telephony.websocket.fork import Controls
from voicebot.telephony.websocket.freeswitch_stream import FreeswitchEndpoint, FreeswitchParams
from voicebot.telephony.websocket.jambonz_stream import JambonzEndpoint, JambonzParams
from voicebot.telephony.websocket.jambonz_transfer import JambonzTransfer
from voicebot.telephony.websocket.twilio_stream import TwilioEndpoint, TwilioParams
from voicebot.telephony.websocket.twilio_transfer import TwilioTransfer
from voicebot.telephony.websocket.websocket_peer import ListenerParams
from voicebot.telephony.websocket.websocket_server import WebSocketServer


class WebSocketParams(ListenerParams):
    """Media forks over WebSocket. One without a secret is closed."""

    twilio: TwilioParams = key(TwilioParams(), "Twilio Media Streams, at /media/twilio.")
    freeswitch: FreeswitchParams = key(
        FreeswitchParams(), "FreeSWITCH mod_audio_stream, mod_audio_fork, at /media/freeswitch."
    )
    jambonz: JambonzParams = key(JambonzParams(), "The jambonz verb listen, at /media/jambonz.")
    audiohook: AudiohookParams = key(
        AudiohookParams(), "Genesys AudioHook Monitor, at /media/audiohook."
    )

    @property
    def is_open(self) -> bool:
        """Whether any endpoint has a secret, so that listening makes sense."""
        secrets: list[SecretStr] = [
            *self.twilio.tokens, self.twilio.auth_token, *self.freeswitch.tokens,
            *self.jambonz.tokens, self.audiohook.api_key,
        ]  # fmt: skip
        return any(secret.get_secret_value() for secret in secrets)


def media_forks(
    params: WebSocketParams, reception: Reception, freeswitch: Controls | PbxTransfer | None = None
) -> WebSocketServer:
    """Put the gateway together; it is opened by its ``start``.

    Args:
        params: The section ``websocket`` of the configuration.
        reception: Takes the calls.
        freeswitch: How calls of FreeSWITCH are handed over, by its event socket.
    """
    faults = Faults("websocket")
    if not isinstance(freeswitch, Controls):
        why = "" if freeswitch else "set the event socket of FreeSWITCH (section esl)"
        freeswitch = Controls(freeswitch, unsupported=why)
    jambonz, jambonz_transfer = _jambonz(params)
    return WebSocketServer(
        params,
        [
            TwilioEndpoint(params.twilio, params.public_url, reception, faults, _twilio(params)),
            FreeswitchEndpoint(params.freeswitch, reception, faults, freeswitch),
            JambonzEndpoint(params.jambonz, reception, faults, jambonz, jambonz_transfer),
            AudiohookEndpoint(params.audiohook, params.public_url, reception, faults),
        ],
        faults,
    )


def _twilio(params: WebSocketParams) -> Controls:
    rest = params.twilio.rest
    if not rest.account_sid or not rest.password.get_secret_value():
        return Controls(unsupported="set websocket.twilio.rest.account_sid and .password")
    transfer = TwilioTransfer(rest)
    return Controls(transfer, transfer.hang_up, retry_seconds=rest.hold_seconds)


def _jambonz(params: WebSocketParams) -> tuple[Controls, JambonzTransfer | None]:
    rest = params.jambonz.rest
    if not rest.account_sid or not rest.api_key.get_secret_value():
        return Controls(unsupported="set websocket.jambonz.rest.account_sid and .api_key"), None
    transfer = JambonzTransfer(rest, params.public_url)
    if not params.public_url:  # jambonz fetches from there whom to dial
        return Controls(None, transfer.hang_up, "set websocket.public_url"), transfer
    return Controls(transfer, transfer.hang_up, retry_seconds=rest.hold_seconds), transfer
