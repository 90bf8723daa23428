"""RTP of our own making, for peers that cannot send what a test wants."""

import socket
import threading
import time
from collections.abc import Sequence

from voicebot.audio.g711 import encode_mulaw
from voicebot.events import Pcm

PACKET = 160
"""samples in 20 ms"""


class RtpSender:
    """Sends PCMU at the pace of speech, from a socket and a thread of its own.

    Args:
        ssrc: Of the stream.
    """

    def __init__(self, ssrc: int) -> None:
        self._ssrc = ssrc
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread: threading.Thread | None = None

    def begin(self, port: int, pcm: Pcm) -> None:
        """Send all of it to a port, beside."""
        self._thread = threading.Thread(target=self._send, args=(port, pcm), daemon=True)
        self._thread.start()

    def _send(self, port: int, pcm: Pcm) -> None:
        began = time.monotonic()
        for number in range(len(pcm) // PACKET):
            time.sleep(max(0.0, began + number * 0.02 - time.monotonic()))
            payload = encode_mulaw(pcm[number * PACKET : (number + 1) * PACKET])
            head = (0x8000 << 16 | number) << 64 | (number * PACKET) << 32 | self._ssrc
            self._socket.sendto(head.to_bytes(12, "big") + payload, ("127.0.0.1", port))

    def close(self) -> None:
        """Wait until everything is sent."""
        if self._thread is not None:
            self._thread.join(30.0)
        self._socket.close()


def send_all(senders: Sequence[RtpSender], ports: Sequence[int], pcms: Sequence[Pcm]) -> None:
    """Begin them together."""
    for sender, port, pcm in zip(senders, ports, pcms, strict=True):
        sender.begin(port, pcm)
