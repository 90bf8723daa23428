"""Who may speak AudioHook here: the upgrade request's API key and signature."""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from pydantic import SecretStr, field_validator

from voicebot.params import Params, key
from voicebot.telephony.faults import Faults
from voicebot.telephony.line import Reception
from voicebot.telephony.websocket import fork_access
from voicebot.telephony.websocket.audiohook import AudiohookSession
from voicebot.telephony.websocket.audiohook_signature import AudiohookSigner
from voicebot.telephony.websocket.fork import Lingering
from voicebot.telephony.websocket.websocket_peer import Answer, Denial, Handshake, Peer


class AudiohookParams(Params):
    """Calls that Genesys Cloud forks to us."""

    api_key: SecretStr = key(SecretStr(""), "API key of the integration (X-API-KEY).")
    client_secret: SecretStr = key(
        SecretStr(""),
        "Client secret of the integration, base64; requests must be signed with it. Without one "
        "the API key alone opens the endpoint.",
    )
    organization_ids: list[str] = key(
        [], "Genesys Cloud organisations that may connect; empty for any that knows the key."
    )

    @field_validator("client_secret")
    @classmethod
    def _is_base64(cls, value: SecretStr) -> SecretStr:
        try:
            base64.b64decode(value.get_secret_value(), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("is not base64; take it as Genesys shows it") from None
        return value


class AudiohookEndpoint:
    """What lies behind /media/audiohook.

    Args:
        params: See there.
        public_url: As in the listener's parameters; its host is what Genesys signs.
        reception: Takes the calls.
        faults: Counts.
        now: Seconds since 1970, for the age of signatures.
    """

    path: Final = "/media/audiohook"

    def __init__(
        self,
        params: AudiohookParams,
        public_url: str,
        reception: Reception,
        faults: Faults,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._params = params
        self._host = re.sub(r"^[a-z]+://([^/]*).*$", r"\1", public_url)
        self._reception = reception
        self._faults = faults
        self._lingering = Lingering()
        self._api_key = params.api_key.get_secret_value()
        secret = params.client_secret.get_secret_value()
        self._signer = (
            AudiohookSigner(self._api_key, base64.b64decode(secret), now) if secret else None
        )

    def admit(self, handshake: Handshake) -> Denial | None:
        """Check the signature, or the bare API key where there is no secret."""
        headers = handshake.headers
        if not self._api_key:
            return fork_access.closed(
                "audiohook", "websocket.audiohook.api_key and websocket.audiohook.client_secret"
            )
        if self._signer is not None:
            authority = (self._host or headers.get("host", "")).lower().removesuffix(":443")
            if why := self._signer.check(handshake.target, authority, headers):
                denial = fork_access.wrong("audiohook")
                return replace(denial, fields={"why": why})
        elif not fork_access.is_one_of(headers.get("x-api-key", ""), [self._params.api_key]):
            return fork_access.wrong("audiohook")
        allowed = self._params.organization_ids
        if allowed and headers.get("audiohook-organization-id", "") not in allowed:
            return replace(fork_access.wrong("audiohook"), fields={"why": "organisation"})
        return None

    def hook(self, handshake: Handshake) -> Answer | None:
        """There are none."""
        return None

    def open(self, peer: Peer) -> AudiohookSession:
        """Begin with a session."""
        return AudiohookSession(peer, self._reception, self._faults, self._lingering)

    def close(self) -> None:
        """Nothing outlives its connection here."""
        self._lingering.close()
