"""Being reachable at a PBX: REGISTER, kept alive (RFC 3261 section 10, RFC 3581, RFC 7616)."""

from __future__ import annotations

import asyncio
import random
import re
from enum import StrEnum
from typing import Final, Self

import structlog
from aiosipua.headers import SipUri, stringify_uri
from aiosipua.message import SipRequest, SipResponse
from pydantic import ConfigDict, SecretStr, model_validator

from voicebot.params import Params, key
from voicebot.telephony.line import LineError
from voicebot.telephony.sip.digest import Answerer, Credentials
from voicebot.telephony.sip.sip_core import NoAnswerError, SipCore, agent
from voicebot.telephony.sip.sip_headers import parse_address, parse_uri
from voicebot.telephony.sip.sip_messages import (
    contacts_of,
    cseq_of,
    new_call_id,
    new_tag,
)

_log = structlog.get_logger(__name__)

_REFRESH: Final = 0.8
"""share of the granted time after which it is asked for again"""
_SHORTEST: Final = 1.0
"""s; no registrar makes us ask more often"""
_LONGEST: Final = 86_400
"""s; what Min-Expires may ask for at most"""


class RegistrationParams(Params):
    """One account at a registrar."""

    model_config = ConfigDict(hide_input_in_errors=True)  # it would show the password

    registrar: str = key("", "Where to register, such as sip:pbx.example.com;transport=tcp.")
    user: str = key("", "Name or number of the account: the part before the @ of its address.")
    domain: str = key("", "Domain of the address, if not the registrar's host.")
    login: str = key("", "Name for the password, if not `user`.")
    password: SecretStr = key(SecretStr(""), "Password of the account; empty if it wants none.")
    expires_seconds: int = key(
        300, "How long a registration is asked to last.", unit="s", ge=10, le=_LONGEST
    )
    retry_seconds: float = key(
        2.0, "First wait after a failure; it doubles with each.", unit="s", gt=0.0, le=600.0
    )
    most_retry_seconds: float = key(
        120.0, "Longest wait after failures.", unit="s", gt=0.0, le=3600.0
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        try:
            scheme = parse_uri(self.registrar).scheme
        except ValueError:
            scheme = ""
        if scheme not in ("sip", "sips"):
            raise ValueError("registrar must be like sip:pbx.example.com")
        if not re.fullmatch(r"[A-Za-z0-9\-_.!~*'()&=+$,;?/%]+", self.user):
            raise ValueError("user must be the part before the @ of a SIP address")
        return self

    @property
    def aor(self) -> SipUri:
        """Address of record (RFC 3261 section 10)."""
        registrar = parse_uri(self.registrar)
        return SipUri(scheme=registrar.scheme, user=self.user, host=self.domain or registrar.host)

    def credentials(self) -> Credentials | None:
        """For challenges; None without a password."""
        password = self.password.get_secret_value()
        return Credentials(self.login or self.user, password) if password else None


class RegistrationState(StrEnum):
    """How an account stands."""

    STOPPED = "stopped"
    REGISTERING = "registering"
    REGISTERED = "registered"
    FAILING = "failing"
    """not registered; it is tried again"""
    UNREGISTERING = "unregistering"


class Registration:
    """Keeps one account registered from :meth:`start` to :meth:`close`.

    Args:
        core: Shared.
        params: The account.
    """

    def __init__(self, core: SipCore, params: RegistrationParams) -> None:
        self.state = RegistrationState.STOPPED
        self.params = params
        self._core = core
        self._tag = new_tag()
        self._call_id = new_call_id()
        self._seq = 0
        self._expires = params.expires_seconds
        credentials = params.credentials()
        self._answerer = Answerer([credentials] if credentials else [])
        self._task: asyncio.Task[None] | None = None
        self._contact = ""

    @property
    def name(self) -> str:
        """The account, for people."""
        return stringify_uri(self.params.aor)

    def start(self) -> None:
        """Begin to register."""
        if self._task is None:
            self.state = RegistrationState.REGISTERING
            self._task = self._core.spawn(self._run(), "sip-registration")

    async def close(self, seconds: float = 2.0) -> None:
        """Unregister, if the registrar answers in time.  May be called twice."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait([task])
        if self.state is RegistrationState.REGISTERED:
            self.state = RegistrationState.UNREGISTERING
            try:
                async with asyncio.timeout(seconds):
                    await self._ask(0)
            except (TimeoutError, NoAnswerError, LineError, ValueError):
                self._core.faults.counters["sip_unregister_unanswered"] += 1
        self.state = RegistrationState.STOPPED

    async def _run(self) -> None:
        wait = self.params.retry_seconds
        while True:
            granted = await self._once()
            if granted is not None:
                if self.state is not RegistrationState.REGISTERED:
                    _log.info("sip_registered", registrar=self.params.registrar, seconds=granted)
                self.state = RegistrationState.REGISTERED
                wait = self.params.retry_seconds
                await asyncio.sleep(max(_SHORTEST, granted * _REFRESH))
            else:
                self.state = RegistrationState.FAILING
                # Not all at once after a registrar's restart (RFC 5626 section 4.5).
                await asyncio.sleep(wait * random.uniform(0.75, 1.25))
                wait = min(2 * wait, self.params.most_retry_seconds)

    async def _once(self) -> float | None:
        """Register once; granted seconds, or None if it failed."""
        try:
            response = await self._ask(self._expires)
            if response.status_code == 423:
                least = response.get_header("min-expires") or ""
                if not least.strip().isdigit():
                    raise ValueError("423 without Min-Expires")
                self._expires = max(self._expires, min(int(least), _LONGEST))
                response = await self._ask(self._expires)
        except (NoAnswerError, LineError, ValueError) as error:
            self._fail(str(error))
            return None
        if not 200 <= response.status_code < 300:
            self._fail(f"{response.status_code} {response.reason_phrase}")
            return None
        return granted_seconds(response, self._contact, self._expires)

    def _fail(self, why: str) -> None:
        self._core.faults.count(
            "sip_registration_failed", registrar=self.params.registrar, why=why[:200]
        )

    async def _ask(self, expires: int) -> SipResponse:
        registrar = parse_uri(self.params.registrar)
        hop = await self._core.layer.resolve(registrar)
        aor = stringify_uri(self.params.aor)
        self._contact = self._core.layer.contact(hop, self.params.user)
        self._seq += 1
        to_whom = SipUri(
            scheme=registrar.scheme, host=registrar.host, port=registrar.port,
            params=registrar.params,
        )  # fmt: skip
        request = SipRequest(method="REGISTER", uri=stringify_uri(to_whom))
        request.set_header("From", f"<{aor}>;tag={self._tag}")
        request.set_header("To", f"<{aor}>")
        request.set_header("Call-ID", self._call_id)
        request.set_header("CSeq", f"{self._seq} REGISTER")
        request.set_header("Max-Forwards", "70")
        request.set_header("Contact", f"{self._contact};expires={expires}")
        request.set_header("Expires", str(expires))
        request.set_header("User-Agent", agent())
        response = await self._core.ask(request, hop, self._answerer)
        self._seq = max(self._seq, cseq_of(response).seq)
        return response


def granted_seconds(response: SipResponse, contact: str, asked: int) -> float:
    """How long a registration lasts, from the 200 (RFC 3261 section 10.2.4).

    Args:
        response: Lists every Contact that is registered for the account.
        contact: Ours.
        asked: For a registrar that does not say.
    """
    ours = parse_address(contact).uri
    try:
        listed = contacts_of(response)
    except ValueError:
        listed = []
    said: str | None = None
    for each in listed:
        same = (each.uri.user, each.uri.host, each.uri.port) == (ours.user, ours.host, ours.port)
        if same and (value := each.params.get("expires")):
            said = value
    if said is None:
        said = response.get_header("expires")
    text = (said or "").strip()
    return float(min(int(text), _LONGEST)) if re.fullmatch("[0-9]{1,9}", text) else float(asked)
