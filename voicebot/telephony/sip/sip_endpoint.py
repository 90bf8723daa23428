"""The gateway ``sip``: takes calls by INVITE, and recording sessions where somebody handles them.

Usage::

    endpoint = SipEndpoint(SipEndpointParams(...), MediaParams(), reception, pool)
    await endpoint.start()
    ...
    await endpoint.close()
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Final

import structlog
from aiosipua.headers import stringify_uri
from aiosipua.message import SipRequest, SipResponse
from pydantic import ConfigDict, SecretStr

from voicebot.params import Params, key
from voicebot.telephony.line import Reception
from voicebot.telephony.media.media_session import MediaParams
from voicebot.telephony.media.ports import PortPool
from voicebot.telephony.sip.call_media import CallMedia, SiprecHandler, is_siprec
from voicebot.telephony.sip.digest import Challenger, Verdict
from voicebot.telephony.sip.leg_media import LegMedia
from voicebot.telephony.sip.registration import Registration, RegistrationParams, RegistrationState
from voicebot.telephony.sip.sip_core import CallParams, SipCore
from voicebot.telephony.sip.sip_dialog import key_of_request
from voicebot.telephony.sip.sip_headers import parse_uri
from voicebot.telephony.sip.sip_incoming import IncomingCall
from voicebot.telephony.sip.sip_messages import to_tag
from voicebot.telephony.sip.sip_rules import (
    capabilities,
    refuse_body,
    refuse_extensions,
    refuse_method,
    reply,
)
from voicebot.telephony.sip.sip_session import CallState
from voicebot.telephony.sip.sip_transactions import ServerTransaction, SipLayer
from voicebot.telephony.sip.sip_transport import Hop, SipParams

_log = structlog.get_logger(__name__)

_CLOSE_SECONDS: Final = 4.0
"""s that closing waits for peers"""


class SipEndpointParams(Params):
    """The SIP gateway."""

    model_config = ConfigDict(hide_input_in_errors=True)  # it would show passwords

    enabled: bool = key(True, "Whether SIP is listened for at all.")
    user: str = key("voicebot", "Our name in the addresses that we give ourselves.")
    realm: str = key("voicebot", "Shown to callers who must give a password.")
    users: dict[str, SecretStr] = key(
        {}, "Names and passwords of those who may call; empty: whoever `signalling.allow` lets in."
    )
    accounts: list[RegistrationParams] = key(
        [], "Accounts at PBXs at which we register, so that they can call us."
    )
    signalling: SipParams = key(SipParams(), "Listeners, limits and timers.")
    call: CallParams = key(CallParams(), "What happens within a call.")


class SipEndpoint:
    """One SIP user agent with many calls; implements :class:`voicebot.telephony.line.Gateway`.

    Args:
        params: All of signalling.
        media: Audio over RTP.
        reception: Takes calls in.
        pool: Media ports, shared with other gateways that use RTP; by default its own.
        siprec: Handles recording sessions; None refuses those that insist on it by 420.
    """

    name = "sip"

    def __init__(
        self,
        params: SipEndpointParams,
        media: MediaParams,
        reception: Reception,
        pool: PortPool | None = None,
        siprec: SiprecHandler | None = None,
    ) -> None:
        self._params = params
        self._media = media
        self._reception = reception
        self._siprec = siprec
        self._layer = SipLayer(params.signalling, self._on_request, self._on_ack)
        found = [account.credentials() for account in params.accounts]
        self._core = SipCore(
            layer=self._layer,
            params=params.call,
            media=media,
            pool=pool or media.pool(),
            user=params.user,
            t1=params.signalling.t1_seconds,
            credentials=[each for each in found if each is not None],
            aor=f"<{stringify_uri(params.accounts[0].aor)}>" if params.accounts else "",
        )
        passwords = {name: word.get_secret_value() for name, word in params.users.items()}
        self._challenger = Challenger(params.realm, passwords) if passwords else None
        self._registrations = [Registration(self._core, each) for each in params.accounts]
        self._calls: set[IncomingCall] = set()
        self._closing = False
        self._started = False

    # ------------------------------------------------------------- the gateway

    @property
    def counters(self) -> Mapping[str, int]:
        """What was dropped, refused or went wrong, of signalling as a whole."""
        return Counter(self._layer.counters) + self._core.faults.counters

    @property
    def listeners(self) -> tuple[Hop, ...]:
        """Where it really listens."""
        return self._layer.listeners

    @property
    def registrations(self) -> Mapping[str, RegistrationState]:
        """How each account stands, by address."""
        return {each.name: each.state for each in self._registrations}

    @property
    def calls(self) -> int:
        """Calls that hold media or wait for an answer."""
        return len(self._calls)

    @property
    def dialogs(self) -> int:
        """Dialogs that are remembered, those of agents and those that end included."""
        return len(self._core.dialogs)

    async def start(self) -> None:
        """Listen, and begin to register.

        Raises:
            LineError: a port is taken, a certificate unreadable.
        """
        await self._layer.start()
        self._started = True
        for registration in self._registrations:
            registration.start()

    async def close(self) -> None:
        """Refuse new calls, end those that run, unregister, close.  May be called twice."""
        if self._closing or not self._started:
            self._closing = True
            await self._layer.close()
            return
        self._closing = True
        endings = [
            asyncio.ensure_future(each)
            for each in (
                *(call.hang_up("shutdown") for call in tuple(self._calls)),
                *(registration.close() for registration in self._registrations),
            )
        ]
        if endings:
            await asyncio.wait(endings, timeout=_CLOSE_SECONDS)
        # BYEs to agents, and those whose callers still think about it.
        await self._core.tasks.ended(self._params.signalling.t1_seconds * 4)
        for task in endings:
            task.cancel()
        self._core.tasks.cancel()
        if endings:
            await asyncio.wait(endings)
        await self._core.tasks.ended()
        for call in tuple(self._calls):
            await call.release()
        self._core.dialogs.clear()
        await self._layer.close()

    # ------------------------------------------------------------- what comes in

    def _on_request(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        if to_tag(request):
            session = self._core.dialogs.get(key_of_request(request))
            if session is not None:
                session.on_request(transaction)
            else:
                self._core.faults.counters["sip_unknown_dialogs"] += 1
                transaction.respond(refuse_method(request) or reply(request, 481))
            return
        refused = refuse_method(request) or self._refuse_place(request)
        refused = refused or refuse_extensions(request, self._more_options)
        if refused is not None:
            self._core.faults.counters["sip_refused_requests"] += 1
            transaction.respond(refused)
        elif request.method == "OPTIONS":
            transaction.respond(capabilities(request, self._more_options))
        elif request.method == "INVITE":
            self._invite(transaction)
        else:  # BYE, UPDATE, ... without a To-tag belong to no dialog
            transaction.respond(reply(request, 481))

    def _on_ack(self, ack: SipRequest, source: Hop) -> None:
        session = self._core.dialogs.get(key_of_request(ack))
        if session is not None:
            session.on_ack(ack)

    @property
    def _more_options(self) -> tuple[str, ...]:
        return ("siprec",) if self._siprec is not None else ()

    @staticmethod
    def _refuse_place(request: SipRequest) -> SipResponse | None:
        try:
            known = parse_uri(request.uri).scheme in ("sip", "sips", "tel")
        except ValueError:
            known = False
        return None if known else reply(request, 416)

    # ------------------------------------------------------------- new calls

    def _invite(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        refused = refuse_body(request)
        if refused is None and self._challenger is not None:
            verdict = self._challenger.verify(request)
            if verdict is not Verdict.GOOD:
                self._core.faults.counters[f"sip_credentials_{verdict}"] += 1
                refused = self._challenger.challenge(request, verdict)
        if refused is None and (
            self._closing or len(self._core.dialogs) >= self._params.call.most_calls
        ):
            self._core.faults.count("sip_refused", status=503)
            refused = reply(request, 503, retry_after="10")
        if refused is not None:
            transaction.respond(refused)
            return
        siprec = self._siprec if is_siprec(request) else None
        try:
            call = IncomingCall(
                self._core,
                transaction,
                self._reception,
                "siprec" if siprec else "sip",
                siprec.open if siprec else self._open_leg,
                self._forget,
            )
        except ValueError:
            self._core.faults.count("sip_unusable_invite")
            transaction.respond(reply(request, 400))
            return
        if call.state is not CallState.ENDED:
            self._calls.add(call)

    async def _open_leg(self, request: SipRequest) -> CallMedia:
        return LegMedia(self._media, self._core.pool)

    def _forget(self, call: IncomingCall) -> None:
        self._calls.discard(call)
