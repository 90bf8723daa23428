"""Digest authentication of SIP (RFC 3261 section 22, RFC 7616, RFC 8760), both sides.

``qop=auth`` with SHA-256 and MD5; as a client also challenges without qop (RFC 2069), since some
carriers send them.  Neither ``auth-int`` nor the ``-sess`` variants.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from aiosipua.headers import CSeq, stringify_cseq
from aiosipua.message import SipRequest, SipResponse

from voicebot.telephony.sip.sip_messages import copy_request, cseq_of, response_to

_HASHES: dict[str, Callable[[bytes], hashlib._Hash]] = {
    "SHA-256": hashlib.sha256,
    "MD5": hashlib.md5,
}
"""by name, the stronger first (RFC 8760 section 2.4)"""
MAX_NONCES = 4096
"""whose counts are remembered, at the server"""
MAX_REALMS = 32
"""whose challenges are remembered, at the client"""
MAX_OFFERED = 8
"""credentials in one request that are looked at"""
MAX_COUNT = 0xFFFFFFFF

_PARAM = re.compile(
    r'\s*([A-Za-z0-9\-_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))\s*(?:,|$)', re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user's name and password."""

    username: str
    password: str = field(repr=False)
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


def read_params(value: str) -> tuple[str, dict[str, str]]:
    """Read a challenge or credentials into its scheme and parameters, names in lower case.

    What cannot be read ends the reading; work is linear.
    """
    scheme, _, rest = value.strip().partition(" ")
    params: dict[str, str] = {}
    at = 0
    while match := _PARAM.match(rest, at):
        quoted = match[2]
        text = match[3] if quoted is None else re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)
        params.setdefault(match[1].lower(), text)
        at = match.end()
    return scheme.lower(), params


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def response_value(
    algorithm: str, secret: str, method: str, uri: str, nonce: str, count: str, cnonce: str
) -> str:
    """The ``response`` of RFC 7616 section 3.4.1, or of RFC 2069 where ``count`` is empty.

    Args:
        algorithm: ``SHA-256`` or ``MD5``.
        secret: ``user:realm:password``.
        method: Of the request.
        uri: The credentials' ``uri``.
        nonce: The server's.
        count: ``nc``, eight hexadecimal digits.
        cnonce: The client's nonce.
    """
    make = _HASHES[algorithm]

    def digest(text: str) -> str:
        return make(text.encode("utf-8", errors="surrogateescape")).hexdigest()

    middle = f"{nonce}:{count}:{cnonce}:auth" if count else nonce
    return digest(f"{digest(secret)}:{middle}:{digest(f'{method}:{uri}')}")


class Challenger:
    """The server side: challenges, and checks the answers.

    A nonce is its time and an HMAC over it, so that challenges need no memory; only the counts of
    nonces that were answered rightly are kept, to refuse replays.

    Args:
        realm: Shown to users.
        users: Passwords by name.
        nonce_seconds: How long a nonce is good.
        clock: In s, since any moment; for tests.
    """

    def __init__(
        self,
        realm: str,
        users: Mapping[str, str],
        nonce_seconds: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.realm = realm
        self._users = dict(users)
        self._seconds = nonce_seconds
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._forgotten = -1.0
        """when the newest of the nonces was made whose counts are no longer kept"""

    def _sign(self, made: str) -> str:
        return hmac.new(self._key, made.encode(), hashlib.sha256).hexdigest()[:32]

    def _nonce(self) -> str:
        made = f"{int(self._clock() * 1000):x}.{secrets.token_hex(6)}"
        return f"{made}.{self._sign(made)}"

    def _made(self, nonce: str) -> float | None:
        """When a nonce of ours was made, by the clock; None if it is not ours."""
        made, _, signature = nonce.rpartition(".")
        if not nonce.isascii() or not hmac.compare_digest(signature, self._sign(made)):
            return None
        return int(made.partition(".")[0], 16) / 1000

    def challenges(self, stale: bool = False) -> list[str]:
        """Values for WWW-Authenticate: SHA-256 first, then MD5."""
        more = ", stale=true" if stale else ""
        return [
            f"Digest realm={_quote(self.realm)}, nonce={_quote(self._nonce())}, "
            f'algorithm={algorithm}, qop="auth"{more}'
            for algorithm in _HASHES
        ]

    def challenge(self, request: SipRequest, verdict: Verdict = Verdict.MISSING) -> SipResponse:
        """Make the 401 for a request."""
        response = response_to(request, 401)
        for value in self.challenges(stale=verdict is Verdict.STALE):
            response.headers.append("WWW-Authenticate", value)
        return response

    def verify(self, request: SipRequest) -> Verdict:
        """Check the Authorization of a request; never raises."""
        verdict = Verdict.MISSING
        for value in request.headers.get("Authorization")[:MAX_OFFERED]:
            scheme, params = read_params(value)
            if scheme == "digest" and params.get("realm") == self.realm:
                verdict = self._check(request, params)
                if verdict is Verdict.GOOD:
                    break
        return verdict

    def _check(self, request: SipRequest, params: Mapping[str, str]) -> Verdict:
        algorithm = params.get("algorithm", "MD5").upper()
        nonce, count, uri = params.get("nonce", ""), params.get("nc", ""), params.get("uri", "")
        if algorithm not in _HASHES or params.get("qop", "").lower() != "auth" or not uri:
            return Verdict.WRONG
        if re.fullmatch("[0-9a-fA-F]{8}", count) is None:
            return Verdict.WRONG
        made = self._made(nonce)
        if made is None:
            # After a restart every nonce is foreign: the client may ask anew without a person.
            return Verdict.STALE
        user = params.get("username", "")
        # An unknown user takes as long as a known one.
        password = self._users.get(user, "")
        right = response_value(
            algorithm,
            f"{user}:{self.realm}:{password}",
            request.method,
            uri,
            nonce,
            count,
            params.get("cnonce", ""),
        )
        given = params.get("response", "").lower().encode("utf-8", errors="replace")
        if not hmac.compare_digest(given, right.encode()) or user not in self._users:
            return Verdict.WRONG
        if uri != request.uri and not self._same_place(uri, request.uri):
            return Verdict.WRONG
        return self._use(nonce, int(count, 16), made)

    @staticmethod
    def _same_place(uri: str, request_uri: str) -> bool:
        """Proxies rewrite the Request-URI; the credentials stay good for its user's host part."""
        return uri.partition(";")[0] == request_uri.partition(";")[0]

    def _use(self, nonce: str, count: int, made: float) -> Verdict:
        if self._clock() - made > self._seconds or count <= self._counts.get(nonce, 0):
            return Verdict.STALE
        if nonce not in self._counts:
            if made <= self._forgotten:
                return Verdict.STALE
            if len(self._counts) >= MAX_NONCES:
                # A count that is forgotten must not open a replay: nonces as old end with it.
                oldest, _ = self._counts.popitem(last=False)
                self._forgotten = max(self._forgotten, self._made(oldest) or 0.0)
        self._counts[nonce] = count
        return Verdict.GOOD


@dataclass(slots=True)
class _Challenge:
    """A challenge that we can answer, and how often we did."""

    realm: str
    nonce: str
    algorithm: str
    """as the server wrote it"""
    opaque: str | None
    qop: bool
    stale: bool
    proxy: bool
    count: int = 0


def _offered(response: SipResponse) -> list[_Challenge]:
    """The challenges of a 401 or 407 that can be answered, the best of each realm."""
    best: dict[tuple[bool, str], _Challenge] = {}
    names = list(_HASHES)
    for header, proxy in (("WWW-Authenticate", False), ("Proxy-Authenticate", True)):
        for value in response.headers.get(header)[:MAX_REALMS]:
            scheme, params = read_params(value)
            algorithm = params.get("algorithm", "MD5")
            qop = [
                part.strip().lower() for part in params.get("qop", "").split(",") if part.strip()
            ]
            usable = scheme == "digest" and algorithm.upper() in _HASHES and params.get("nonce")
            if not usable or (qop and "auth" not in qop):
                continue
            made = _Challenge(
                params.get("realm", ""),
                params["nonce"],
                algorithm,
                params.get("opaque"),
                bool(qop),
                params.get("stale", "").lower() == "true",
                proxy,
            )
            known = best.get((proxy, made.realm))
            if known is None or names.index(algorithm.upper()) < names.index(
                known.algorithm.upper()
            ):
                best[proxy, made.realm] = made
    return list(best.values())


class Answerer:
    """The client side: keeps challenges, so that later requests carry credentials at once.

    Args:
        credentials: For one or several realms.
    """

    def __init__(self, credentials: Sequence[Credentials]) -> None:
        self._credentials = tuple(credentials)
        self._known: OrderedDict[tuple[bool, str], _Challenge] = OrderedDict()

    def answer(self, request: SipRequest, response: SipResponse) -> SipRequest | None:
        """Make the request that answers a 401 or 407: credentials added, CSeq one higher, no Via.

        Args:
            request: As it was sent.
            response: To it.

        Returns:
            None if no credentials fit, or they were refused already.
        """
        made = copy_request(request)
        answered = False
        for challenge in _offered(response):
            header = "Proxy-Authorization" if challenge.proxy else "Authorization"
            if any(
                self._refused(challenge, params)
                for scheme, params in map(read_params, request.headers.get(header))
                if scheme == "digest" and params.get("realm") == challenge.realm
            ):
                return None
            if self._for(challenge.realm) is None:
                continue
            self._keep(challenge)
            answered = True
        if not answered:
            return None
        cseq = cseq_of(request)
        made.headers.set_single("CSeq", stringify_cseq(CSeq(cseq.seq + 1, cseq.method)))
        made.headers.remove("Via")
        self.authorise(made)
        return made

    def _refused(self, challenge: _Challenge, sent: Mapping[str, str]) -> bool:
        """Whether a challenge means that the credentials sent are wrong, not that they are old."""
        if sent.get("nonce") == challenge.nonce:
            return True
        if challenge.stale:
            return False
        # A server may forget a nonce without calling it stale: what was sent on the strength of
        # an earlier challenge deserves another try, what answered a fresh one does not.
        known = self._known.get((challenge.proxy, challenge.realm))
        again = known is not None and known.nonce == sent.get("nonce") and known.count > 1
        return not again and sent.get("nc", "00000001") == "00000001"

    def _keep(self, challenge: _Challenge) -> None:
        self._known[challenge.proxy, challenge.realm] = challenge
        self._known.move_to_end((challenge.proxy, challenge.realm))
        if len(self._known) > MAX_REALMS:
            self._known.popitem(last=False)

    def _for(self, realm: str) -> Credentials | None:
        named = [one for one in self._credentials if one.realm == realm]
        wild = [one for one in self._credentials if not one.realm]
        return (named + wild + [None])[0]

    def authorise(self, request: SipRequest) -> None:
        """Put the credentials of challenges met before into a new request (nc counted on)."""
        request.headers.remove("Authorization")
        request.headers.remove("Proxy-Authorization")
        for challenge in self._known.values():
            credentials = self._for(challenge.realm)
            if credentials is None or challenge.count >= MAX_COUNT:
                continue
            challenge.count += 1
            header = "Proxy-Authorization" if challenge.proxy else "Authorization"
            request.headers.append(header, _credentials_value(challenge, credentials, request))


def _credentials_value(challenge: _Challenge, credentials: Credentials, request: SipRequest) -> str:
    count = f"{challenge.count:08x}" if challenge.qop else ""
    cnonce = secrets.token_hex(8) if challenge.qop else ""
    secret = f"{credentials.username}:{challenge.realm}:{credentials.password}"
    right = response_value(
        challenge.algorithm.upper(),
        secret,
        request.method,
        request.uri,
        challenge.nonce,
        count,
        cnonce,
    )
    value = (
        f"Digest username={_quote(credentials.username)}, realm={_quote(challenge.realm)}, "
        f"nonce={_quote(challenge.nonce)}, uri={_quote(request.uri)}, "
        f'response="{right}", algorithm={challenge.algorithm}'
    )
    if count:
        value += f', cnonce="{cnonce}", qop=auth, nc={count}'
    if challenge.opaque is not None:
        value += f", opaque={_quote(challenge.opaque)}"
    return value


def answer(
    request: SipRequest, response: SipResponse, credentials: Sequence[Credentials] | Credentials
) -> SipRequest | None:
    """Answer one 401 or 407 without keeping anything; see :meth:`Answerer.answer`."""
    several = [credentials] if isinstance(credentials, Credentials) else credentials
    return Answerer(several).answer(request, response)
