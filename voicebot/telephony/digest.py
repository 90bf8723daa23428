"""Digest authentication of SIP (RFC 3261 section 22, RFC 7616, RFC 8760), both sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from aiosipua.message import SipRequest, SipResponse


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user's name and password."""

    username: str
    password: str
    realm: str = ""
    """empty: answers the challenge of any realm"""


class Verdict(StrEnum):
    """What to make of a request's credentials."""

    GOOD = "good"
    MISSING = "missing"
    """none for our realm: challenge"""
    STALE = "stale"
    """right, but the nonce is too old or its count was seen: challenge with ``stale=true``"""
    WRONG = "wrong"
    """unknown user or wrong password: challenge again, or refuse"""


class Challenger:
    """The server side.

    Args:
        realm: Shown to users.
        users: Passwords by name.
        nonce_seconds: How long a nonce is good.
    """

    def __init__(self, realm: str, users: Mapping[str, str], nonce_seconds: float = 300.0) -> None:
        raise NotImplementedError

    def challenges(self, stale: bool = False) -> list[str]:
        """Values for WWW-Authenticate: SHA-256 first, then MD5."""
        raise NotImplementedError

    def challenge(self, request: SipRequest, verdict: Verdict = Verdict.MISSING) -> SipResponse:
        """Make the 401 for a request."""
        raise NotImplementedError

    def verify(self, request: SipRequest) -> Verdict:
        """Check the Authorization of a request; never raises."""
        raise NotImplementedError


class Answerer:
    """The client side: keeps challenges, so that later requests carry credentials at once.

    Args:
        credentials: For one or several realms.
    """

    def __init__(self, credentials: Sequence[Credentials]) -> None:
        raise NotImplementedError

    def answer(self, request: SipRequest, response: SipResponse) -> SipRequest | None:
        """Make the request that answers a 401 or 407: credentials added, CSeq one higher, no Via.

        Returns:
            None if no credentials fit, or they were refused already (same nonce, not stale).
        """
        raise NotImplementedError

    def authorise(self, request: SipRequest) -> None:
        """Put the credentials of challenges met before into a new request (nc counted on)."""
        raise NotImplementedError


def answer(
    request: SipRequest, response: SipResponse, credentials: Sequence[Credentials] | Credentials
) -> SipRequest | None:
    """Answer one 401 or 407 without keeping anything; see :meth:`Answerer.answer`."""
    raise NotImplementedError
