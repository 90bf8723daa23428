"""Telling a web server about an alert, in a way that it can trust.

Each delivery is a ``POST`` of one JSON event with these headers:

* ``Idempotency-Key``: the same at every attempt; a receiver that has seen it
  answers 200 and does nothing more;
* ``X-Voicebot-Timestamp``: seconds since the epoch of this attempt;
* ``X-Voicebot-Signature``: ``v1=`` and the HMAC-SHA256, in hexadecimal, of the
  timestamp, a full stop and the body, under the shared secret.

To verify it in a receiver::

    signed = timestamp.encode() + b"." + body
    wanted = "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(wanted, signature)
    assert abs(time.time() - int(timestamp)) <= 300  # no replay of an old one

or :func:`verify`.  Any 2xx answer means "I have it".  408, 425, 429, 5xx, time-outs
and broken connections are tried again (``Retry-After`` is honoured); any other
answer is final, redirects included, which are not followed since the receiver
would get a signed body meant for somebody else.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Self
from urllib.parse import urlsplit

import httpx
from pydantic import ConfigDict, SecretStr, model_validator

import voicebot
from voicebot.escalation.delivery import Outcome, Result
from voicebot.escalation.outbox import Row
from voicebot.params import Params, key

_SECRET_LENGTH = 16
"""characters; shorter secrets can be guessed"""
_ANSWER_BYTES = 65_536
"""bytes of an answer that are read before it is taken as complete"""
_AGAIN = frozenset({408, 425, 429})


class WebhookParams(Params):
    """Where alerts are posted."""

    model_config = ConfigDict(hide_input_in_errors=True)  # it would show the secret

    url: str = key(
        "",
        "Address to which each alert is posted as JSON, http or https; empty for none. TLS "
        "certificates are verified ($SSL_CERT_FILE adds a private authority).",
    )  # fmt: skip
    secret: SecretStr = key(
        SecretStr(""),
        "Shared secret of the signature, at least 16 characters; needed if there is a url. "
        "Better given in the environment (VOICEBOT__ACTIONS__WEBHOOK__SECRET). Never logged.",
    )  # fmt: skip
    timeout_seconds: float = key(
        10.0,
        "One attempt may take so long in all, from looking up the name to the end of the answer.",
        unit="s", gt=0, le=300,
    )  # fmt: skip
    include_text: bool = key(
        True,
        "Whether the words of the quoted utterances are sent; false sends times and scores only.",
    )

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if not self.url:
            return self
        try:
            parts = urlsplit(self.url)
            port_is_sound = parts.port is None or parts.port > 0
        except ValueError:
            parts, port_is_sound = urlsplit(""), False
        if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_sound:
            raise ValueError("url is no http or https address")
        if len(self.secret.get_secret_value()) < _SECRET_LENGTH:
            raise ValueError(
                f"secret must have at least {_SECRET_LENGTH} characters where there is a url; "
                "`openssl rand -hex 32` makes one"
            )
        return self

    @property
    def host(self) -> str:
        """The receiver, for people and logs: the address without path, query and password."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)

    @property
    def is_local(self) -> bool:
        """Whether the receiver is this machine, so that nobody listens in between."""
        return urlsplit(self.url).hostname in ("localhost", "127.0.0.1", "::1")


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The value of ``X-Voicebot-Signature``.

    Args:
        secret: Shared with the receiver.
        timestamp: Value of ``X-Voicebot-Timestamp``.
        body: As sent.
    """
    signed = timestamp.encode() + b"." + body
    return "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def verify(
    secret: str,
    timestamp: str,
    body: bytes,
    signature: str,
    *,
    now: float | None = None,
    tolerance: float = 300.0,
) -> bool:
    """Whether a delivery comes from who shares the secret, and is not an old one repeated.

    Args:
        secret: Shared with the sender.
        timestamp: Value of ``X-Voicebot-Timestamp``.
        body: As received.
        signature: Value of ``X-Voicebot-Signature``.
        now: Seconds since the epoch; the clock if None.
        tolerance: How far the timestamp may be from now, s.

    Example:
        >>> verify("s" * 16, "1000", b"{}", sign("s" * 16, "1000", b"{}"), now=1010)
        True
        >>> verify("s" * 16, "1000", b"{}", sign("s" * 16, "1000", b"{}"), now=2000)
        False
    """
    genuine = hmac.compare_digest(
        sign(secret, timestamp, body).encode(), signature.encode(errors="replace")
    )
    if not genuine or not timestamp.isdecimal():
        return False
    return abs((time.time() if now is None else now) - int(timestamp)) <= tolerance


class WebhookSender:
    """Posts messages of the outbox; a :class:`voicebot.escalation.delivery.Sender`.

    Args:
        params: Where to, with which secret.
        clock: Seconds since the epoch, for the timestamp.
    """

    def __init__(self, params: WebhookParams, clock: Callable[[], float] = time.time) -> None:
        self._params = params
        self._clock = clock
        self._tls = httpx.create_ssl_context()  # costs tens of ms: once, not at each attempt
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[Outcome] | None = None
        self._lock = threading.Lock()

    def send(self, row: Row) -> Outcome:
        """Try once; every way in which a receiver may fail is an outcome, not an error."""
        task = self._loop.create_task(self._attempt(row))
        with self._lock:
            self._task = task
        try:
            return self._loop.run_until_complete(task)
        except asyncio.CancelledError:
            return Outcome(Result.CANCELLED)
        finally:
            with self._lock:
                self._task = None

    def cancel(self) -> None:
        """End the attempt under way, if any."""
        with self._lock:
            if self._task is not None:
                self._loop.call_soon_threadsafe(self._task.cancel)

    def close(self) -> None:
        """Let go of the event loop."""
        with self._lock:
            self._loop.close()

    async def _attempt(self, row: Row) -> Outcome:
        seconds = self._params.timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._post(row)
        except (TimeoutError, httpx.TimeoutException):
            return Outcome(Result.RETRY, f"no complete answer within {seconds:g} s")
        except httpx.TransportError as err:
            return Outcome(Result.RETRY, f"{type(err).__name__}: {_cause(err)}")
        except httpx.InvalidURL as err:
            return Outcome(Result.REJECTED, f"InvalidURL: {err}")

    async def _post(self, row: Row) -> Outcome:
        body = row.body.encode()
        timestamp = str(int(self._clock()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"voicebot/{voicebot.__version__}",
            "Idempotency-Key": row.key,
            "X-Voicebot-Timestamp": timestamp,
            "X-Voicebot-Signature": sign(
                self._params.secret.get_secret_value(), timestamp, body
            ),
        }  # fmt: skip
        client = httpx.AsyncClient(
            verify=self._tls, timeout=self._params.timeout_seconds, follow_redirects=False
        )
        async with (
            client,
            client.stream("POST", self._params.url, content=body, headers=headers) as answer,
        ):
            # An answer that breaks off may come from a receiver that died before it had stored
            # the alert: read it to its end, and else try again.
            read = 0
            async for chunk in answer.aiter_raw():
                read += len(chunk)
                if read > _ANSWER_BYTES:
                    break
            return _outcome(answer, self._clock())


def _cause(err: BaseException) -> str:
    """The innermost reason: "Connection refused", where httpx says that all attempts failed."""
    said = str(err)
    inner: BaseException | None = err
    while inner is not None:
        if isinstance(inner, ExceptionGroup):
            inner = inner.exceptions[0]
        if isinstance(inner, ConnectionError) and inner.errno:
            said = os.strerror(inner.errno)  # asyncio puts another text in its place
        elif isinstance(inner, OSError):
            said = inner.strerror or said
        inner = inner.__cause__ or inner.__context__
    return said


def _outcome(answer: httpx.Response, now: float) -> Outcome:
    """What an answer means."""
    status = f"answered {answer.status_code} {answer.reason_phrase}".rstrip()
    if answer.is_success:
        return Outcome(Result.DELIVERED)
    if answer.status_code in _AGAIN or answer.is_server_error:
        return Outcome(Result.RETRY, status, _retry_after(answer, now))
    if answer.is_redirect:
        status += " (redirects are not followed: set actions.webhook.url to the final address)"
    return Outcome(Result.REJECTED, status)


def _retry_after(answer: httpx.Response, now: float) -> float | None:
    """Seconds that a receiver asks us to wait: RFC 9110, section 10.2.3."""
    value = answer.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdecimal():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    # A date without a zone is in UTC, as the RFC demands of all of them.
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.fromtimestamp(now, UTC)).total_seconds())
