"""As much of Asterisk's REST interface as we use, after its ``rest-api/api-docs`` and sources.

It is strict where Asterisk is: a channel outside our application is a 409 (or 422 for bridges),
events of a channel reach only applications that subscribe to it, and leaving the application ends
the subscription that came with it.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from websockets.http11 import Request
from websockets.server import ServerProtocol

from voicebot.audio.g711 import decode_mulaw, encode_mulaw
from voicebot.events import Pcm

CAUSES = {"busy": 17, "declined": 21, "noanswer": 19, "absent": 20, "cleared": 16}
STATUSES = {"busy": "BUSY", "declined": "CHANUNAVAIL", "noanswer": "NOANSWER",
            "absent": "CHANUNAVAIL"}  # fmt: skip


@dataclass
class Channel:
    id: str
    state: str = "Up"
    variables: dict[str, str] = field(default_factory=dict)
    stasis: bool = False
    context: str = "incoming"
    exten: str = "s"
    rtp: socket.socket | None = None
    remote: tuple[str, int] = ("", 0)
    sequence: int = 0


class Refusal(Exception):
    def __init__(self, status: int, message: str) -> None:
        self.status, self.message = status, message


class FakeAsterisk:
    def __init__(self, user: str = "voicebot", password: str = "secret") -> None:
        self.authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self.channels: dict[str, Channel] = {}
        self.bridges: dict[str, list[str]] = {}
        self.interest: Counter[str] = Counter()
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.phones: dict[str, str] = {}
        """by endpoint, what becomes of a call there: answer, busy, declined, silent, ..."""
        self.dialplan: dict[str, list[tuple[str, str]]] = {}
        """by ``context,extension,priority``: (``dial``, endpoint), (``stasis``, args), ..."""
        self.refuse: dict[str, int] = {}
        """status of requests whose path ends so"""
        self.mute: set[str] = set()
        """parts of channel ids that never come to the application"""
        self.codec = "ulaw"
        self.port = 0
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._sockets: list[tuple[ServerProtocol, asyncio.StreamWriter]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._number = itertools.count(1)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ari"

    async def __aenter__(self) -> FakeAsterisk:
        await self.open()
        return self

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for channel in self.channels.values():
            if channel.rtp is not None:
                channel.rtp.close()

    async def stop(self) -> None:
        """No more connections, and an end to those that there are."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()

    def cut(self) -> None:
        for _, writer in self._sockets:
            writer.transport.abort()
        self._sockets.clear()

    # ------------------------------------------------------------ events

    def describe(self, channel: Channel) -> dict[str, Any]:
        return {
            "id": channel.id,
            "name": f"PJSIP/{channel.id}",
            "state": channel.state,
            "protocol_id": "",
            "caller": {"name": "", "number": "4711"},
            "connected": {"name": "", "number": ""},
            "accountcode": "",
            "dialplan": {
                "context": channel.context, "exten": channel.exten, "priority": 1,
                "app_name": "Stasis" if channel.stasis else "",
                "app_data": "voicebot,take" if channel.stasis else "",
            },
            "creationtime": "2026-01-01T00:00:00.000+0000",
            "language": "en",
            "channelvars": dict(channel.variables),
        }  # fmt: skip

    def emit(self, kind: str, channel: Channel | None, **fields: Any) -> None:
        if channel is not None and not self.interest[channel.id]:
            return
        about = {} if channel is None else {"channel": self.describe(channel)}
        self.send(json.dumps({
            "type": kind, "application": "voicebot", "asterisk_id": "00:00",
            "timestamp": "2026-01-01T00:00:00.000+0000", **about, **fields,
        }))  # fmt: skip

    def send(self, text: str) -> None:
        for protocol, writer in self._sockets:
            protocol.send_text(text.encode())
            writer.write(b"".join(protocol.data_to_send()))

    def call(self, *args: str, state: str = "Ring") -> Channel:
        """A caller comes to ``Stasis(voicebot,...)``."""
        channel = Channel(f"170000.{next(self._number)}", state=state)
        self.channels[channel.id] = channel
        self.enter(channel, *args)
        return channel

    def enter(self, channel: Channel, *args: str) -> None:
        channel.stasis = True
        self.interest[channel.id] += 1
        self.emit("StasisStart", channel, args=list(args))

    def leave(self, channel: Channel) -> None:
        if channel.stasis:
            channel.stasis = False
            for members in self.bridges.values():
                if channel.id in members:
                    members.remove(channel.id)
            self.emit("StasisEnd", channel)
            self.interest[channel.id] -= 1

    def hang_up(self, channel: Channel, cause: int = 16) -> None:
        self.leave_destroyed(channel, cause)
        for other in list(self.channels.values()):
            if "-spy-" in other.id and other.variables.get("SPIED") == channel.id:
                self.leave_destroyed(other, 16)

    def leave_destroyed(self, channel: Channel, cause: int) -> None:
        watched = bool(self.interest[channel.id])
        self.leave(channel)
        self.interest[channel.id] = int(watched)  # the end itself is told before it is forgotten
        self.emit("ChannelDestroyed", channel, cause=cause, cause_txt=f"cause {cause}")
        del self.interest[channel.id]
        self.channels.pop(channel.id, None)
        if channel.rtp is not None:
            channel.rtp.close()
            channel.rtp = None

    # ------------------------------------------------------------ RTP

    def media(self, part: str = "-media-caller-") -> Channel:
        return next(c for c in self.channels.values() if part in c.id)

    async def speak(self, channel: Channel, pcm: Pcm, pace: float = 0.002) -> None:
        for at in range(0, len(pcm), 160):
            assert channel.rtp is not None
            head = struct.pack("!BBHII", 0x80, 0, channel.sequence, channel.sequence * 160, 7)
            channel.rtp.sendto(head + encode_mulaw(pcm[at : at + 160]), channel.remote)
            channel.sequence += 1
            await asyncio.sleep(pace)

    def heard(self, channel: Channel) -> Pcm:
        """What we have said into the channel so far."""
        assert channel.rtp is not None
        parts = b""
        while True:
            try:
                data = channel.rtp.recv(2048)
            except BlockingIOError:
                return decode_mulaw(parts)
            if data[1] & 0x7F == 0:
                parts += data[12:]

    # ------------------------------------------------------------ the dialplan

    def _later(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            await work

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _execute(self, channel: Channel, place: str) -> None:
        for application, argument in self.dialplan.get(place, []):
            await asyncio.sleep(0.005)
            if application == "dial":
                if await self._dial(channel, argument):
                    return
            elif application == "stasis":
                self.enter(channel, *argument.split(","))
            elif application == "hangup":
                self.hang_up(channel)

    async def _dial(self, caller: Channel, endpoint: str) -> bool:
        peer = Channel(f"170000.{next(self._number)}", state="Down")
        self.channels[peer.id] = peer

        def tell(status: str) -> None:
            if self.interest[caller.id] or self.interest[peer.id]:
                self.emit(
                    "Dial", None, caller=self.describe(caller), peer=self.describe(peer),
                    dialstatus=status, dialstring=endpoint, forward="",
                )  # fmt: skip

        tell("")
        tell("RINGING")
        await asyncio.sleep(0.03)
        outcome = self.phones.get(endpoint, "absent")
        if outcome == "silent":
            return True
        if outcome == "answer":
            tell("ANSWER")
            return True
        tell(STATUSES[outcome])
        self.leave_destroyed(peer, CAUSES[outcome])
        return False

    async def _ring(self, peer: Channel, endpoint: str, args: list[str]) -> None:
        """A channel that we have originated; no caller is named in its events."""

        def tell(status: str) -> None:
            self.emit("Dial", None, peer=self.describe(peer), dialstatus=status, dialstring="")

        tell("")
        tell("RINGING")
        await asyncio.sleep(0.02)
        outcome = self.phones.get(endpoint, "absent")
        if outcome == "silent" or peer.id not in self.channels:
            return
        if outcome == "answer":
            tell("ANSWER")
            await asyncio.sleep(0.01)
            peer.state = "Up"
            self.interest[peer.id] -= 1  # enter() counts it again
            self.enter(peer, *args)
        else:
            tell(STATUSES.get(outcome, "CANCEL"))
            self.leave_destroyed(peer, CAUSES[outcome])

    # ------------------------------------------------------------ HTTP

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.split("\r\n")
                method, target, _ = first.split(" ")
                headers = {
                    name.lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in lines if line)
                }
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                if headers.get("authorization") != self.authorization:
                    self._answer(writer, 401, {"message": "Authentication required"})
                elif headers.get("upgrade", "").lower() == "websocket":
                    await self._websocket(reader, writer, target, head.encode())
                    return
                else:
                    self._answer(writer, *self._handle(method, target, body))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._sockets = [pair for pair in self._sockets if pair[1] is not writer]
            writer.close()

    def _answer(self, writer: asyncio.StreamWriter, status: int, body: Any) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        writer.write(
            f"HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(data)}\r\n\r\n".encode()
            + data
        )

    async def _websocket(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        target: str,
        head: bytes,
    ) -> None:
        assert dict(parse_qsl(urlsplit(target).query))["app"] == "voicebot"
        protocol = ServerProtocol()
        protocol.receive_data(head)
        request = protocol.events_received()[0]
        assert isinstance(request, Request)
        protocol.send_response(protocol.accept(request))
        writer.write(b"".join(protocol.data_to_send()))
        for old, its_writer in self._sockets:
            old.send_text(b'{"type": "ApplicationReplaced", "application": "voicebot"}')
            its_writer.write(b"".join(old.data_to_send()))
        self._sockets.append((protocol, writer))
        self.connections += 1
        while data := await reader.read(4096):
            protocol.receive_data(data)
            answer = protocol.data_to_send()
            writer.write(b"".join(answer))
            if b"" in answer:  # the library's sign that it has closed
                return

    def _handle(self, method: str, target: str, body: bytes) -> tuple[int, Any]:
        parts = urlsplit(target)
        path = [unquote(part) for part in parts.path.split("/")[2:]]
        query = dict(parse_qsl(parts.query))
        sent = json.loads(body) if body else None
        self.requests.append((method, "/".join(path), query, sent))
        for ending, status in self.refuse.items():
            if f"{method} {'/'.join(path)}".endswith(ending):
                return status, {"message": "as told"}
        handlers: dict[str, Callable[..., Any]] = {
            "channels": self._channels, "bridges": self._bridges,
            "applications": self._applications,
        }  # fmt: skip
        try:
            answer = handlers[path[0]](method, path[1:], query, sent)
        except Refusal as refusal:
            return refusal.status, {"message": refusal.message}
        return (204, None) if answer is None else (200, answer)

    def _find(self, name: str, *, stasis: bool) -> Channel:
        channel = self.channels.get(name)
        if channel is None:
            raise Refusal(404, "Channel not found")
        if stasis and not channel.stasis:
            raise Refusal(409, "Channel not in Stasis application")
        return channel

    def _applications(self, method: str, path: list[str], query: dict[str, str], _: Any) -> Any:
        assert (method, path) == ("POST", ["voicebot", "subscription"])
        name = query["eventSource"].removeprefix("channel:")
        if name not in self.channels:
            raise Refusal(422, "Event source does not exist.")
        self.interest[name] += 1
        return {"name": "voicebot"}

    def _bridges(self, method: str, path: list[str], query: dict[str, str], _: Any) -> Any:
        if method == "POST" and len(path) == 1:
            assert query == {"type": "mixing"}
            self.bridges[path[0]] = []
            return {"id": path[0]}
        if method == "GET" and not path:
            return [
                {"id": name, "bridge_type": "mixing", "channels": members}
                for name, members in self.bridges.items()
            ]
        if path[0] not in self.bridges:
            raise Refusal(404, "Bridge not found")
        if method == "DELETE":
            del self.bridges[path[0]]
            return None
        assert path[1] == "addChannel"
        channel = self.channels.get(query["channel"])
        if channel is None:
            raise Refusal(400, "Channel not found")
        if not channel.stasis:
            raise Refusal(422, "Channel not in Stasis application")
        self.bridges[path[0]].append(channel.id)
        return None

    def _channels(self, method: str, path: list[str], query: dict[str, str], body: Any) -> Any:
        if method == "GET" and not path:
            return [self.describe(channel) for channel in self.channels.values()]
        if method == "DELETE":
            self.hang_up(self._find(path[0], stasis=False))
            return None
        if path == ["externalMedia"]:
            return self._external_media(query)
        if len(path) <= 1:
            return self._originate(path[0] if path else "", query, body)
        name, verb, *rest = path
        if verb == "snoop":
            spied = self._find(name, stasis=False)
            spy = Channel(rest[0], variables={"SPIED": spied.id})
            assert query["spy"] in ("in", "out") and query["whisper"] in ("none", "out")
            return self._arrive(spy, query)
        if method == "GET" and verb == "variable":
            value = self._find(name, stasis=False).variables.get(query["variable"])
            if value is None:
                raise Refusal(404, "Provided variable was not found")
            return {"value": value}
        channel = self._find(name, stasis=True)
        if verb == "answer":
            channel.state = "Up"
        elif verb == "variable":
            channel.variables[query["variable"]] = query.get("value", "")
        elif verb == "continue":
            self.leave(channel)
            place = ",".join(query.get(key, "") for key in ("context", "extension", "priority"))
            self._later(self._execute(channel, place))
        elif verb == "redirect":
            if not query["endpoint"].startswith("PJSIP/"):
                raise Refusal(422, "Endpoint technology does not match channel technology")
            if self.phones.get(query["endpoint"]) == "answer":
                self._later(self._gone_soon(channel))
        else:
            raise AssertionError(verb)
        return None

    async def _gone_soon(self, channel: Channel) -> None:
        await asyncio.sleep(0.02)
        self.hang_up(channel)

    def _originate(self, name: str, query: dict[str, str], body: Any) -> Any:
        variables = body["variables"]
        assert all(isinstance(value, str) for value in variables.values())
        endpoint = query["endpoint"]
        if endpoint.startswith("Local/"):
            if endpoint != "Local/s@voicebot-redirect/n":
                raise Refusal(500, "Allocation failed")
            caller = self._find(variables["VOICEBOT_CHANNEL"], stasis=False)
            caller.variables.update(variables)
            place = ",".join(
                variables[f"VOICEBOT_{part}"] for part in ("CONTEXT", "EXTEN", "PRIORITY")
            )
            self._later(self._execute(caller, place))
            return {"id": f"170000.{next(self._number)}"}
        if query["originator"] not in self.channels:
            raise Refusal(400, "Provided originator channel was not found")
        peer = Channel(name, state="Down", variables=dict(variables))
        self.channels[name] = peer
        self.interest[name] += 1
        self._later(self._ring(peer, endpoint, [query["appArgs"]]))
        return self.describe(peer)

    def _external_media(self, query: dict[str, str]) -> Any:
        assert query["format"] == self.codec and query["app"] == "voicebot"
        host, _, port = query["external_host"].rpartition(":")
        rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        rtp.setblocking(False)
        rtp.bind(("127.0.0.1", 0))
        channel = Channel(query["channelId"], rtp=rtp, remote=(host, int(port)))
        channel.variables = {
            "UNICASTRTP_LOCAL_ADDRESS": "127.0.0.1",
            "UNICASTRTP_LOCAL_PORT": str(rtp.getsockname()[1]),
        }
        return self._arrive(channel, {**query, "appArgs": query.get("data", "")})

    def _arrive(self, channel: Channel, query: dict[str, str]) -> Any:
        """The answer comes first, the channel a little later."""
        self.channels[channel.id] = channel

        async def arrive() -> None:
            await asyncio.sleep(0.005)
            if channel.id in self.channels and not any(part in channel.id for part in self.mute):
                self.enter(channel, query["appArgs"])

        self._later(arrive())
        return self.describe(channel)
