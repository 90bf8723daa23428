"""Handing a caller over by jambonz' REST API.

``PUT /v1/Accounts/{AccountSid}/Calls/{CallSid}`` with ``call_hook`` makes the
running call go on with what that address answers.  The address is our own
listener's, under a name that nobody can guess and that is forgotten when the
transfer is over; the answer is a ``dial``.  How it ends is read from the
account's calls, where the agent's has the caller's as ``parent_call_sid``.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from voicebot.params import Params, key
from voicebot.telephony.line import Briefing, Transferred, TransferResult
from voicebot.telephony.rest_client import Clients, RestError, json_of, request
from voicebot.telephony.websocket.websocket_peer import Answer, Handshake

_ROOT: Final = "/media/jambonz/transfer/"
_SID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ENDS: Final[dict[str, TransferResult]] = {
    "in-progress": TransferResult.DONE,
    "completed": TransferResult.DONE,
    "busy": TransferResult.BUSY,
    "no-answer": TransferResult.NO_ANSWER,
    "failed": TransferResult.UNREACHABLE,
}
_SIP_ENDS: Final[dict[int, TransferResult]] = {
    403: TransferResult.DECLINED,
    408: TransferResult.NO_ANSWER,
    486: TransferResult.BUSY,
    487: TransferResult.NO_ANSWER,
    600: TransferResult.BUSY,
    603: TransferResult.DECLINED,
}
"""says more than ``failed`` (RFC 3261 section 21)"""
_OVER: Final = frozenset({"completed", "failed", "busy", "no-answer"})


class JambonzRestParams(Params):
    """jambonz' REST API; without an account there are no transfers."""

    account_sid: str = key("", "Account that the calls belong to; empty for no REST.")
    api_key: SecretStr = key(SecretStr(""), "API key of the account.")
    base_url: str = key("https://api.jambonz.cloud", "The API's address, without /v1.")
    caller_id: str = key("", "Number that agents see; empty for jambonz' own choice.")
    ring_seconds: int = key(20, "An agent's phone rings so long.", unit="s", ge=5, le=600)
    hold_seconds: int = key(
        5, "A caller whose transfer failed waits so long for the next one.", unit="s", ge=1, le=60
    )
    fallback_url: str = key(
        "", "Application that callers return to whom nobody took; empty ends their call."
    )
    timeout_seconds: float = key(10.0, "For each request.", unit="s", gt=0, le=60)
    poll_seconds: float = key(
        1.0, "Pause between looks at the agent's call.", unit="s", gt=0, le=10
    )


class JambonzTransfer:
    """Transfers and hangs up calls at jambonz (a ``PbxTransfer``).

    Args:
        params: See there.
        public_url: The listener's address as jambonz reaches it.
    """

    def __init__(self, params: JambonzRestParams, public_url: str) -> None:
        self._params = params
        self._public_url = re.sub("^ws", "http", public_url.rstrip("/"))
        self._offered: dict[str, str] = {}
        headers = {"Authorization": f"Bearer {params.api_key.get_secret_value()}"}
        self._clients = Clients(params.base_url, params.timeout_seconds, headers=headers)

    def hook(self, handshake: Handshake) -> Answer | None:
        """Answer jambonz' question whom to dial; None for other paths."""
        if not handshake.path.startswith(_ROOT):
            return None
        verbs = self._offered.get(handshake.path.removeprefix(_ROOT))
        if verbs is None:
            return Answer(HTTPStatus.NOT_FOUND)
        return Answer(HTTPStatus.OK, verbs, "application/json")

    async def __call__(self, reference: str, target: str, briefing: Briefing) -> Transferred:
        """Hand over.

        Args:
            reference: The callSid.
            target: ``sip:...``, ``user:name@realm`` or a number.
            briefing: Goes along as SIP headers.
        """
        if not _SID.fullmatch(reference):
            return Transferred(TransferResult.UNSUPPORTED, "not a callSid")
        name = secrets.token_urlsafe(32)
        self._offered[name] = json.dumps(dial(target, briefing, self._params))
        try:
            async with await self._clients.open() as client:
                before = {child["sid"] for child in await self._children(client, reference)}
                hook = {"url": f"{self._public_url}{_ROOT}{name}", "method": "GET"}
                await request(client, "PUT", self._url(reference), json={"call_hook": hook})
                return await self._follow(client, reference, before)
        except RestError as err:
            return err.transferred
        finally:
            del self._offered[name]

    async def hang_up(self, reference: str) -> None:
        """End a call; what cannot be ended any more is over."""
        if not _SID.fullmatch(reference):
            return
        try:
            async with await self._clients.open() as client:
                body = {"call_status": "completed"}
                await request(client, "PUT", self._url(reference), json=body)
        except RestError:
            return

    async def _follow(
        self, client: httpx.AsyncClient, reference: str, before: set[str]
    ) -> Transferred:
        p = self._params
        agent = ""
        try:
            async with asyncio.timeout(p.ring_seconds + 3 * p.poll_seconds + p.timeout_seconds):
                while True:
                    await asyncio.sleep(p.poll_seconds)
                    if not agent:
                        new = [
                            child["sid"] for child in await self._children(client, reference)
                            if child["sid"] not in before
                        ]  # fmt: skip
                        agent = new[0] if new else ""
                    # Calls that are over leave the list, but can still be asked for by name.
                    call = await self._call(client, agent) if agent else {}
                    if (result := _result(call)) is not None:
                        return result
                    if not call and await self._is_over(client, reference):
                        return Transferred(TransferResult.GONE, "jambonz: the call is over")
        except TimeoutError:
            return Transferred(TransferResult.TIMEOUT, "jambonz names no end of the agent's call")

    async def _children(self, client: httpx.AsyncClient, reference: str) -> list[dict[str, str]]:
        calls = json_of(await request(client, "GET", self._url("")))
        return [
            {"sid": call["call_sid"]}
            for call in (calls if isinstance(calls, list) else [])
            if isinstance(call, dict)
            and call.get("parent_call_sid") == reference
            and isinstance(call.get("call_sid"), str)
            and _SID.fullmatch(call["call_sid"])
        ]

    async def _call(self, client: httpx.AsyncClient, reference: str) -> dict[str, Any]:
        try:
            call = json_of(await request(client, "GET", self._url(reference)))
        except RestError as err:
            if err.result is TransferResult.GONE:
                return {}
            raise
        return call if isinstance(call, dict) else {}

    async def _is_over(self, client: httpx.AsyncClient, reference: str) -> bool:
        call = await self._call(client, reference)
        return not call or call.get("call_status") in _OVER

    def _url(self, reference: str) -> str:
        p = self._params
        calls = f"{p.base_url.rstrip('/')}/v1/Accounts/{quote(p.account_sid)}/Calls"
        return f"{calls}/{reference}" if reference else calls


def _result(call: dict[str, Any]) -> Transferred | None:
    status = str(call.get("call_status"))
    result = _ENDS.get(status)
    if result is None:
        return None
    detail = f"jambonz: {status}"
    if result is TransferResult.UNREACHABLE and isinstance(call.get("sip_status"), int):
        result = _SIP_ENDS.get(call["sip_status"], result)
        detail = f"{detail}, SIP {call['sip_status']}"
    return Transferred(result, detail)


def dial(target: str, briefing: Briefing, params: JambonzRestParams) -> list[dict[str, Any]]:
    """The application that a call goes on with: dial; wait for the next attempt; fall back."""
    kind, _, rest = target.partition(":")
    to: dict[str, Any]
    if kind in ("sip", "sips"):
        to = {"type": "sip", "sipUri": target}
    elif kind == "user":
        to = {"type": "user", "name": rest}
    else:
        to = {"type": "phone", "number": target}
    headers = {
        "X-Voicebot-Alert-Id": briefing.alert_id,
        "X-Voicebot-Reason": briefing.reason,
        "X-Voicebot-Briefing": briefing.url,
    }
    verb: dict[str, Any] = {
        "verb": "dial",
        "target": [to],
        "timeout": params.ring_seconds,
        "answerOnBridge": True,
        "headers": {name: value for name, value in headers.items() if value},
    }
    if params.caller_id:
        verb["callerId"] = params.caller_id
    last: dict[str, Any] = {"verb": "hangup"}
    if params.fallback_url:
        last = {"verb": "redirect", "actionHook": params.fallback_url}
    return [verb, {"verb": "pause", "length": params.hold_seconds}, last]
