"""FreeSWITCH's event socket, as a client (inbound mode).

As in FreeSWITCH's ``mod_event_socket.c``: blocks of headers, each ended by an empty line and
followed by ``Content-Length`` bytes; commands are answered in order, by ``command/reply`` or
``api/response``, and events come in between, with the values of their headers URL-encoded.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, Self
from urllib.parse import unquote

from pydantic import ConfigDict, SecretStr, model_validator

from voicebot.errors import VoicebotError
from voicebot.params import Params, key
from voicebot.telephony.line import LineError
from voicebot.telephony.pbx_connection import ConnectionState, PbxConnection

Headers = Mapping[str, str]
"""of a block or an event; names in lower case"""

_LARGEST_HEAD: Final = 64 * 1024
"""bytes of one block of headers"""
_LARGEST_BODY: Final = 1 << 20
"""bytes; an event of a channel with many variables has some 20 KiB"""
_WORD: Final = re.compile(r"[A-Za-z0-9_.+-]{1,79}")
_EVENTS: Final = "CHANNEL_BRIDGE CHANNEL_HANGUP CHANNEL_EXECUTE_COMPLETE"


class EslError(VoicebotError):
    """FreeSWITCH did not do what it was asked, or is not there."""


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


class EslClient(PbxConnection[Headers]):
    """One connection to a FreeSWITCH, shared by all calls.

    Args:
        params: ...
    """

    def __init__(self, params: EslParams) -> None:
        super().__init__("esl", params.retry_seconds, params.most_retry_seconds)
        self.params = params
        self._writer: asyncio.StreamWriter | None = None
        self._replies: deque[asyncio.Future[str]] = deque()
        """commands that were sent, oldest first"""

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
        if self._state != ConnectionState.UP:
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

    async def _converse(self) -> str:
        try:
            await self._hold()
        except EslError as error:
            return error.what
        except asyncio.IncompleteReadError:
            pass
        except (asyncio.LimitOverrunError, ValueError) as error:
            self.faults.count("esl_malformed", host=self._host, what=str(error))
        except (OSError, TimeoutError) as error:
            return str(error) or "no answer in time"
        return "connection lost"

    async def _hold(self) -> None:
        """One connection, until it ends by an error."""
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

    async def _greet(self) -> None:
        password = self.params.password.get_secret_value()
        if not (await self._command(f"auth {password}")).startswith("+OK"):
            self._refuse("refuses the password", "check esl.password against event_socket.conf.xml")
        await self._command(f"event plain {_EVENTS}")
        self._is_up()

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
            self._tell(event, event.get("event-name", ""))
        elif kind == "text/disconnect-notice":
            raise EslError(f"FreeSWITCH at {self._host} ends the connection")
        elif kind == "text/rude-rejection":
            self._refuse("turned us away", "add this machine to its apply-inbound-acl")
