from __future__ import annotations

import asyncio
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from voicebot.serving.control import LONGEST_LINE, ControlError, ControlServer, Request, ask
from voicebot.telephony.line import LineError


async def _echo(request: Request) -> dict[str, Any]:
    return {"heard": request.get("word")}


async def _refuse(request: Request) -> dict[str, Any]:
    return {"error": "not today"}


def serving(path: Path) -> ControlServer:
    return ControlServer(path, {"echo": _echo, "refuse": _refuse})


def test_a_question_and_its_answer(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "control.sock"

    async def story() -> None:
        server = serving(path)
        await server.start()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for word in ("one", "zwei", "三"):
            answer = await asyncio.to_thread(ask, path, {"do": "echo", "word": word})
            assert answer == {"heard": word}
        with pytest.raises(ControlError, match="the daemon says: not today"):
            await asyncio.to_thread(ask, path, {"do": "refuse"})
        with pytest.raises(ControlError, match="a request is one of echo, refuse"):
            await asyncio.to_thread(ask, path, {"do": "sing"})
        await server.close()
        await server.close()
        assert not path.exists()

    asyncio.run(story())


def test_nonsense_is_answered_and_harms_nobody(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"

    def send(data: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(str(path))
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            return client.recv(4096)

    async def story() -> None:
        server = serving(path)
        await server.start()
        for nonsense in (b"no json\n", b"[1]\n", b"\xff\xfe\n", b""):
            assert b"error" in await asyncio.to_thread(send, nonsense)
        assert await asyncio.to_thread(send, b"x" * (2 * LONGEST_LINE + 1)) == b""
        assert await asyncio.to_thread(ask, path, {"do": "echo", "word": "on"}) == {"heard": "on"}
        await server.close()

    asyncio.run(story())


def test_one_daemon_a_socket_but_a_dead_one_is_no_hindrance(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))  # and it never listened: as after a crash

    async def story() -> None:
        first, second = serving(path), serving(path)
        await first.start()
        with pytest.raises(LineError, match="another voicebot serves here"):
            await second.start()
        await first.close()

    asyncio.run(story())


def test_what_is_no_socket_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(LineError, match="not a socket"):
        asyncio.run(serving(path).start())
    assert path.read_text() == "mine"


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LineError, match=r"cannot listen"):
        asyncio.run(serving(tmp_path / "file" / "control.sock").start())


def test_without_a_daemon_the_mend_is_told(tmp_path: Path) -> None:
    with pytest.raises(ControlError) as err:
        ask(tmp_path / "control.sock", {"do": "echo"})
    assert "no daemon answers" in err.value.what
    assert "voicebot serve" in err.value.mend
