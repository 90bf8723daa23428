"""The daemon: joins exchange, gateways and control socket, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from voicebot.events import Event
from voicebot.serving.attendant import CallAttendant
from voicebot.serving.control import ControlServer, Request
from voicebot.serving.exchange import CallMaker, EngineParams, Exchange
from voicebot.serving.handover import HandoverParams
from voicebot.serving.live_call import LiveCall
from voicebot.serving.prompts import Prompts
from voicebot.serving.status import daemon_status
from voicebot.serving.workers import WorkerPool
from voicebot.telephony.line import Gateway, Reception

log = structlog.get_logger()

OpenGateways = Callable[[Reception], Sequence[Gateway]]


class Daemon:
    """Everything that serves calls.

    Args:
        maker: Makes calls.
        params: How many calls, and how they end.
        handover: To whom callers are handed over.
        prompts: What they hear.
        barge_in: Whether a caller who speaks stops the soothing.
        open_gateways: Makes the ways in.
        record: Takes each event of each call.
        ready: Told when calls can come.
    """

    def __init__(
        self,
        maker: CallMaker,
        params: EngineParams,
        handover: HandoverParams,
        prompts: Prompts,
        *,
        barge_in: bool,
        open_gateways: OpenGateways,
        record: Callable[[Event], None],
        ready: Callable[[Sequence[Gateway]], None],
    ) -> None:
        self._maker, self._params, self._handover = maker, params, handover
        self._prompts, self._barge_in = prompts, barge_in
        self._open_gateways, self._record, self._ready = open_gateways, record, ready
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()

    def stop(self) -> None:
        """Drain and stop; when asked a second time, hang up on everybody at once."""
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    async def run(self) -> None:
        """Serve until :meth:`stop`, then drain.

        Raises:
            LineError: a gateway or the control socket cannot be opened.
        """
        loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as stack:
            pool = stack.enter_context(WorkerPool(self._params.workers or os.cpu_count() or 1))
            exchange = stack.enter_context(
                Exchange(self._maker, pool, self._params, self._attend, self._record)
            )
            gateways = list(self._open_gateways(exchange))
            control = ControlServer(
                Path(self._params.control).expanduser(),
                {
                    "calls": partial(self._calls, exchange, gateways),
                    "hangup": partial(self._hang_up, exchange),
                },
            )
            opened: list[Gateway] = []
            try:
                await control.start()
                for gateway in gateways:
                    await gateway.start()
                    opened.append(gateway)
                for number in (signal.SIGTERM, signal.SIGINT):
                    loop.add_signal_handler(number, self.stop)
                self._ready(gateways)
                notify_systemd("READY=1")
                await self._stop.wait()
                notify_systemd("STOPPING=1")
                await self._drain(exchange)
            finally:
                for number in (signal.SIGTERM, signal.SIGINT):
                    loop.remove_signal_handler(number)
                for gateway in reversed(opened):
                    await gateway.close()
                # What the closed gateways have just ended still comes into the record.
                await exchange.drain(0.0)
                await control.close()

    async def _drain(self, exchange: Exchange) -> None:
        draining = asyncio.create_task(exchange.drain(self._params.drain_seconds))
        hurried = asyncio.create_task(self._hurry.wait())
        await asyncio.wait([draining, hurried], return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if not draining.done():
            draining.cancel()
            await exchange.drain(0.0)

    def _attend(self, live: LiveCall) -> CallAttendant:
        return CallAttendant(live, self._handover, self._prompts, barge_in=self._barge_in)

    async def _calls(
        self, exchange: Exchange, gateways: Sequence[Gateway], request: Request
    ) -> dict[str, Any]:
        now = asyncio.get_running_loop().time()
        return daemon_status(exchange, gateways, now, exchange.calls.values())

    async def _hang_up(self, exchange: Exchange, request: Request) -> dict[str, Any]:
        wanted = str(request.get("call_id", ""))
        if not await exchange.hang_up(wanted, "operator"):
            return {"error": f"no single running call begins with {wanted!r}"}
        return {"hung_up": wanted}


def notify_systemd(state: str) -> None:
    """Tell systemd how we are, where it started us with ``Type=notify`` (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify,
    ):
        notify.connect("\0" + address[1:] if address.startswith("@") else address)
        notify.sendall(state.encode())
