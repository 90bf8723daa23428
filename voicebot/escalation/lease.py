"""Who holds a lease: naming a process so that others can tell whether it is still there."""

from __future__ import annotations

import os
import socket
import uuid
from pathlib import Path


def new_owner() -> str:
    """A name for one leaseholder in this process, unlike any other.

    It holds the machine, the process id and when the process started, so that
    a process which got the id later is not taken for it.
    """
    process = f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"
    return f"{process}/{uuid.uuid4().hex[:8]}"


def is_gone(owner: str) -> bool:
    """Whether the process of a leaseholder is surely no more.

    False where it cannot be known (another machine, or a system without
    ``/proc``): then the lease has to run out.
    """
    host, pid, started = owner.rpartition("/")[0].rsplit(":", 2)
    if host != socket.gethostname() or not started:
        return False
    return _started(int(pid)) != started


def _started(pid: int) -> str:
    """When a process started, in clock ticks since boot; empty where unknown."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]
