"""Many calls at once, and a flood beside calls.

``VOICEBOT_PEERS_SECONDS=60`` makes the many calls last as long as a release wants them to;
by default they are shorter, so that the suite stays in its time.
"""

import os
import socket
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from tests.peers.house import Heard, House
from tests.peers.processes import wait_for
from tests.peers.sipp import Sipp
from tests.peers.sound import compare, speech
from voicebot.events import Leg, Pcm

SECONDS = float(os.environ.get("VOICEBOT_PEERS_SECONDS", "20"))
CALLS = 50
_DEMO_SECONDS = 50.0


def long_speech(seconds: float) -> Pcm:
    """Real speech, said again if the demo call is shorter."""
    demo = speech(min(seconds, _DEMO_SECONDS))
    out: Pcm = np.resize(demo, int(seconds * 8000))
    return out


def whole(call: Heard, says: Pcm) -> None:
    """Assert that everything arrived."""
    figures = call.figures[Leg.CALLER]
    assert call.end == "hangup"
    assert (figures.lost, figures.late, figures.duplicates, figures.strangers) == (0, 0, 0, 0)
    assert call.concealed() == 0.0
    match = compare(says, call.pcm())
    assert match.correlation > 0.99, match
    assert abs(match.heard - match.sent) <= 0.06, match


def test_fifty_calls(stack: ExitStack, tmp_path: Path) -> None:
    house = stack.enter_context(House())
    says = long_speech(SECONDS)
    sipp = stack.enter_context(
        Sipp(
            "call", tmp_path, house.port(), says=says, calls=CALLS, at_once=CALLS, rate=25,
            seconds=int(SECONDS) + 60, more=("-d", str(int(SECONDS * 1000) + 400)),
        )
    )  # fmt: skip
    wait_for(lambda: len(house.calls) == CALLS, "all calls", 30.0)
    assert not any(call.end for call in house.calls)
    sipp.finish(SECONDS + 60)
    for number in range(CALLS):
        whole(house.ended(number), says)
    assert len(house.calls) == CALLS


class Flood:
    """OPTIONS, so many a second, from an address of its own."""

    def __init__(self, port: int, rate: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.2", 0))
        self._port, self._rate = port, rate
        self._stop = threading.Event()
        self.sent = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        here = self._socket.getsockname()
        began = time.monotonic()
        while not self._stop.is_set():
            due = int((time.monotonic() - began) * self._rate)
            while self.sent < due:
                self.sent += 1
                self._socket.sendto(
                    (
                        f"OPTIONS sip:voicebot@127.0.0.1:{self._port} SIP/2.0\r\n"
                        f"Via: SIP/2.0/UDP {here[0]}:{here[1]};branch=z9hG4bK{self.sent}\r\n"
                        f"From: <sip:flood@{here[0]}>;tag={self.sent}\r\n"
                        f"To: <sip:voicebot@127.0.0.1>\r\nCall-ID: {self.sent}@flood\r\n"
                        "CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
                    ).encode(),
                    ("127.0.0.1", self._port),
                )
            time.sleep(0.005)

    def close(self) -> None:
        """Stop."""
        self._stop.set()
        self._thread.join(5.0)
        self._socket.close()  # may be called twice

    def answers(self) -> int:
        """How many answers wait to be read; they are read."""
        self._socket.setblocking(False)
        count = 0
        while True:
            try:
                self._socket.recv(65536)
            except BlockingIOError:
                return count
            count += 1


def test_a_flood_beside_calls(stack: ExitStack, tmp_path: Path) -> None:
    house = stack.enter_context(House())
    says = speech(5.0, start=20.0)
    sipp = stack.enter_context(
        Sipp(
            "call", tmp_path, house.port(), says=says, calls=10, at_once=10, rate=50,
            more=("-d", "5400"),
        )
    )  # fmt: skip
    wait_for(lambda: len(house.calls) == 10, "all calls")
    flood = Flood(house.port(), 1000)
    stack.callback(flood.close)
    sipp.finish()
    for number in range(10):
        whole(house.ended(number), says)
    answers = flood.answers()
    flood.close()
    assert flood.sent > 3000
    dropped = house.counters["sip_limited"]
    assert 0 < answers <= flood.sent * 0.15  # 50 a second of 1,000, and what it may begin with
    assert dropped > 0.8 * flood.sent
    assert answers + dropped <= flood.sent
