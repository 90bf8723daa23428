"""Calls from Asterisk's AudioSocket: audio both ways over one TCP connection a call.

The first frame carries the call's UUID, and nothing else is said about the call; so a queue is
told apart by the port, and the rate by the first frame of audio.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping
from functools import partial

from voicebot.telephony.asterisk.audiosocket_line import AudioSocketLine, Shared
from voicebot.telephony.asterisk.audiosocket_params import AudioSocketParams
from voicebot.telephony.faults import Faults
from voicebot.telephony.line import LineError, Reception
from voicebot.telephony.pbx_transfer import PbxTransfer


class AudioSocketGateway:
    """Listens for AudioSocket connections; each is one call.

    Args:
        params: ...
        reception: Takes the calls.
        transfer: Hands a call over by its UUID, such as :class:`AriTransfer`; None: calls cannot
            be transferred.
    """

    def __init__(
        self, params: AudioSocketParams, reception: Reception, transfer: PbxTransfer | None = None
    ) -> None:
        self.params = params
        self.shared = Shared(params, reception, transfer, Faults(self.name))
        self._networks = params.networks()
        self._servers: list[asyncio.Server] = []
        self._calls: dict[asyncio.Task[None], AudioSocketLine] = {}

    @property
    def name(self) -> str:
        """``audiosocket``."""
        return "audiosocket"

    @property
    def counters(self) -> Mapping[str, int]:
        """``audiosocket_truncated``, ``audiosocket_unknown_kind``, ..."""
        return self.shared.faults.counters

    @property
    def ports(self) -> list[int]:
        """The ports that are listened on, in the order of the parameter ``listen``."""
        return [int(server.sockets[0].getsockname()[1]) for server in self._servers]

    async def start(self) -> None:
        """Listen.

        Raises:
            LineError: a port is taken or an address not ours.
        """
        for door in self.params.doors():
            try:
                server = await asyncio.start_server(
                    partial(self._connected, door.queue), door.host, door.port
                )
            except OSError as error:
                await self.close()
                raise LineError(
                    f"audiosocket.listen {door.host}:{door.port}: {error.strerror or error}",
                    "choose a free port and an address of this machine",
                ) from None
            self._servers.append(server)

    async def close(self) -> None:
        """Stop listening, hang up what is left."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for line in (*self._calls.values(), *self.shared.waiting.values()):
            await line.hang_up("shutdown")
        if self._calls:
            await asyncio.gather(*self._calls, return_exceptions=True)

    def _connected(
        self, queue: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        peername = writer.get_extra_info("peername") or ("", 0)
        host, port = str(peername[0]), int(peername[1])
        fault = ""
        if not self._allowed(host):
            fault = "audiosocket_forbidden"
        elif len(self._calls) >= self.params.max_connections:
            fault = "audiosocket_too_many"
        if fault:
            self.shared.faults.count(fault, peer=host)
            writer.transport.abort()
            return
        line = AudioSocketLine(self.shared, queue, f"{host}:{port}", reader, writer)
        task = asyncio.get_running_loop().create_task(self._serve(line), name="audiosocket")
        self._calls[task] = line
        task.add_done_callback(self._calls.pop)

    async def _serve(self, line: AudioSocketLine) -> None:
        earlier = await line.run()
        if earlier is not None:
            task = asyncio.current_task()
            assert task is not None
            self._calls[task] = earlier
            await earlier.go_on(line)

    def _allowed(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._networks)
