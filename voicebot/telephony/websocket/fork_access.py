"""Who may open a media fork: shared tokens, wherever a peer is able to put one."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Annotated, Final

from pydantic import AfterValidator, SecretStr

from voicebot.telephony.websocket.websocket_peer import Denial, Handshake

_LENGTH: Final = 16
"""characters; shorter secrets can be guessed"""


def _long_enough(tokens: list[SecretStr]) -> list[SecretStr]:
    for token in tokens:
        if len(token.get_secret_value()) < _LENGTH:
            raise ValueError(
                f"a token must have at least {_LENGTH} characters; `openssl rand -hex 32` makes one"
            )
    return tokens


Tokens = Annotated[list[SecretStr], AfterValidator(_long_enough)]
"""Secrets of at least 16 characters, each of which opens an endpoint."""


def is_one_of(offered: str, tokens: Iterable[SecretStr]) -> bool:
    """Compare in a time that tells nothing of how much of a token is right."""
    given = offered.encode("utf-8", "replace")
    return any(hmac.compare_digest(given, t.get_secret_value().encode()) for t in tokens)


def offered(handshake: Handshake) -> Iterator[str]:
    """The tokens that a request brings.

    ``Authorization: Bearer`` (RFC 6750), the password of ``Authorization: Basic`` (RFC 7617,
    which is all that jambonz and mod_audio_fork can send), and ``?token=``.
    """
    scheme, _, rest = handshake.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        yield rest.strip()
    elif scheme.lower() == "basic":
        try:
            user_and_password = base64.b64decode(rest.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            pass
        else:
            yield user_and_password.partition(":")[2]
    if "token" in handshake.query:
        yield handshake.query["token"]


def closed(endpoint: str, keys: str) -> Denial:
    """The denial where nothing is configured, which names the keys to set."""
    return Denial(HTTPStatus.FORBIDDEN, f"{endpoint}_closed", {"set": keys})


def wrong(endpoint: str) -> Denial:
    """The denial of a wrong or missing secret."""
    return Denial(HTTPStatus.UNAUTHORIZED, f"{endpoint}_unauthorized")


def check_tokens(endpoint: str, handshake: Handshake, tokens: list[SecretStr]) -> Denial | None:
    """Let in a request that brings one of the tokens.

    Args:
        endpoint: The fork's name, which is its section of the configuration too.
        handshake: The request.
        tokens: None of them leaves the endpoint closed.
    """
    if not tokens:
        return closed(endpoint, f"websocket.{endpoint}.tokens")
    if any(is_one_of(token, tokens) for token in offered(handshake)):
        return None
    return wrong(endpoint)
