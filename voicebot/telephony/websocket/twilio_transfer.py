"""Handing a caller over by Twilio's REST API.

``POST /2010-04-01/Accounts/{AccountSid}/Calls/{CallSid}.json`` with ``Twiml``
lets the running call go on with that document, here a ``<Dial>``.  Twilio
makes the agent's call a child of the caller's, so how it ends is read from
``GET .../Calls.json?ParentCallSid=...``.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

import httpx
from pydantic import SecretStr

from voicebot.params import Params, key
from voicebot.telephony.line import Briefing, Transferred, TransferResult
from voicebot.telephony.rest_client import Clients, RestError, json_of, request

_ENDS: Final[dict[str, TransferResult]] = {
    "in-progress": TransferResult.DONE,
    "completed": TransferResult.DONE,  # answered, and already over
    "busy": TransferResult.BUSY,
    "no-answer": TransferResult.NO_ANSWER,
    "failed": TransferResult.UNREACHABLE,
    "canceled": TransferResult.GONE,  # Twilio cancels the agent's call when the caller leaves
}
"""what a child call's status means; the others (queued, initiated, ringing) are no ends"""
_OVER: Final = frozenset({"completed", "canceled", "busy", "failed", "no-answer"})
_SID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HEADER_LENGTH: Final = 1000
"""characters that Twilio passes as SIP headers (1,024, less the names)"""


class TwilioRestParams(Params):
    """Twilio's REST API; without an account there are no transfers."""

    account_sid: str = key("", "Account that the calls belong to, such as AC0123...; empty: none.")
    username: str = key("", "SID of an API key (SK...); empty for the account itself.")
    password: SecretStr = key(SecretStr(""), "Secret of the API key, or the account's auth token.")
    base_url: str = key("https://api.twilio.com", "Another region's API has another address.")
    caller_id: str = key("", "Number that agents see; empty lets Twilio show the caller's.")
    ring_seconds: int = key(20, "An agent's phone rings so long.", unit="s", ge=5, le=600)
    hold_seconds: int = key(
        5, "A caller whose transfer failed waits so long for the next one.", unit="s", ge=1, le=60
    )
    fallback_url: str = key(
        "", "TwiML for callers whom nobody took in the end, such as the one that began the stream."
    )
    timeout_seconds: float = key(10.0, "For each request.", unit="s", gt=0, le=60)
    poll_seconds: float = key(
        1.0, "Pause between looks at the agent's call.", unit="s", gt=0, le=10
    )


class TwilioTransfer:
    """Transfers and hangs up calls at Twilio (a ``PbxTransfer``)."""

    def __init__(self, params: TwilioRestParams) -> None:
        self._params = params
        secret = params.password.get_secret_value()
        auth = httpx.BasicAuth(params.username or params.account_sid, secret)
        self._clients = Clients(params.base_url, params.timeout_seconds, auth=auth)

    async def __call__(self, reference: str, target: str, briefing: Briefing) -> Transferred:
        """Hand over.

        Args:
            reference: The CallSid.
            target: ``sip:...``, ``client:...``, ``queue:...`` or a number.
            briefing: Goes along as SIP headers; phones and clients have no place for it.
        """
        if not _SID.fullmatch(reference):
            return Transferred(TransferResult.UNSUPPORTED, "not a CallSid")
        p = self._params
        try:
            async with await self._clients.open() as client:
                before = {child["sid"] for child in await self._children(client, reference)}
                document = twiml(target, briefing, p)
                call = self._url(f"Calls/{reference}.json")
                await request(client, "POST", call, data={"Twiml": document})
                return await self._follow(client, reference, before)
        except RestError as err:
            return err.transferred

    async def hang_up(self, reference: str) -> None:
        """End a call; what cannot be ended any more is over."""
        if not _SID.fullmatch(reference):
            return
        try:
            async with await self._clients.open() as client:
                url = self._url(f"Calls/{reference}.json")
                await request(client, "POST", url, data={"Status": "completed"})
        except RestError:
            return

    async def _follow(
        self, client: httpx.AsyncClient, reference: str, before: set[str]
    ) -> Transferred:
        p = self._params
        try:
            async with asyncio.timeout(p.ring_seconds + 3 * p.poll_seconds + p.timeout_seconds):
                while True:
                    await asyncio.sleep(p.poll_seconds)
                    children = await self._children(client, reference)
                    new = [child for child in children if child["sid"] not in before]
                    for child in new:
                        if (result := _ENDS.get(child["status"])) is not None:
                            return Transferred(result, f"Twilio: {child['status']}")
                    if not new and await self._is_over(client, reference):
                        return Transferred(TransferResult.GONE, "Twilio: the call is over")
        except TimeoutError:
            return Transferred(TransferResult.TIMEOUT, "Twilio names no end of the agent's call")

    async def _children(self, client: httpx.AsyncClient, reference: str) -> list[dict[str, str]]:
        query = {"ParentCallSid": reference, "PageSize": "50"}
        answer = json_of(await request(client, "GET", self._url("Calls.json"), params=query))
        calls: Any = answer.get("calls") if isinstance(answer, dict) else None
        return [
            {"sid": str(call.get("sid")), "status": str(call.get("status"))}
            for call in (calls if isinstance(calls, list) else [])
            if isinstance(call, dict)
        ]

    async def _is_over(self, client: httpx.AsyncClient, reference: str) -> bool:
        answer = json_of(await request(client, "GET", self._url(f"Calls/{reference}.json")))
        return isinstance(answer, dict) and answer.get("status") in _OVER

    def _url(self, rest: str) -> str:
        p = self._params
        return f"{p.base_url.rstrip('/')}/2010-04-01/Accounts/{quote(p.account_sid)}/{rest}"


def twiml(target: str, briefing: Briefing, params: TwilioRestParams) -> str:
    """The document that a call goes on with: dial; wait for the next attempt; fall back.

    Example:
        >>> twiml("+15550100", Briefing("a1", "", "anger"), TwilioRestParams())[:60]
        '<Response><Dial timeout="20"><Number>+15550100</Number></Dia'
    """
    kind, _, rest = target.partition(":")
    if kind in ("sip", "sips"):
        noun = f"<Sip>{escape(_with_headers(target, briefing))}</Sip>"
    elif kind == "client":
        noun = (
            f"<Client><Identity>{escape(rest)}</Identity>"
            + "".join(
                f"<Parameter name={quoteattr(name)} value={quoteattr(value)}/>"
                for name, value in _facts(briefing).items()
            )
            + "</Client>"
        )
    elif kind == "queue":
        noun = f"<Queue>{escape(rest)}</Queue>"
    else:
        noun = f"<Number>{escape(target)}</Number>"
    shown = f" callerId={quoteattr(params.caller_id)}" if params.caller_id else ""
    again = f"<Redirect>{escape(params.fallback_url)}</Redirect>" if params.fallback_url else ""
    return (
        f'<Response><Dial timeout="{params.ring_seconds}"{shown}>{noun}</Dial>'
        f'<Pause length="{params.hold_seconds}"/>{again}</Response>'
    )


def _facts(briefing: Briefing) -> dict[str, str]:
    facts = {
        "X-Voicebot-Alert-Id": briefing.alert_id,
        "X-Voicebot-Reason": briefing.reason,
        "X-Voicebot-Briefing": briefing.url,
    }
    return {name: value for name, value in facts.items() if value}


def _with_headers(uri: str, briefing: Briefing) -> str:
    """Append headers as Twilio takes them: a query at the end of the URI.

    As many as fit, the most needed first; half a URL would help nobody.
    """
    length, out = 0, []
    for name, value in _facts(briefing).items():
        pair = f"{name}={quote(value, safe='')}"
        length += len(pair) + 1
        if length <= _HEADER_LENGTH:
            out.append(pair)
    if not out:
        return uri
    return uri + ("&" if "?" in uri else "?") + "&".join(out)
