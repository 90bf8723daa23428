"""What every way of getting a call has in common.

A *gateway* (SIP, SIPREC, AudioSocket, a WebSocket fork, ...) takes calls from
the network.  For each it makes an :class:`Offer` and a :class:`Line`, and asks
the :class:`Reception` for an :class:`Ear`, into which it then pours what is
heard.  So a gateway knows nothing of what is made of the audio, and what is
made of it knows nothing of the network.

Everything here happens on the event loop; nothing may block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from voicebot.errors import VoicebotError
from voicebot.events import Leg, Pcm

TRANSFERRED: Final = "transferred"
"""reason of :meth:`Ear.ended` when the caller talks to the target of a transfer now"""


class LineError(VoicebotError):
    """A gateway cannot be opened: a port is taken, a certificate unreadable, a peer silent."""


class RefusedError(VoicebotError):
    """A call is not taken: too many calls, too much lag, or the daemon is draining.

    Args:
        what: Why, for the log: ``at capacity``, ``lagging``, ``draining``.
        retry_after: When the peer may try again, in seconds.
    """

    def __init__(self, what: str, retry_after: float) -> None:
        super().__init__(what)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Offer:
    """What is known of a call when it arrives."""

    gateway: str
    """``sip``, ``siprec``, ``audiosocket``, ``external_media``, ``freeswitch``, ``twilio``,
    ``jambonz``, ``audiohook``"""
    reference: str
    """the peer's own name for the call: Call-ID, CallSid, UUID, ..."""
    peer: str
    """``host:port`` that sends it"""
    legs: tuple[Leg, ...]
    rate: int
    """Hz, of every leg: 8000 or 16000"""
    called: str = ""
    """number or user that was dialled; chooses the queue"""
    caller: str = ""
    """number or user that calls, as signalled; personal data, never logged"""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """what the peer said besides: SIP headers ``x-...`` in lower case, custom stream parameters"""


@dataclass(frozen=True, slots=True)
class MediaFigures:
    """How well the audio of one leg arrives."""

    codec: str = ""
    packets: int = 0
    """received, those below included"""
    lost: int = 0
    late: int = 0
    """came after their place had been concealed"""
    duplicates: int = 0
    strangers: int = 0
    """from an address that is not the peer's, or of an unknown payload type: dropped"""
    jitter: float = 0.0
    """s; interarrival jitter, RFC 3550 section 6.4.1"""
    concealed: float = 0.0
    """s of audio that was made up for lost packets"""


class TransferResult(StrEnum):
    """How an attempt to hand the caller over ended."""

    DONE = "done"
    """the caller talks to the target"""
    BUSY = "busy"
    DECLINED = "declined"
    NO_ANSWER = "no_answer"
    UNREACHABLE = "unreachable"
    """nobody is registered there, no route, or the peer is dead"""
    TIMEOUT = "timeout"
    """nobody said how it ended"""
    UNSUPPORTED = "unsupported"
    """this line cannot transfer"""
    GONE = "gone"
    """the caller hung up meanwhile"""


@dataclass(frozen=True, slots=True)
class Transferred:
    """The end of one attempt to transfer."""

    result: TransferResult
    detail: str = ""
    """for people: the peer's own words, such as ``486 Busy Here``"""


@dataclass(frozen=True, slots=True)
class Briefing:
    """What travels with a transferred call."""

    alert_id: str
    url: str
    """where the agent reads why; empty if there is no such page"""
    reason: str
    """``persistent_anger`` or the name of a rule"""


class Ear(Protocol):
    """Takes what a line hears of one call."""

    def audio(self, leg: Leg, pcm: Pcm, *, concealed: bool = False) -> None:
        """Take the next audio of a leg; a gateway fills gaps that it knows of itself.

        Args:
            leg: One of the offer's legs.
            pcm: Any length, at the offer's rate.
            concealed: Whether it was made up for packets that are lost.
        """
        ...

    def digit(self, leg: Leg, digit: str, seconds: float) -> None:
        """Take one DTMF digit: ``0``-``9``, ``*``, ``#``, ``A``-``D``; and how long it lasted."""
        ...

    def held(self, leg: Leg, held: bool) -> None:
        """The leg was put on hold or is back; meanwhile its silence is no dead line."""
        ...

    def ended(self, reason: str) -> None:
        """Nothing more comes.  May be called twice.

        Args:
            reason: ``hangup``, ``transferred``, ``line_lost``, ``line_error``, ...
        """
        ...


class Line(Protocol):
    """What can be done with a call at the phone side."""

    @property
    def can_speak(self) -> bool:
        """Whether :meth:`play` reaches the caller."""
        ...

    def figures(self) -> Mapping[Leg, MediaFigures]:
        """How well the audio arrives, by leg; empty if the transport never loses any."""
        ...

    async def play(self, pcm: Pcm) -> None:
        """Say something to the caller; returns when it was said, at the pace of speech.

        To be cancelled if it shall stop.  Returns at once where :attr:`can_speak` is False.

        Args:
            pcm: At the offer's rate.
        """
        ...

    async def transfer(self, target: str, briefing: Briefing) -> Transferred:
        """Hand the caller over; never raises for what a peer may do.

        Args:
            target: As configured for the queue: a SIP URI, an extension, a phone number.
            briefing: What the agent is told.
        """
        ...

    async def hang_up(self, reason: str) -> None:
        """End the call; the ear is told by :meth:`Ear.ended`.

        Args:
            reason: As in :meth:`Ear.ended`.
        """
        ...


class Reception(Protocol):
    """Takes calls in."""

    def receive(self, offer: Offer, line: Line) -> Ear:
        """Take a call.

        Raises:
            RefusedError: not now.
        """
        ...


class Gateway(Protocol):
    """A way for calls to come in.  Its own parameters are given when it is made."""

    @property
    def name(self) -> str:
        """As in :attr:`Offer.gateway`."""
        ...

    @property
    def counters(self) -> Mapping[str, int]:
        """What was dropped or refused, and other things worth counting, by name."""
        ...

    async def start(self) -> None:
        """Open the door.

        Raises:
            LineError: that is not possible.
        """
        ...

    async def close(self) -> None:
        """Close the door, and end the calls that are left.  May be called twice."""
        ...
