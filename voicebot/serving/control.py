"""The local control socket: what ``voicebot calls`` and ``voicebot hangup`` talk through.

One JSON object a line in each direction.  The socket is for its owner only, and
whoever may open it may do what it offers; there is no other authentication.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import structlog

from voicebot.errors import VoicebotError
from voicebot.telephony.line import LineError

log = structlog.get_logger()

Request = Mapping[str, Any]
Handler = Callable[[Request], Awaitable[dict[str, Any]]]

LONGEST_LINE: Final = 64 * 1024
"""bytes of a request"""
TIMEOUT_SECONDS: Final = 10.0


class ControlError(VoicebotError):
    """No daemon answers, or it does not do what it was asked."""


class ControlServer:
    """Answers requests on a Unix socket.

    Args:
        path: Of the socket; its folder is made.
        handlers: By the name in ``do``; what one returns is the answer.
    """

    def __init__(self, path: Path, handlers: Mapping[str, Handler]) -> None:
        self._path = path
        self._handlers = handlers
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen.  A socket that a daemon which died has left behind is replaced.

        Raises:
            LineError: another daemon listens there, or the socket cannot be made.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self._path.exists():
                if not stat.S_ISSOCK(self._path.stat().st_mode):
                    raise LineError(f"{self._path}: not a socket", "name another in engine.control")
                if _alive(self._path):
                    raise LineError(
                        f"{self._path}: another voicebot serves here",
                        "stop it, or give this one a socket of its own with engine.control",
                    )
                self._path.unlink()
            before = os.umask(0o177)
            try:
                self._server = await asyncio.start_unix_server(
                    self._serve, str(self._path), limit=LONGEST_LINE
                )
            finally:
                os.umask(before)
        except OSError as err:
            raise LineError(
                f"{self._path}: cannot listen: {err.strerror or err}",
                "name a socket in a folder of yours with engine.control",
            ) from None

    async def close(self) -> None:
        """Stop listening and remove the socket.  May be called twice."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for task in list(self._clients):
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        with contextlib.suppress(OSError):
            self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                answer = await self._answer(await reader.readline())
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (TimeoutError, OSError, ValueError) as err:  # ValueError: the line is too long
            log.warning("control_failed", error=type(err).__name__)
        finally:
            self._clients.discard(task)
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
        except ValueError:
            return {"error": "a request is one line of JSON"}
        handler = self._handlers.get(str(request.get("do"))) if isinstance(request, dict) else None
        if handler is None:
            return {"error": f"a request is one of {', '.join(sorted(self._handlers))}"}
        return await handler(request)


def ask(path: Path, request: Request) -> dict[str, Any]:
    """Ask the daemon, and wait for its answer.

    Args:
        path: Of its socket.
        request: With the key ``do``.

    Raises:
        ControlError: nobody answers, or the answer is an error.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(TIMEOUT_SECONDS)
            client.connect(str(path))
            client.sendall(json.dumps(dict(request)).encode() + b"\n")
            with client.makefile("rb") as answers:
                answer = json.loads(answers.readline() or b"{}")
    except (OSError, ValueError) as err:
        why = err.strerror if isinstance(err, OSError) and err.strerror else str(err)
        raise ControlError(
            f"{path}: no daemon answers: {why}",
            "start one with `voicebot serve`, or name its socket: engine.control",
        ) from None
    if not isinstance(answer, dict) or "error" in answer or not answer:
        told = answer.get("error") if isinstance(answer, dict) else None
        raise ControlError(f"the daemon says: {told or 'nothing'}")
    return answer


def _alive(path: Path) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True
