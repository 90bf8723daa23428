"""FreeSWITCH's event socket, as a client (inbound mode).

As in FreeSWITCH's ``mod_event_socket.c``: blocks of headers, each ended by an empty line and
followed by ``Content-Length`` bytes; commands are answered in order, by ``command/reply`` or
``api/response``, and events come in between, with the values of their headers URL-encoded.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import StrEnum
from typing import Final, Self
from urllib.parse import unquote

import structlog
from pydantic import ConfigDict, SecretStr, model_validator

from voicebot.errors import VoicebotError
from voicebot.params import Params, key
from voicebot.telephony.faults import Faults
from voicebot.telephony.line import LineError

Headers = Mapping[str, str]
"""of a block or an event; names in lower case"""

_log = structlog.get_logger(__name__)
_LARGEST_HEAD: Final = 64 * 1024
"""bytes of one block of headers"""
_LARGEST_BODY: Final = 1 << 20
"""bytes; an event of a channel with many variables has some 20 KiB"""
_WORD: Final = re.compile(r"[A-Za-z0-9_.+-]{1,79}")
_EVENTS: Final = "CHANNEL_BRIDGE CHANNEL_HANGUP CHANNEL_EXECUTE_COMPLETE"


class EslError(VoicebotError):
    """FreeSWITCH did not do what it was asked, or is not there."""


class EslState(StrEnum):
    """Of the connection."""

    CLOSED = "closed"
    CONNECTING = "connecting"
    UP = "up"
    WAITING = "waiting"
    """it was lost or refused, and is tried again"""


class EslParams(Params):
    """FreeSWITCH's event socket (docs/integrations/freeswitch-esl.md)."""

    model_config = ConfigDict(hide_input_in_errors=True)  # it would show the password

    enabled: bool = key(False, "Whether callers from FreeSWITCH are transferred by it.")
    host: str = key(
        "127.0.0.1", "Where FreeSWITCH listens. Not encrypted: one machine or a private network."
    )
    port: int = key(8021, "Its port (event_socket.conf.xml).", ge=1, le=65535)
    password: SecretStr = key(
        SecretStr(""),
        "Its password. Better given in the environment (VOICEBOT__ESL__PASSWORD). Never logged.",
    )
    context: str = key("default", "Dialplan context of targets that name none.")
    sip_profile: str = key("external", "Sofia profile that calls targets of the form sip:...")
    request_seconds: float = key(
        5.0, "A command may take so long, and so may connecting.", unit="s", gt=0, le=60
    )
    retry_seconds: float = key(
        0.5, "Wait before connecting again; doubles each time.", unit="s", gt=0, le=60
    )
    most_retry_seconds: float = key(30.0, "The longest such wait.", unit="s", gt=0, le=600)
    answer_seconds: float = key(
        30.0, "How long an agent's phone rings before the transfer counts as not answered.",
        unit="s", ge=1, le=600,
    )  # fmt: skip
    settle_seconds: float = key(
        1.0,
        "After an agent's phone has failed, the dialplan may try another for so long before the "
        "transfer counts as failed.",
        unit="s", ge=0, le=60,
    )  # fmt: skip

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if not all(_WORD.fullmatch(word) for word in (self.context, self.sip_profile)):
            raise ValueError("context and sip_profile: letters, digits and -_.+ only")
        if "\n" in self.password.get_secret_value() or "\r" in self.password.get_secret_value():
            raise ValueError("password must be one line")
        if self.enabled and not self.password.get_secret_value():
            raise ValueError("password is missing")
        return self


def parse_headers(text: str, *, decode: bool) -> dict[str, str]:
    """Read a block of headers.

    Args:
        text: Lines ``Name: value``; others are passed over.
        decode: Whether values are URL-encoded, as those of events are.
    """
    headers: dict[str, str] = {}
    for line in text.split("\n"):
        name, colon, value = line.partition(":")
        if colon:
            value = value.strip()
            headers[name.strip().lower()] = unquote(value, errors="replace") if decode else value
    return headers


class EslClient:
    """One connection to a FreeSWITCH, shared by all calls.

    Args:
        params: ...
    """

    def __init__(self, params: EslParams) -> None:
        self.params = params
        self.faults = Faults("esl")
        self._state = EslState.CLOSED
        self._listeners: list[Callable[[Headers], None]] = []
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self._refusal: LineError | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._replies: deque[asyncio.Future[str]] = deque()
        """commands that were sent, oldest first"""

    @property
    def state(self) -> EslState:
        """Of the connection."""
        return self._state

    @property
    def counters(self) -> Mapping[str, int]:
        """``esl_lost``, ``esl_malformed``, ``esl_timeout``, ..."""
        return self.faults.counters

    def listen(self, listener: Callable[[Headers], None]) -> Callable[[], None]:
        """Hear of channels that are bridged, hung up, or have done an application.

        Returns:
            Call it to hear no more.
        """
        self._listeners.append(listener)

        def stop() -> None:
            with suppress(ValueError):
                self._listeners.remove(listener)

        return stop

    async def start(self) -> None:
        """Connect; a FreeSWITCH that is down is tried for ever.  May be called twice.

        Returns when the first attempt has ended either way.

        Raises:
            LineError: the password is wrong, or we are not in its access list.
        """
        if self._task is None:
            self._state = EslState.CONNECTING
            self._task = asyncio.get_running_loop().create_task(self._run(), name="esl")
        await self._tried.wait()
        if self._refusal is not None:
            refusal, self._refusal = self._refusal, None
            await self.close()
            raise refusal

    async def close(self) -> None:
        """Disconnect.  May be called twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self._state = EslState.CLOSED
        self._tried.clear()

    async def api(self, command: str) -> str:
        """Run an API command, such as ``uuid_exists ...``.

        Args:
            command: One line; anything that came from outside must have been checked.

        Returns:
            What FreeSWITCH said, without the newline at its end.

        Raises:
            EslError: no connection, no answer in time, or ``-ERR``.
            ValueError: the command has more than one line.
        """
        if self._state != EslState.UP:
            raise EslError(f"FreeSWITCH at {self._host} is not connected")
        said = (await self._command(f"api {command}")).strip()
        if said.startswith(("-ERR", "-USAGE")):
            raise EslError(said)
        return said

    # ------------------------------------------------------------ the connection

    @property
    def _host(self) -> str:
        return f"{self.params.host}:{self.params.port}"

    async def _command(self, line: str) -> str:
        if "\n" in line or "\r" in line:
            raise ValueError("a command is one line")
        writer = self._writer
        if writer is None:
            raise EslError(f"FreeSWITCH at {self._host} is not connected")
        reply: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._replies.append(reply)
        writer.write(f"{line}\n\n".encode())
        try:
            async with asyncio.timeout(self.params.request_seconds):
                return await reply
        except TimeoutError:
            # Answers have no names: after one that is late, none can be told from another.
            self.faults.count("esl_timeout", host=self._host, command=line.split(" ")[0])
            writer.transport.abort()
            raise EslError(f"FreeSWITCH at {self._host}: no answer in time") from None

    async def _run(self) -> None:
        wait = self.params.retry_seconds
        while True:
            self._state = EslState.CONNECTING
            said = "connection lost"
            try:
                if await self._converse():
                    wait = self.params.retry_seconds
            except EslError as error:
                said = error.what
            except asyncio.IncompleteReadError:
                pass
            except (asyncio.LimitOverrunError, ValueError) as error:
                self.faults.count("esl_malformed", host=self._host, what=str(error))
            except (OSError, TimeoutError) as error:
                said = str(error) or "no answer in time"
            first = not self._tried.is_set()
            self._tried.set()
            if self._refusal is not None:
                return
            self._state = EslState.WAITING
            self.faults.count(
                "esl_unreachable" if first else "esl_lost", host=self._host, what=said
            )
            await asyncio.sleep(wait * random.uniform(0.75, 1.0))
            wait = min(2 * wait, self.params.most_retry_seconds)

    async def _converse(self) -> bool:
        """One connection, from its first byte to its last.

        Returns:
            Whether it was up.
        """
        async with asyncio.timeout(self.params.request_seconds):
            reader, writer = await asyncio.open_connection(
                self.params.host, self.params.port, limit=_LARGEST_HEAD
            )
        greeting: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(self.params.request_seconds):
                headers, _ = await self._block(reader)
            if headers.get("content-type") != "auth/request":
                self._refuse("turned us away", "add this machine to its apply-inbound-acl")
            self._writer = writer
            greeting = asyncio.get_running_loop().create_task(self._greet())
            while True:
                headers, body = await self._block(reader)
                self._take(headers, body)
                if greeting.done():
                    greeting.result()
        finally:
            up = self._state == EslState.UP
            self._writer = None
            if greeting is not None:
                greeting.cancel()
                with suppress(asyncio.CancelledError, EslError):
                    await greeting
            while self._replies:
                reply = self._replies.popleft()
                if not reply.done():
                    reply.set_exception(EslError(f"FreeSWITCH at {self._host}: connection lost"))
            writer.transport.abort()
            if up:
                self._state = EslState.WAITING
        return up

    async def _greet(self) -> None:
        password = self.params.password.get_secret_value()
        if not (await self._command(f"auth {password}")).startswith("+OK"):
            self._refuse("refuses the password", "check esl.password against event_socket.conf.xml")
        await self._command(f"event plain {_EVENTS}")
        self._state = EslState.UP
        self._tried.set()
        _log.info("esl_up", host=self._host)

    def _refuse(self, what: str, mend: str) -> None:
        if not self._tried.is_set():
            self._refusal = LineError(f"FreeSWITCH at {self._host} {what}", mend)
        if self._writer is not None:
            self._writer.transport.abort()
        raise EslError(f"FreeSWITCH at {self._host} {what}")

    async def _block(self, reader: asyncio.StreamReader) -> tuple[dict[str, str], str]:
        head = ""
        while not head.strip():  # there may be empty lines between blocks
            head = (await reader.readuntil(b"\n\n")).decode("utf-8", "replace")
        headers = parse_headers(head, decode=False)
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > _LARGEST_BODY:
            raise ValueError("impossible Content-Length")
        body = await reader.readexactly(int(length))
        return headers, body.decode("utf-8", "replace")

    def _take(self, headers: dict[str, str], body: str) -> None:
        kind = headers.get("content-type", "")
        if kind in ("command/reply", "api/response"):
            if not self._replies:
                raise ValueError("an answer to nothing")
            reply = self._replies.popleft()
            if not reply.done():
                reply.set_result(body if kind == "api/response" else headers.get("reply-text", ""))
        elif kind == "text/event-plain":
            event = parse_headers(body.partition("\n\n")[0], decode=True)
            for listener in list(self._listeners):
                listener(event)
        elif kind == "text/disconnect-notice":
            raise EslError(f"FreeSWITCH at {self._host} ends the connection")
        elif kind == "text/rude-rejection":
            self._refuse("turned us away", "add this machine to its apply-inbound-acl")
