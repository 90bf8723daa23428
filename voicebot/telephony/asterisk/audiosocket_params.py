"""What can be set for calls by AudioSocket."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, Self

from pydantic import model_validator

from voicebot.params import Params, key


@dataclass(frozen=True, slots=True)
class Door:
    """Where one queue's calls come in."""

    queue: str
    host: str
    port: int


_DOOR: Final = re.compile(r"(?:([\w.+-]{1,64})=)?(\[[0-9a-fA-F:.]+\]|[\w.-]+):([0-9]{1,5})")


def read_door(text: str) -> Door:
    """Read ``[QUEUE=]HOST:PORT``.

    Raises:
        ValueError: something else.
    """
    match = _DOOR.fullmatch(text)
    if match is None or int(match[3]) > 65535:
        raise ValueError(f"{text!r}: write HOST:PORT or QUEUE=HOST:PORT")
    return Door(match[1] or "", match[2].strip("[]"), int(match[3]))


class AudioSocketParams(Params):
    """Calls from Asterisk's AudioSocket (docs/integrations/asterisk-audiosocket.md)."""

    enabled: bool = key(False, "Whether calls are taken this way.")
    listen: list[str] = key(
        ["127.0.0.1:9092"],
        "Where to listen: HOST:PORT, or QUEUE=HOST:PORT for calls of one queue, since the protocol "
        "does not say which number was dialled. It is not encrypted: keep it on one machine or in "
        "a private network.",
    )
    allow: list[str] = key(
        ["127.0.0.0/8", "::1/128"],
        "Networks (CIDR) of the exchanges that may connect; others are cut off at once.",
    )
    max_connections: int = key(
        200, "Connections at once, calls that are not yet taken included.", ge=1, le=10000
    )
    first_seconds: float = key(
        5.0, "The UUID must have come after so long, and audio after it.", unit="s", gt=0, le=60
    )
    idle_seconds: float = key(
        30.0, "A connection without a frame for so long is closed.", unit="s", gt=0, le=3600
    )
    write_seconds: float = key(
        5.0, "A peer that takes no audio for so long is cut off.", unit="s", gt=0, le=60
    )
    return_seconds: float = key(
        10.0,
        "After a transfer that failed, the dialplan may bring the caller back (AudioSocket with "
        "the same UUID) for so long before the call counts as ended.",
        unit="s", ge=0, le=300,
    )  # fmt: skip
    ahead_seconds: float = key(
        5.0,
        "How much more audio a peer may send than time has passed, before it is read slower.",
        unit="s", ge=0.1, le=60,
    )  # fmt: skip

    @model_validator(mode="after")
    def _readable(self) -> Self:
        self.doors()
        self.networks()
        if self.enabled and not self.listen:
            raise ValueError("listen names no address")
        return self

    def doors(self) -> list[Door]:
        """:attr:`listen`, read."""
        return [read_door(text) for text in self.listen]

    def networks(self) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
        """:attr:`allow`, read."""
        return [ipaddress.ip_network(text, strict=False) for text in self.allow]
