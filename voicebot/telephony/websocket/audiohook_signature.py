"""Signatures of Genesys AudioHook's upgrade requests.

HTTP message signatures as Genesys uses them (draft-ietf-httpbis-message-signatures,
later RFC 9421): HMAC-SHA256 with the client secret over six components of the
request, described in ``Signature-Input``.  Only what Genesys sends is taken;
all else is refused, for what is not understood cannot be vouched for.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

REQUIRED: Final = (
    "@request-target",
    "@authority",
    "audiohook-organization-id",
    "audiohook-session-id",
    "audiohook-correlation-id",
    "x-api-key",
)
"""components that a signature must cover"""
MAX_AGE: Final = 10.0
"""s since ``created``"""
SKEW: Final = 3.0
"""s by which clocks may differ"""
_NONCE_LENGTH: Final = 22
_MOST_NONCES: Final = 10_000
_INPUT_LENGTH: Final = 2048

# RFC 8941: a dictionary member whose value is an inner list of strings with parameters.
_STRING: Final = r'"[\x20\x21\x23-\x5b\x5d-\x7e]*"'
_MEMBER: Final = re.compile(
    rf"([a-z*][a-z0-9_.*-]*)=\(\s*({_STRING}(?:\s+{_STRING})*)\s*\)"
    rf"((?:\s*;\s*[a-z]+=(?:{_STRING}|[0-9]{{1,15}}))*)\s*;?"
)
_PARAMETER: Final = re.compile(rf";\s*([a-z]+)=({_STRING}|[0-9]{{1,15}})")
_SIGNATURE: Final = re.compile(r"([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]{1,128}):")


@dataclass(frozen=True, slots=True)
class SignatureInput:
    """What ``Signature-Input`` says."""

    label: str
    components: tuple[str, ...]
    parameters: Mapping[str, str | int]

    def base(self, values: Mapping[str, str]) -> bytes:
        """The octets that are signed (RFC 9421 section 2.5), written anew from what was read.

        Raises:
            KeyError: a component is missing from the request.
        """
        lines = [f'"{name}": {values[name]}' for name in self.components]
        listed = " ".join(f'"{name}"' for name in self.components)
        parameters = "".join(
            f";{name}={value}" if isinstance(value, int) else f';{name}="{value}"'
            for name, value in self.parameters.items()
        )
        lines.append(f'"@signature-params": ({listed}){parameters}')
        return "\n".join(lines).encode("latin-1", "replace")


def parse_input(header: str) -> SignatureInput:
    """Read ``Signature-Input``.

    Raises:
        ValueError: not one member of the form that Genesys sends.
    """
    match = _MEMBER.fullmatch(header.strip()) if len(header) <= _INPUT_LENGTH else None
    if match is None:
        raise ValueError("Signature-Input is not understood")
    label, listed, rest = match.groups()
    components = tuple(item[1:-1] for item in re.findall(_STRING, listed))
    if len(set(components)) != len(components):
        raise ValueError("a component is listed twice")
    parameters: dict[str, str | int] = {}
    for name, value in _PARAMETER.findall(rest):
        if name in parameters or name not in ("keyid", "nonce", "alg", "created", "expires"):
            raise ValueError("a parameter is unknown or repeated")
        if value.startswith('"') == (name in ("created", "expires")):
            raise ValueError("a parameter is of the wrong type")
        parameters[name] = value[1:-1] if value.startswith('"') else int(value)
    return SignatureInput(label, components, parameters)


class AudiohookSigner:
    """Checks requests of one API key.

    Args:
        api_key: The key that Genesys sends in ``X-API-KEY``.
        secret: The client secret, decoded.
        now: Seconds since 1970.
    """

    def __init__(self, api_key: str, secret: bytes, now: Callable[[], float]) -> None:
        self._api_key = api_key
        self._secret = secret
        self._now = now
        self._nonces: OrderedDict[str, float] = OrderedDict()

    def check(self, target: str, authority: str, headers: Mapping[str, str]) -> str:
        """Check a request.

        Args:
            target: ``@request-target``: path and query as received.
            authority: ``@authority``: the host that Genesys connected to.
            headers: By name in lower case.

        Returns:
            Empty if it is good and was not seen before; else why not, for the log.
        """
        try:
            given = parse_input(headers.get("signature-input", ""))
        except ValueError as err:
            return str(err)
        match = _SIGNATURE.fullmatch(headers.get("signature", "").strip())
        if match is None or match[1] != given.label:
            return "Signature is not understood"
        if missing := [name for name in REQUIRED if name not in given.components]:
            return f"not covered: {missing[0]}"
        values = {**headers, "@request-target": target, "@authority": authority}
        try:
            signature = base64.b64decode(match[2], validate=True)
            base = given.base(values)
        except (binascii.Error, KeyError):
            return "a component is missing"
        expected = hmac.new(self._secret, base, hashlib.sha256).digest()
        is_right = hmac.compare_digest(expected, signature)
        p = given.parameters
        known = p.get("keyid") == headers.get("x-api-key", "") and hmac.compare_digest(
            str(p.get("keyid", "")).encode(), self._api_key.encode()
        )
        if not is_right or not known or p.get("alg", "hmac-sha256") != "hmac-sha256":
            return "wrong key or signature"
        return self._check_time(p)

    def _check_time(self, parameters: Mapping[str, str | int]) -> str:
        now = self._now()
        created, expires = parameters.get("created"), parameters.get("expires")
        nonce = str(parameters.get("nonce", ""))
        if not isinstance(created, int) or created > now + SKEW:
            return "created in the future, or not said"
        if created + MAX_AGE + SKEW < now or (isinstance(expires, int) and expires + SKEW < now):
            return "expired"
        if len(nonce) < _NONCE_LENGTH:
            return "nonce too short"
        while self._nonces and next(iter(self._nonces.values())) < now:
            self._nonces.popitem(last=False)
        if nonce in self._nonces:
            return "replayed"
        if len(self._nonces) >= _MOST_NONCES:  # only what is rightly signed gets here
            return "too many requests"
        self._nonces[nonce] = now + MAX_AGE + 2 * SKEW
        return ""
