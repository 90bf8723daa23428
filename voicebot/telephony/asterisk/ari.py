"""Asterisk's REST interface (ARI): requests over HTTP, events over a WebSocket.

As described by Asterisk's own ``rest-api/api-docs/*.json``.  The user name and password go into
the header ``Authorization`` of both, never into an address, so that no log shows them.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, Self
from urllib.parse import quote, urlencode, urlsplit

import httpx
from pydantic import ConfigDict, SecretStr, model_validator
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from voicebot.errors import VoicebotError
from voicebot.params import Params, key
from voicebot.telephony.line import LineError
from voicebot.telephony.pbx_connection import PbxConnection

Message = Mapping[str, Any]
"""One event, as JSON"""

_LARGEST_EVENT: Final = 1 << 20
"""bytes; an event describes two or three channels, a few KiB"""
_LARGEST_ANSWER: Final = 16 << 20
"""bytes; a list of some thousand channels"""
_QUEUED_EVENTS: Final = 256
"""events that wait in the WebSocket library before TCP slows Asterisk down"""


class AriError(VoicebotError):
    """A request failed.

    Args:
        what: What Asterisk said.
        status: HTTP status; 0 if there was no answer.
    """

    def __init__(self, what: str, status: int = 0) -> None:
        super().__init__(what)
        self.status = status


class AriParams(Params):
    """Asterisk's REST interface (docs/integrations/asterisk-ari.md)."""

    model_config = ConfigDict(hide_input_in_errors=True)  # it would show the password

    enabled: bool = key(
        False,
        "Whether calls come by Stasis(APP) and are transferred by it; AudioSocket calls are "
        "transferred by it too.",
    )
    url: str = key(
        "http://127.0.0.1:8088/ari",
        "Address of the interface, http or https, as in http.conf. Certificates are verified "
        "($SSL_CERT_FILE adds a private authority).",
    )
    user: str = key("voicebot", "User of ari.conf.")
    password: SecretStr = key(
        SecretStr(""),
        "Its password. Better given in the environment (VOICEBOT__ARI__PASSWORD). Never logged.",
    )
    app: str = key(
        "voicebot", "Name of our application, as in Stasis(voicebot); another one for each node."
    )
    request_seconds: float = key(
        5.0, "One request may take so long, and so may connecting.", unit="s", gt=0, le=60
    )
    retry_seconds: float = key(
        0.5, "Wait before connecting again; doubles each time.", unit="s", gt=0, le=60
    )
    most_retry_seconds: float = key(30.0, "The longest such wait.", unit="s", gt=0, le=600)
    codec: Literal["ulaw", "alaw"] = key(
        "ulaw", "How Asterisk codes the audio that it sends us: that of the trunk saves work."
    )
    setup_seconds: float = key(
        5.0, "The channels of a new call must be there after so long.", unit="s", gt=0, le=60
    )
    answer_seconds: int = key(
        30,
        "How long an agent's phone rings before the transfer has failed.",
        unit="s",
        ge=1,
        le=600,
    )
    settle_seconds: float = key(
        1.0,
        "After an agent's phone has failed, the dialplan may try another for so long before the "
        "transfer counts as failed.",
        unit="s", ge=0, le=60,
    )  # fmt: skip
    redirect_context: str = key(
        "voicebot-redirect",
        "Dialplan context that fetches callers who are not in Stasis (see the documentation).",
    )

    @model_validator(mode="after")
    def _usable(self) -> Self:
        try:
            parts = urlsplit(self.url)
            sound = parts.port is None or parts.port > 0
        except ValueError:
            parts, sound = urlsplit(""), False
        if parts.scheme not in ("http", "https") or not parts.hostname or not sound:
            raise ValueError("url is no http or https address")
        if parts.username or parts.password or parts.query:
            raise ValueError("url must not hold a password or a query; use user and password")
        if not self.app.replace("-", "").replace("_", "").isalnum() or not self.app.isascii():
            raise ValueError("app: use letters, digits, - and _ only")
        if self.enabled and not self.password.get_secret_value():
            raise ValueError("password is missing")
        return self


class AriClient(PbxConnection[Message]):
    """One connection to an Asterisk, shared by everything that needs it.

    Args:
        params: ...
    """

    def __init__(self, params: AriParams) -> None:
        super().__init__("ari", params.retry_seconds, params.most_retry_seconds)
        self.params = params
        self._on_up: list[Callable[[], None]] = []
        self._http: httpx.AsyncClient | None = None

    @property
    def app(self) -> str:
        """Name of our application."""
        return self.params.app

    def when_up(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called whenever the events begin (again)."""
        self._on_up.append(callback)

    async def start(self) -> None:
        """Connect; see :meth:`voicebot.telephony.pbx_connection.PbxConnection.start`.

        Raises:
            LineError: Asterisk knows no such user, or has the interface switched off.
        """
        if self._http is None:
            self._http = httpx.AsyncClient(
                headers=self._authorization(), timeout=self.params.request_seconds, trust_env=False
            )
        await super().start()

    async def close(self) -> None:
        """Disconnect.  May be called twice."""
        await super().close()
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def request(
        self, method: str, *path: str, body: Mapping[str, Any] | None = None, **query: str | int
    ) -> Any:
        """Make one request.

        Args:
            method: ``GET``, ``POST``, ``DELETE``.
            *path: Parts of the path, such as ``channels``, an id, ``answer``; quoted here.
            body: Sent as JSON.
            **query: Sent in the address.

        Returns:
            The answer, parsed; None if it is empty.

        Raises:
            AriError: Asterisk refused, or did not answer in time.
        """
        if self._http is None:
            raise AriError("the connection to Asterisk is closed")
        url = "/".join((self.params.url.rstrip("/"), *(quote(part, safe="") for part in path)))
        try:
            async with asyncio.timeout(self.params.request_seconds):
                response = await self._http.request(
                    method, url, params=query or None, json=body, follow_redirects=False
                )
        except (httpx.HTTPError, TimeoutError) as error:
            self.faults.count("ari_request_failed", what=f"{method} {path[0]}")
            said = str(error) or "no answer in time"
            raise AriError(f"Asterisk at {self._host}: {said}") from None
        if len(response.content) > _LARGEST_ANSWER:
            raise AriError(f"Asterisk at {self._host}: answer too large")
        try:
            answer = response.json() if response.content else None
        except ValueError:
            answer = None
        if response.is_success:
            return answer
        self.faults.count("ari_request_refused", what=f"{method} {path[0]} {response.status_code}")
        said = text_of(answer, "message") if isinstance(answer, dict) else ""
        raise AriError(
            f"{response.status_code} {said or response.reason_phrase}", response.status_code
        )

    # ------------------------------------------------------------ events

    @property
    def _host(self) -> str:
        parts = urlsplit(self.params.url)
        return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"

    def _authorization(self) -> dict[str, str]:
        both = f"{self.params.user}:{self.params.password.get_secret_value()}"
        return {"Authorization": "Basic " + base64.b64encode(both.encode()).decode()}

    async def _converse(self) -> str:
        params = self.params
        address = "ws" + params.url.removeprefix("http").rstrip("/") + "/events?"
        address += urlencode({"app": params.app, "subscribeAll": "false"})
        try:
            async with connect(
                address,
                additional_headers=self._authorization(),
                open_timeout=params.request_seconds,
                close_timeout=1.0,
                max_size=_LARGEST_EVENT,
                max_queue=_QUEUED_EVENTS,
                proxy=None,
            ) as socket:
                await self._receive(socket)
        except InvalidStatus as error:
            status = error.response.status_code
            if not self._tried.is_set() and status in (401, 403, 404):
                self._refusal = self._explain(status)
            return f"HTTP {status}"
        except (OSError, WebSocketException, TimeoutError) as error:
            return str(error) or type(error).__name__
        return "connection lost"

    async def _receive(self, socket: ClientConnection) -> None:
        self._is_up()
        for callback in self._on_up:
            callback()
        async for data in socket:
            try:
                message = json.loads(data) if isinstance(data, str) else None
            except (ValueError, RecursionError):
                message = None
            if not isinstance(message, dict) or not isinstance(message.get("type"), str):
                self.faults.count("ari_malformed")
                continue
            if message["type"] == "ApplicationReplaced":
                # At once again, and both would throw each other out for ever.
                self._pause = self.params.most_retry_seconds
                self.faults.count(
                    "ari_replaced", what=f"another program took over the application {self.app}"
                )
            self._tell(message, message["type"])

    def _explain(self, status: int) -> LineError:
        what = f"Asterisk at {self._host}: HTTP {status}"
        if status == 404:
            return LineError(what, "enable http.conf and ari.conf, load res_ari; check ari.url")
        return LineError(what, "check ari.user and ari.password against ari.conf")


def channel_of(message: Message, field: str = "channel") -> Message:
    """The channel that an event is about; empty if it names none."""
    channel = message.get(field)
    return channel if isinstance(channel, dict) else {}


def text_of(data: Message, *path: str) -> str:
    """A string deep in an event, whatever a peer may have put there; empty if there is none."""
    value: Any = data
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def number_of(data: Message, name: str) -> int:
    """An integer in an event; 0 if there is none."""
    value = data.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
