"""The parties of one recorded call, as far as its messages have told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from aiosipua.message import SipRequest

from voicebot.events import Leg
from voicebot.params import Params, key
from voicebot.telephony.faults import Faults
from voicebot.telephony.media.sdp_types import Media
from voicebot.telephony.sip.call_media import SDP
from voicebot.telephony.sip.multipart import MultipartError, Part, first, split
from voicebot.telephony.siprec.siprec_metadata import (
    MetadataError,
    Participant,
    Recording,
    merged,
    parse,
)
from voicebot.telephony.siprec.siprec_roles import Rule, address, assign, sides

METADATA: Final = ("application/rs-metadata+xml", "application/rs-metadata")
_DISPOSITION: Final = "recording-session"


class SiprecParams(Params):
    """Calls that a session border controller or PBX sends to be recorded."""

    agent_patterns: list[str] = key(
        [],
        "Addresses that are agents', as shell patterns against user@host and user: "
        "'*@agents.example.com', '7???'. The stream of a party that matches is the agent's. "
        "Where none tells the parties apart, the metadata of BroadWorks or Oracle decide, else "
        "the first stream is the caller's.",
    )


class Parties:
    """Who is on the call, and on which leg each m-line is.

    Args:
        params: Which parties are agents.
        faults: Counts what is odd.
    """

    def __init__(self, params: SiprecParams, faults: Faults) -> None:
        self._patterns = tuple(params.agent_patterns)
        self._faults = faults
        self._recording: Recording | None = None
        self._rule = Rule.ORDER
        self._labels: dict[Leg, str] = {}
        self.mixed = False
        """one stream carries both"""

    def read(self, message: SipRequest) -> None:
        """Merge the metadata of a message into what is known; malformed ones change nothing."""
        part = self._part(message)
        if part is None:
            return
        try:
            self._recording = merged(self._recording, parse(part.body))
        except MetadataError as error:
            self._faults.count("siprec_metadata_malformed", error=str(error)[:80])

    def assign(self, audio: Sequence[Media], current: Mapping[int, Leg]) -> tuple[Leg | None, ...]:
        """Say who is heard on each m-line.

        Args:
            audio: The m-lines that are sent.
            current: What was said before, by :attr:`Media.index`.  A weaker rule than then
                moves nobody, it only places new m-lines.
        """
        labels = [media.label for media in audio]
        roles = assign(self._recording, labels, self._patterns)
        legs = roles.legs
        if roles.rule < self._rule and current:
            kept = [current.get(media.index) for media in audio]
            for place, leg in enumerate(kept):
                if leg is None:
                    kept[place] = next((free for free in Leg if free not in kept), None)
            legs = tuple(kept)
        else:
            self._rule = roles.rule
        self.mixed = roles.mixed
        if roles.mixed:
            self._faults.count("siprec_mixed", streams=len(labels))
        self._labels = {
            leg: label for leg, label in zip(legs, labels, strict=True) if leg is not None
        }
        return legs

    @property
    def caller(self) -> str:
        """User part of the caller's address; empty if unknown."""
        return _user(self._party(Leg.CALLER))

    @property
    def called(self) -> str:
        """What the caller dialled, or the user part of the agent's address; empty if unknown."""
        recording = self._recording
        if recording is not None and recording.outgoing is False and recording.called:
            return address(recording.called).partition("@")[0]
        return _user(self._party(Leg.AGENT))

    def _party(self, leg: Leg) -> Participant | None:
        if self._recording is None:
            return None
        label = self._labels.get(leg, "")
        senders = self._recording.senders(label) if label else ()
        if len(senders) == 1:
            return senders[0]
        return sides(self._recording, self._patterns).get(leg)

    def _part(self, message: SipRequest) -> Part | None:
        """The metadata of a message."""
        if not message.body:
            return None
        try:
            parts = split(message.content_type or "", message.body)
        except MultipartError:
            self._faults.count("siprec_body_malformed")
            return None
        # BroadWorks has been seen with a damaged type; its disposition tells.
        part = first(parts, *METADATA) or next(
            (p for p in parts if p.disposition == _DISPOSITION and p.kind != SDP), None
        )
        if part is None and self._recording is None:
            self._faults.count("siprec_no_metadata")
        return part


def _user(party: Participant | None) -> str:
    return address(party.aors[0]).partition("@")[0] if party is not None and party.aors else ""
