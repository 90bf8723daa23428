"""FreeSWITCH's event socket as ``mod_event_socket.c`` speaks it, with calls that end as told."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

CALLER = "0a1b2c3d-0000-4000-8000-000000000001"
AGENT = "0a1b2c3d-0000-4000-8000-0000000000a9"


def event_block(**headers: str) -> bytes:
    """An event as it is sent: values URL-encoded, a block of its own with its own length."""
    names = {name.replace("_", "-") if not name.startswith("variable_") else name: value
             for name, value in headers.items()}  # fmt: skip
    body = "".join(f"{name}: {quote(value)}\n" for name, value in names.items()) + "\n"
    return f"Content-Length: {len(body)}\nContent-Type: text/event-plain\n\n{body}".encode()


class FakeFreeswitch:
    def __init__(self, password: str = "ClueCon") -> None:
        self.password = password
        self.greeting = b"Content-Type: auth/request\n\n"
        self.commands: list[str] = []
        self.outcomes: list[str] = []
        """what becomes of the next agent's phones: ANSWER or a cause"""
        self.channels = {CALLER}
        self.silent = False
        """whether commands are left without an answer"""
        self.port = 0
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> FakeFreeswitch:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # the connections' own tasks end

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def send(self, data: bytes) -> None:
        for writer in self._writers:
            writer.write(data)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        writer.write(self.greeting)
        try:
            while True:
                line = (await reader.readuntil(b"\n\n")).decode().strip()
                self.commands.append(line)
                if not self.silent or line.startswith(("auth", "event")):
                    writer.write(self._answer(line))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def _answer(self, line: str) -> bytes:
        word, _, rest = line.partition(" ")
        if word == "auth":
            said = "+OK accepted" if rest == self.password else "-ERR invalid"
            return f"Content-Type: command/reply\nReply-Text: {said}\n\n".encode()
        if word == "event":
            return b"Content-Type: command/reply\nReply-Text: +OK event listener enabled plain\n\n"
        assert word == "api"
        said = self._api(rest)
        return f"Content-Type: api/response\nContent-Length: {len(said)}\n\n{said}".encode()

    def _api(self, command: str) -> str:
        name, channel, *words = command.split(" ")
        if name == "status":
            return "UP\n"
        if channel not in self.channels:
            return "-ERR No such channel!\n"
        if name == "uuid_transfer":
            assert len(words) in (2, 3)
            task = asyncio.get_running_loop().create_task(self._ring(list(self.outcomes)))
            self._tasks.add(task)
        return "+OK\n"

    async def _ring(self, outcomes: list[str]) -> None:
        for outcome in outcomes:
            await asyncio.sleep(0.02)
            if outcome == "ANSWER":
                self.send(event_block(
                    Event_Name="CHANNEL_BRIDGE", Unique_ID=CALLER, Bridge_A_Unique_ID=CALLER,
                    Bridge_B_Unique_ID=AGENT,
                ))  # fmt: skip
            elif outcome == "CALLER":
                self.hang_up("ORIGINATOR_CANCEL")
            else:
                self.send(event_block(
                    Event_Name="CHANNEL_HANGUP", Unique_ID=AGENT, Hangup_Cause=outcome,
                    Other_Type="originator", Other_Leg_Unique_ID=CALLER,
                ))  # fmt: skip
                self.send(event_block(
                    Event_Name="CHANNEL_EXECUTE_COMPLETE", Unique_ID=CALLER, Application="bridge",
                    Application_Data="user/1001 with spaces & umlauts: ä",
                    variable_originate_disposition=outcome,
                ))  # fmt: skip

    def hang_up(self, cause: str, disposition: str = "") -> None:
        extra = {"variable_originate_disposition": disposition} if disposition else {}
        self.send(event_block(
            Event_Name="CHANNEL_HANGUP", Unique_ID=CALLER, Hangup_Cause=cause, **extra
        ))  # fmt: skip
