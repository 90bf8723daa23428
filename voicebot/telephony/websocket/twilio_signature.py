"""``X-Twilio-Signature``: Twilio signs the address that it connects to.

Base64 of HMAC-SHA1 over the full URL, keyed with the account's auth token; a
WebSocket upgrade has no form fields to append (Twilio, "Webhooks security").
The address never changes, so neither does the signature: it proves no more
than a fixed token would.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator

from voicebot.telephony.websocket.websocket_peer import Handshake


def sign(auth_token: str, url: str) -> str:
    """The header's value for an address, such as ``wss://voice.example.com/media/twilio``."""
    digest = hmac.new(auth_token.encode(), url.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def addresses(handshake: Handshake, public_url: str) -> Iterator[str]:
    """The addresses that Twilio may have been given for this request.

    Args:
        handshake: The request as it arrived here.
        public_url: The listener's address seen from outside; empty for ``wss://`` and the Host.
    """
    base = public_url.rstrip("/") or f"wss://{handshake.headers.get('host', '')}"
    bases = {base}
    # Twilio's own validators try the standard port with and without naming it.
    bases.add(base.removesuffix(":443") if base.endswith(":443") else f"{base}:443")
    for one in sorted(bases):
        yield one + handshake.target
        yield one + handshake.target + "/"


def is_signed(handshake: Handshake, auth_token: str, public_url: str) -> bool:
    """Whether the request carries Twilio's signature of its own address."""
    given = handshake.headers.get("x-twilio-signature", "").encode("utf-8", "replace")
    return any(
        hmac.compare_digest(given, sign(auth_token, url).encode())
        for url in addresses(handshake, public_url)
    )
