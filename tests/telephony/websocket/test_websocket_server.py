from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.telephony.receiving import Desk
from tests.telephony.ws_peers import BEARER, TOKEN, close_of, dial, listening, params, status_of
from tests.waiting import until
from voicebot.telephony.line import LineError
from voicebot.telephony.websocket.media_forks import media_forks

FORK = "/media/freeswitch?rate=8000&uuid=u-1"


def test_opens_on_a_port_of_the_systems_choice_and_closes_twice() -> None:
    async def main() -> None:
        server = media_forks(params(), Desk())
        assert server.name == "websocket" and server.port == 0
        await server.start()
        port = server.port
        assert port > 0
        await server.close()
        await server.close()
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1)

    asyncio.run(main())


def test_a_port_that_is_taken_is_named() -> None:
    async def main() -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            server = media_forks(params(port=port), Desk())
            with pytest.raises(LineError, match=rf"127\.0\.0\.1:{port}.*websocket\.port"):
                await server.start()
            await server.close()

    asyncio.run(main())


def test_it_listens_at_the_address_that_is_set_and_nowhere_else() -> None:
    async def main() -> None:
        async with listening(Desk(), host="127.0.0.2") as server:
            socket.create_connection(("127.0.0.2", server.port), timeout=1).close()
            with pytest.raises(OSError):
                socket.create_connection(("127.0.0.1", server.port), timeout=1)

    asyncio.run(main())


def test_a_certificate_that_cannot_be_read_is_named() -> None:
    async def main() -> None:
        server = media_forks(params(tls_cert="/nowhere/cert.pem"), Desk())
        with pytest.raises(LineError, match=r"tls_cert: /nowhere/cert\.pem"):
            await server.start()

    asyncio.run(main())


def test_unknown_paths_are_404_and_do_not_open_neighbours() -> None:
    async def main() -> None:
        async with listening(Desk()) as server:
            assert await status_of(server, "/", BEARER) == 404
            assert await status_of(server, "/media/freeswitchx", BEARER) == 404
            assert server.counters["websocket_unknown_path"] == 2

    asyncio.run(main())


def test_a_message_of_ten_megabytes_ends_the_connection_with_1009() -> None:
    async def main() -> None:
        desk = Desk()
        async with listening(desk) as server:
            client = await dial(server, FORK, BEARER)
            await client.send(bytes(320))
            await until(lambda: desk.calls)
            with contextlib.suppress(ConnectionClosed):
                await client.send(bytes(10_000_000))
            assert (await close_of(client))[0] == 1009
            await until(lambda: desk.calls[0].reasons)
            assert desk.calls[0].reasons == ["line_lost"]
            assert server.counters["websocket_too_big"] == 1
            assert len(desk.calls[0].pcm()) == 160

    asyncio.run(main())


def test_a_client_that_says_nothing_is_given_up_before_and_after_the_start() -> None:
    async def main() -> None:
        desk = Desk()
        async with listening(desk, start_seconds=0.1, idle_seconds=0.15) as server:
            async with dial(server, FORK, BEARER) as client:
                assert await close_of(client) == (1008, "nothing for 0.1 s")
            assert not desk.calls
            async with dial(server, FORK, BEARER) as client:
                await client.send(bytes(320))
                assert await close_of(client) == (1008, "nothing for 0.15 s")
            assert desk.calls[0].reasons == ["line_lost"]
            assert server.counters["websocket_idle"] == 2

    asyncio.run(main())


def test_a_torn_connection_is_a_lost_line_and_a_closed_one_a_hangup() -> None:
    async def main() -> None:
        desk = Desk()
        async with listening(desk) as server:
            async with dial(server, FORK, BEARER) as client:
                await client.send(bytes(320))
                await until(lambda: desk.calls)
                client.transport.abort()
            await until(lambda: desk.calls[0].reasons)
            async with dial(server, FORK, BEARER) as client:
                await client.send(bytes(320))
            await until(lambda: len(desk.calls) == 2 and desk.calls[1].reasons)
            assert [call.reasons for call in desk.calls] == [["line_lost"], ["hangup"]]
            assert server.connections == 0

    asyncio.run(main())


def test_a_call_that_is_refused_gets_1013_with_the_reason() -> None:
    async def main() -> None:
        async with listening(Desk(refuse=True)) as server, dial(server, FORK, BEARER) as client:
            await client.send(bytes(320))
            assert await close_of(client) == (1013, "at capacity")
            assert server.counters["websocket_refused"] == 1

    asyncio.run(main())


def test_more_connections_than_the_maximum_get_503_and_room_comes_back() -> None:
    async def main() -> None:
        async with listening(Desk(), max_connections=2) as server:
            async with dial(server, FORK, BEARER), dial(server, FORK, BEARER):
                assert [await status_of(server, FORK, BEARER) for _ in range(3)] == [503] * 3
                assert server.counters["websocket_full"] == 3
            await until(lambda: server.connections == 0)
            assert await status_of(server, FORK, BEARER) == 101

    asyncio.run(main())


def test_a_flood_of_connections_that_ask_for_nothing_is_bounded_and_passes() -> None:
    async def main() -> None:
        desk = Desk()
        async with listening(desk, max_connections=4, handshake_seconds=1.5) as server:
            async with dial(server, FORK, BEARER) as client:
                await client.send(bytes(320))
                await until(lambda: desk.calls)
                flood = [
                    await asyncio.open_connection("127.0.0.1", server.port) for _ in range(100)
                ]
                await until(lambda: server.counters["websocket_flood"] >= 60)
                await client.send(bytes(320))  # the call that runs is unharmed
                await until(lambda: len(desk.calls[0].pcm()) == 320)
                await until(lambda: len(server._sockets) <= 2)  # the others are given up
                assert await status_of(server, FORK, BEARER) == 101
                for _, writer in flood:
                    writer.close()
            assert len(server._sockets) <= 2

    asyncio.run(main())


def test_a_peer_that_does_not_read_is_given_up() -> None:
    async def main() -> None:
        desk = Desk()
        fork = f"{FORK}&playback=binary"
        async with listening(desk, send_seconds=0.2) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
            request = (
                f"GET {fork} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: SSdtIGEgV2ViU29ja2V0IQ==\r\nSec-WebSocket-Version: 13\r\n"
                f"Authorization: Bearer {TOKEN}\r\n\r\n"
            )
            writer.write(request.encode())
            assert b"101" in await reader.readline()
            writer.write(b"\x82\x82\0\0\0\0\0\0")  # one binary message, masked with zeros
            await until(lambda: desk.calls)
            session = next(iter(server._sessions))
            began = asyncio.get_running_loop().time()
            with pytest.raises(Exception, match="lost"):
                while True:
                    await session._peer.send(bytes(200_000))  # type: ignore[attr-defined]
            assert asyncio.get_running_loop().time() - began < 3
            await until(lambda: desk.calls[0].reasons)
            assert desk.calls[0].reasons == ["line_lost"]
            assert server.counters["websocket_slow_reader"] == 1
            writer.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    "request_line",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"POST /media/freeswitch HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
        b"GET http://other/ HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /media/freeswitch?" + b"&".join(b"a=1" for _ in range(100)) + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_requests_that_are_none_do_no_harm(request_line: bytes) -> None:
    async def main() -> None:
        async with listening(Desk(), handshake_seconds=0.2) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(request_line)
            async with asyncio.timeout(2):
                try:
                    answer = await reader.read()
                except ConnectionResetError:
                    answer = b""
            assert b" 101 " not in answer
            writer.close()
            assert await status_of(server, FORK, BEARER) == 101

    asyncio.run(main())


def test_a_request_with_too_many_fields_is_400() -> None:
    async def main() -> None:
        async with listening(Desk()) as server:
            assert await status_of(server, FORK + "&a=1" * 100, BEARER) == 400
            assert server.counters == {"websocket_malformed": 1}

    asyncio.run(main())


def test_closing_ends_the_calls_that_are_left() -> None:
    async def main() -> None:
        desk = Desk()
        async with listening(desk) as server:
            async with dial(server, FORK, BEARER) as client:
                await client.send(bytes(320))
                await until(lambda: desk.calls)
                await server.close()
                assert (await close_of(client))[0] == 1001
            assert desk.calls[0].reasons == ["shutdown"]

    asyncio.run(main())


def test_the_subprotocol_that_a_peer_insists_on_is_granted() -> None:
    async def main() -> None:
        async with listening(Desk()) as server:
            names = ["audio.drachtio.org", "other"]
            async with dial(server, FORK, BEARER, subprotocols=names) as client:
                assert client.subprotocol == "audio.drachtio.org"

    asyncio.run(main())


def test_a_peer_that_has_gone_deaf_does_not_hold_up_the_end() -> None:
    async def main() -> None:
        desk = Desk()
        async with listening(desk, handshake_seconds=0.2) as server:
            client = await dial(server, FORK, BEARER)
            await client.send(bytes(320))
            await until(lambda: desk.calls)
            client.transport.pause_reading()
            client.transport.write(b"\xff" * 1000)
            async with asyncio.timeout(3):
                await server.close()
            assert desk.calls[0].reasons in (["shutdown"], ["line_lost"])
            client.transport.abort()

    asyncio.run(main())


def test_over_tls(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 "
        f"-subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout {key} -out {cert}"
    )
    subprocess.run(command.split(), check=True, capture_output=True)

    async def main() -> None:
        desk = Desk()
        async with listening(desk, tls_cert=str(cert), tls_key=str(key)) as server:
            trust = ssl.create_default_context(cafile=str(cert))
            url = f"wss://localhost:{server.port}{FORK}"
            async with connect(
                url, additional_headers=BEARER, ssl=trust, host="127.0.0.1", proxy=None
            ) as client:
                await client.send(bytes(320))
                await until(lambda: desk.calls and len(desk.calls[0].pcm()) == 160)

    asyncio.run(main())
