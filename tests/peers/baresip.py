"""baresip, driven by its JSON interface over TCP (module ctrl_tcp, netstrings)."""

import json
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.peers.processes import Process, free_port, free_ports, need
from tests.peers.sound import read_wav, speech, write_wav
from voicebot.events import Pcm

MODULES = Path("/usr/lib/baresip/modules")
_CONFIG = """\
poll_method epoll
sip_listen 127.0.0.1:{sip}
{extra}
call_local_timeout 120
call_max_calls 4
audio_path {folder}/none
audio_player nothing,nil
audio_source {source}
audio_alert nothing,nil
ausrc_srate 8000
auplay_srate 8000
audio_buffer 200
rtp_ports {rtp}-{rtp_end}
rtcp_mux no
jitter_buffer_delay 5-10
net_interface 127.0.0.1
module_path {modules}
module g711.so
module aufile.so
module sndfile.so
module srtp.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
snd_path {folder}
ringback_disabled yes
statmode_default off
"""


class Baresip:
    """One baresip with one account.  Use as a context manager.

    Args:
        name: Its user name.
        folder: For its files.
        says: What it sends in a call; it hangs up when that is over.  None: 40 s of speech.
        account: Parameters of the account: ``answermode=auto``, ``audio_codecs=PCMU``, ...
        transport: ``udp``, ``tcp`` or ``tls``.
        config: Further lines of the configuration.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        says: Pcm | None = None,
        account: str = "audio_codecs=PCMU",
        transport: str = "udp",
        config: str = "",
    ) -> None:
        need("baresip")
        self.folder = folder / name
        self.folder.mkdir(parents=True)
        self.name = name
        self.port = free_port()
        rtp, control = free_ports(16), free_port()
        wav = write_wav(self.folder / "says.wav", speech(40.0) if says is None else says)
        self.uri = f"sip:{name}@127.0.0.1:{self.port}"
        (self.folder / "config").write_text(
            _CONFIG.format(
                sip=self.port,
                folder=self.folder,
                source=f"aufile,{wav}",
                rtp=rtp,
                rtp_end=rtp + 15,
                modules=MODULES,
                control=control,
                extra=config,
            )
        )
        at = f"127.0.0.1:{self.port}" if ";regint=" not in account else "127.0.0.1"
        via = "" if transport == "udp" else f";transport={transport}"
        register = "" if "regint=" in account else ";regint=0"
        (self.folder / "accounts").write_text(f"<sip:{name}@{at}{via}>{register};{account}\n")
        (self.folder / "contacts").write_text("")
        self.process = Process("baresip", ["baresip", "-f", str(self.folder)], self.folder)
        self.events: list[dict[str, Any]] = []
        self._unread = b""
        self._control = self._connect(control)

    def _connect(self, port: int) -> socket.socket:
        deadline = time.monotonic() + 10.0
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port), 1.0)
            except OSError:
                if time.monotonic() > deadline or not self.process.running:
                    text = self.process.output()
                    self.process.close()
                    raise AssertionError(f"baresip did not start:\n{text}") from None
                time.sleep(0.02)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it."""
        self._control.close()
        self.process.close()

    def do(self, command: str, argument: str = "") -> None:
        """Give a command: ``dial``, ``hangup``, ``hold``, ``resume``, ..."""
        text = json.dumps({"command": command, "params": argument, "token": "t"}).encode()
        self._control.sendall(b"%d:%s," % (len(text), text))

    def _read(self, seconds: float) -> None:
        """Read what has come, into :attr:`events`."""
        self._control.settimeout(max(seconds, 0.01))
        try:
            data = self._control.recv(65536)
        except TimeoutError:
            return
        assert data, f"baresip {self.name} is gone:\n{self.process.output()}"
        self._unread += data
        while True:
            length, colon, rest = self._unread.partition(b":")
            if not colon or len(rest) <= int(length):
                return
            message = json.loads(rest[: int(length)])
            self._unread = rest[int(length) + 1 :]
            if message.get("event"):
                self.events.append(message)

    def wait(self, kind: str, seconds: float = 15.0) -> dict[str, Any]:
        """Wait for an event, those that have come already included: ``CALL_ESTABLISHED``."""
        deadline = time.monotonic() + seconds
        while True:
            for event in self.events:
                if event.get("type") == kind:
                    return event
            left = deadline - time.monotonic()
            if left <= 0 or any(event.get("type") == "CALL_CLOSED" for event in self.events):
                seen = [event.get("type") for event in self.events]
                text = self.process.output()
                raise AssertionError(f"{self.name}: no {kind} but {seen}\n{text}")
            self._read(left)

    def kinds(self) -> list[str]:
        """Types of the events so far."""
        self._read(0.0)
        return [str(event.get("type")) for event in self.events]

    def sent(self) -> Pcm:
        """What it sent, before it was coded."""
        return self._dump("enc")

    def heard(self) -> Pcm:
        """What it heard, after it was decoded; complete once the call is over."""
        return self._dump("dec")

    def _dump(self, way: str) -> Pcm:
        files = sorted(self.folder.glob(f"dump-*-{way}.wav"))
        assert files, f"{self.name} wrote no {way}:\n{self.process.output()}"
        return read_wav(files[-1])
