"""A private PulseAudio daemon whose null sink stands for the telephone line.

Its own socket, runtime folder and ALSA configuration: nothing of the machine's
sound set-up is used or changed.  What is played into the sink can be recorded
from the ALSA device ``default`` by programs started with :attr:`Pulse.env`
(PortAudio reads these variables when it starts, so always in a subprocess).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

ALSA_CONF = Path("/usr/share/alsa/alsa.conf")


def missing() -> str | None:
    """What is not installed, or None: the apt packages that the daemon needs."""
    if shutil.which("pulseaudio") is None or shutil.which("paplay") is None:
        return "needs apt-get install pulseaudio pulseaudio-utils"
    if not ALSA_CONF.is_file() or not any(Path("/usr/lib").glob("*/alsa-lib/*pcm_pulse.so")):
        return "needs apt-get install libasound2-plugins libportaudio2"
    return None


@dataclass
class Pulse:
    """A running daemon."""

    folder: Path
    process: subprocess.Popen[bytes]
    env: dict[str, str]
    """environment for programs that shall record from, or play into, the line"""

    @classmethod
    def start(cls, folder: Path) -> Pulse:
        """Start a daemon that lives in ``folder``; takes about 0.1 s."""
        runtime = folder / "run"
        runtime.mkdir(mode=0o700)
        socket = folder / "pulse.socket"
        alsa = folder / "asound.conf"
        alsa.write_text(
            f'pcm.!default {{ type pulse server "unix:{socket}" device "line.monitor" }}\n'
            f'ctl.!default {{ type pulse server "unix:{socket}" }}\n'
        )
        env = {
            **os.environ,
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(runtime),
            "PULSE_SERVER": f"unix:{socket}",
            "ALSA_CONFIG_PATH": f"{ALSA_CONF}:{alsa}",
        }
        log = (folder / "pulse.log").open("wb")
        process = subprocess.Popen(
            [
                "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--disable-shm=yes",
                "--use-pid-file=no", "--realtime=no", "--high-priority=no",
                "--load=module-null-sink sink_name=line rate=16000 channels=1",
                f"--load=module-native-protocol-unix socket={socket} auth-anonymous=1",
            ],
            env=env, stdout=log, stderr=log,
        )  # fmt: skip
        log.close()
        pulse = cls(folder, process, env)
        deadline = time.monotonic() + 10
        while subprocess.run(["pactl", "info"], env=env, capture_output=True).returncode:
            if process.poll() is not None or time.monotonic() > deadline:
                pulse.stop()
                raise RuntimeError((folder / "pulse.log").read_text())
            time.sleep(0.02)
        return pulse

    def play(self, wav: Path) -> subprocess.Popen[bytes]:
        """Start to play a file into the line; wait() for the end."""
        return subprocess.Popen(["paplay", "--device=line", str(wav)], env=self.env)

    def pause(self) -> None:
        """Freeze the daemon, as a driver that hangs."""
        self.process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """End it without a word, as if the device was unplugged."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it; may be called after :meth:`kill`."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()
