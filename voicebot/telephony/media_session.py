"""One leg of audio over RTP: the sockets, and what goes in and out of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from voicebot.events import Pcm
from voicebot.params import Params, key
from voicebot.telephony.line import MediaFigures
from voicebot.telephony.ports import PortPool
from voicebot.telephony.sdp_types import Abilities, Direction, LocalMedia, Negotiated, SrtpMode


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
    codecs: list[str] = key(
        ["PCMU", "PCMA"],
        "Codecs that are taken, and the order of our own offers: PCMU, PCMA, G722 (wideband; "
        "needs the extra `wideband`).",
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

    def abilities(self) -> Abilities:
        """What can be negotiated; codecs whose library is missing are left out and logged once."""
        raise NotImplementedError

    def pool(self) -> PortPool:
        """A pool of these ports: one for the whole process."""
        return PortPool(self.port_low, self.port_high, self.host)


class MediaSession:
    """One m-line: opened before the description is written, set up by :meth:`apply`."""

    last_heard: float
    """loop time of the last packet that was accepted; of :meth:`open` before the first"""
    counters: Counter[str]
    """``rtp_malformed``, ``rtp_strangers``, ``rtp_unknown_payload``, ``srtp_rejected``, ..."""

    @classmethod
    async def open(
        cls,
        params: MediaParams,
        pool: PortPool,
        heard: Callable[[Pcm, bool], None],
        digit: Callable[[str, float], None],
    ) -> MediaSession:
        """Take a pair of ports and begin to listen.

        Args:
            params: ...
            pool: Shared by all sessions.
            heard: Given every piece of audio at :attr:`rate`, in order, and whether it is
                concealed (made up for lost packets).  Never called before :meth:`apply`.
            digit: Given each DTMF digit and how long it lasted in s.

        Raises:
            NoPortError: the range is exhausted.
        """
        raise NotImplementedError

    @property
    def rate(self) -> int:
        """Hz of what is heard and played: 8000 or 16000."""
        raise NotImplementedError

    @property
    def port(self) -> int:
        """Our RTP port; RTCP has the next."""
        raise NotImplementedError

    @property
    def negotiated(self) -> Negotiated | None:
        """What :meth:`apply` was given last."""
        raise NotImplementedError

    @property
    def direction(self) -> Direction:
        """Ours; INACTIVE before :meth:`apply`."""
        raise NotImplementedError

    @property
    def on_hold(self) -> bool:
        """Whether the peer put us on hold."""
        raise NotImplementedError

    def local(self, direction: Direction = Direction.SENDRECV, label: str = "") -> LocalMedia:
        """Our side, for :func:`voicebot.telephony.sdp.answer` and ``build_offer``."""
        raise NotImplementedError

    def apply(self, negotiated: Negotiated) -> None:
        """Set codec, payload types, peer's address, keys and direction; again on re-INVITE.

        Raises:
            ValueError: the rate would change in the middle of a call.
        """
        raise NotImplementedError

    def figures(self) -> MediaFigures:
        """How well the audio arrives."""
        raise NotImplementedError

    async def play(self, pcm: Pcm) -> None:
        """Say something; returns when the last packet was sent.  To be cancelled if it shall stop.

        Returns at once if we may not send.  Two at a time are said one after the other.

        Args:
            pcm: At :attr:`rate`.
        """
        raise NotImplementedError

    def send(self, pcm: Pcm) -> None:
        """Pass on audio that comes at its own pace, as in a bridge; what fills no packet waits.

        Dropped while :meth:`play` is speaking, or if we may not send.
        """
        raise NotImplementedError

    async def send_digit(self, digit: str, seconds: float = 0.16) -> bool:
        """Send a DTMF digit; False if telephone events were not negotiated."""
        raise NotImplementedError

    async def close(self) -> None:
        """Say goodbye by RTCP, release ports and timers.  May be called twice."""
        raise NotImplementedError
