from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.serving.fakes import FakeLine, Maker, offer
from tests.waiting import until
from voicebot.events import CallEnded, Event, Leg
from voicebot.serving import daemon as daemon_module
from voicebot.serving.control import ControlError, ask
from voicebot.serving.daemon import Daemon
from voicebot.serving.exchange import EngineParams
from voicebot.serving.handover import HandoverParams
from voicebot.serving.prompts import Prompts, PromptsParams
from voicebot.serving.workers import WorkerPool
from voicebot.telephony.line import Gateway, LineError, Reception


class Door:
    """A gateway through which a test puts calls."""

    name = "door"

    def __init__(self, reception: Reception, *, broken: bool = False) -> None:
        self.reception, self.broken = reception, broken
        self.lines: list[FakeLine] = []
        self.open = False

    @property
    def counters(self) -> Mapping[str, int]:
        return {"knocks": len(self.lines)}

    async def start(self) -> None:
        if self.broken:
            raise LineError("port 1 is taken", "choose another")
        self.open = True

    async def close(self) -> None:
        self.open = False
        for line in self.lines:
            if line.ear:
                line.ear.ended("shutdown")

    def call(self) -> None:
        line = FakeLine()
        line.ear = self.reception.receive(offer(Leg.CALLER), line)
        self.lines.append(line)


class House:
    """A daemon with one door."""

    def __init__(self, folder: Path, *, broken: bool = False, **params: Any) -> None:
        self.events: list[Event] = []
        self.socket = folder / "control.sock"
        self.ready = asyncio.Event()
        self._broken = broken
        self.daemon = Daemon(
            Maker(),
            EngineParams(**{"control": str(self.socket), "workers": 1, **params}),
            HandoverParams(),
            Prompts(PromptsParams(enabled=False), "en"),
            barge_in=True,
            open_gateways=self._open,
            record=self.events.append,
            ready=lambda gateways: self.ready.set(),
        )

    def _open(self, reception: Reception) -> Sequence[Gateway]:
        self.door = Door(reception, broken=self._broken)
        return [self.door]


def test_from_ready_to_drained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notified: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))

        async def story() -> None:
            house = House(tmp_path, drain_seconds=0.1)
            serving = asyncio.create_task(house.daemon.run())
            await house.ready.wait()
            house.door.call()
            house.door.call()
            status = await asyncio.to_thread(ask, house.socket, {"do": "calls"})
            assert [call["gateway"] for call in status["calls"]] == ["test", "test"]
            assert status["counters"]["door"] == {"knocks": 2}
            one = status["calls"][0]["call_id"]
            await asyncio.to_thread(ask, house.socket, {"do": "hangup", "call_id": one[:6]})
            await until(lambda: any(isinstance(e, CallEnded) for e in house.events))
            with pytest.raises(ControlError, match="no single running call"):
                await asyncio.to_thread(ask, house.socket, {"do": "hangup", "call_id": "x"})
            os.kill(os.getpid(), signal.SIGTERM)
            async with asyncio.timeout(10):
                await serving
            reasons = [e.reason for e in house.events if isinstance(e, CallEnded)]
            assert reasons == ["operator", "shutdown"]
            assert not house.door.open and not house.socket.exists()

        asyncio.run(story())
        notified += [systemd.recv(100), systemd.recv(100)]
    assert notified == [b"READY=1", b"STOPPING=1"]


@pytest.mark.parametrize(("set_to", "threads"), [(3, 3), (0, os.cpu_count())])
def test_so_many_threads_as_are_set_or_one_a_core(
    set_to: int, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def pool(workers: int) -> WorkerPool:
        made.append(workers)
        return WorkerPool(workers)

    monkeypatch.setattr(daemon_module, "WorkerPool", pool)

    async def story() -> None:
        house = House(tmp_path, workers=set_to)
        serving = asyncio.create_task(house.daemon.run())
        await house.ready.wait()
        house.daemon.stop()
        await serving

    asyncio.run(story())
    assert made == [threads]


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    async def story() -> None:
        house = House(tmp_path, drain_seconds=1000.0)
        serving = asyncio.create_task(house.daemon.run())
        await house.ready.wait()
        house.door.call()
        house.daemon.stop()
        await asyncio.sleep(0.05)
        assert not serving.done()
        house.daemon.stop()
        async with asyncio.timeout(10):
            await serving
        assert house.door.lines[0].hung_up == ["shutdown"]

    asyncio.run(story())


def test_a_door_that_cannot_be_opened_ends_it_cleanly(tmp_path: Path) -> None:
    before = threading.active_count()

    async def story() -> None:
        house = House(tmp_path, broken=True)
        with pytest.raises(LineError, match="port 1 is taken"):
            await house.daemon.run()
        assert not house.socket.exists()

    asyncio.run(story())
    assert threading.active_count() == before
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
