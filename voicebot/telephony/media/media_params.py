"""How audio over RTP is carried: what a user may set."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from voicebot.params import Params, key
from voicebot.telephony.media.codecs import available
from voicebot.telephony.media.ports import PortPool
from voicebot.telephony.media.sdp_types import Abilities, SrtpMode


class MediaParams(Params):
    """Audio over RTP: addresses, ports, codecs."""

    host: str = key("127.0.0.1", "Address that media sockets are bound to, IPv4 or IPv6.")
    advertise: str = key(
        "", "Address that peers shall send media to, if not `host`: that of the NAT or of the card."
    )
    port_low: int = key(30000, "First UDP port for media.", ge=0, le=65534)
    port_high: int = key(
        39999, "Last UDP port for media; a call takes two for each leg.", ge=0, le=65535
    )
    codecs: list[Literal["PCMU", "PCMA", "G722"]] = key(
        ["PCMU", "PCMA"],
        "Codecs that are taken, and the order of our own offers: PCMU, PCMA, G722 (wideband; "
        "needs the extra `wideband`).",
        min_length=1,
    )
    ptime_ms: int = key(20, "Length of the packets we send.", unit="ms", ge=10, le=60)
    srtp: SrtpMode = key(
        SrtpMode.OPTIONAL,
        "Encryption of media: off refuses it, optional takes it where offered, required refuses "
        "calls without.",
    )
    reorder_ms: int = key(
        60, "How long to wait for a packet that is missing.", unit="ms", ge=0, le=500
    )
    most_gap_seconds: float = key(
        60.0, "Longest silence of a peer that is filled in one piece.", unit="s", gt=0.0, le=600.0
    )
    lock_after: int = key(
        3, "Packets from one address after which no other is listened to.", ge=1, le=100
    )
    keepalive_seconds: float = key(
        10.0, "How often something is sent while nothing is said.", unit="s", gt=0.0, le=300.0
    )
    rtcp_seconds: float = key(5.0, "Mean time between reports to the peer.", unit="s", gt=0.0)

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        # 0.0.0.0 in a session description means hold: nobody would send anything.
        if self.host in ("0.0.0.0", "::") and self.advertise in ("", "0.0.0.0", "::"):
            raise ValueError(f"advertise: needed where host is {self.host}: an address of yours")
        if self.port_low and self.port_low + self.port_low % 2 + 1 > self.port_high:
            raise ValueError("port_high: an even port and the next are needed from port_low on")
        return self

    def abilities(self) -> Abilities:
        """What can be negotiated; codecs whose library is missing are left out and logged once."""
        return Abilities(available(self.codecs), self.ptime_ms, self.srtp)

    def pool(self) -> PortPool:
        """A pool of these ports: one for the whole process."""
        return PortPool(self.port_low, self.port_high, self.host)
