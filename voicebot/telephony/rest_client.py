"""Requests to a telephony provider's API: bounded in time, and failures have a type."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import httpx

from voicebot.telephony.line import Transferred, TransferResult

_REACHED = {404: TransferResult.GONE, 409: TransferResult.GONE}


class RestError(Exception):
    """A request failed.

    Args:
        result: What that means for a transfer.
        detail: For people; holds no secret and no number.
    """

    def __init__(self, result: TransferResult, detail: str) -> None:
        super().__init__(detail)
        self.result = result
        self.detail = detail

    @property
    def transferred(self) -> Transferred:
        """As the end of a transfer."""
        return Transferred(self.result, self.detail)


class Clients:
    """Makes clients of one API without holding up the loop: reading authorities takes 30 ms.

    Args:
        base_url: The API; http needs no authorities.
        timeout: s, for each request.
        **options: As for :class:`httpx.AsyncClient`: credentials.
    """

    def __init__(self, base_url: str, timeout: float, **options: Any) -> None:
        self._is_plain = base_url.startswith("http://")
        self._timeout = timeout
        self._options = options
        self._tls: ssl.SSLContext | None = None

    async def open(self) -> httpx.AsyncClient:
        """Make a client, to be closed by whoever asked."""
        if self._tls is None and not self._is_plain:
            self._tls = await asyncio.to_thread(httpx.create_ssl_context)
        return httpx.AsyncClient(
            verify=self._tls or False,
            timeout=self._timeout,
            follow_redirects=False,
            trust_env=not self._is_plain,
            **self._options,
        )


async def request(
    client: httpx.AsyncClient, method: str, url: str, **options: Any
) -> httpx.Response:
    """Make a request.

    Args:
        client: Has the timeout and the credentials.
        method: ``GET``, ``POST``, ``PUT``.
        url: In full.
        **options: As for :meth:`httpx.AsyncClient.request`.

    Raises:
        RestError: GONE for 404 and 409 (the call is over), DECLINED for other 4xx (wrong
            credentials, a target that is refused), UNREACHABLE for anything else.
    """
    try:
        response = await client.request(method, url, **options)
    except (httpx.HTTPError, httpx.InvalidURL) as err:
        # The error's own text may hold the address, and with it a number.
        raise RestError(TransferResult.UNREACHABLE, f"API: {type(err).__name__}") from None
    if response.is_success:
        return response
    status = response.status_code
    result = TransferResult.DECLINED if 400 <= status < 500 else TransferResult.UNREACHABLE
    detail = f"HTTP {status} {response.reason_phrase}"
    raise RestError(_REACHED.get(status, result), detail)


def json_of(response: httpx.Response) -> Any:
    """The body as JSON.

    Raises:
        RestError: it is none.
    """
    try:
        return response.json()
    except ValueError:
        raise RestError(TransferResult.UNREACHABLE, "an answer that is not JSON") from None
