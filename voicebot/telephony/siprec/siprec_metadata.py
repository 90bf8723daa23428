"""Who speaks on which stream of a recorded call: the metadata of SIPREC.

RFC 7865 in its namespace ``urn:ietf:params:xml:ns:recording:1``, and what went
before it and is still sent: Oracle and Ribbon with ``urn:ietf:params:xml:ns:recording``,
BroadWorks with that or ``urn:ietf:params:xml:ns:siprec`` and ``recording_metadata``
as the root.  The drafts name identifiers ``id`` (now ``participant_id``, ...) and put
``send`` into ``participant`` (now into ``participantstreamassoc``).

What the roles of the parties are is for :mod:`voicebot.telephony.siprec.siprec_roles` to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from voicebot.telephony.siprec.xml_tree import Element, XmlError, parse_xml

NAMESPACES: Final = (
    "urn:ietf:params:xml:ns:recording:1",
    "urn:ietf:params:xml:ns:recording",
    "urn:ietf:params:xml:ns:siprec",
    "",
)
ROOTS: Final = ("recording", "recording_metadata")
MAX_ENTRIES: Final = 64
"""participants, and streams, of one recording"""


class MetadataError(ValueError):
    """A metadata document is malformed, of another kind, or goes beyond a limit."""


@dataclass(frozen=True, slots=True)
class Participant:
    """A party of the recorded call."""

    id: str
    aors: tuple[str, ...] = ()
    """addresses, as sent: SIP URIs, or what the peer takes for one; personal data, never logged"""
    names: tuple[str, ...] = ()
    calling: bool | None = None
    """Oracle's ``callingParty``: whether this party made the call; None if not said"""
    sends: tuple[str, ...] = ()
    """ids of the streams this party is heard on"""
    receives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stream:
    """One m-line, as the metadata names it."""

    id: str
    label: str
    """``a=label`` of the m-line"""
    mixed: bool = False
    """BroadWorks' ``mode``: all parties in one stream"""


@dataclass(frozen=True, slots=True)
class Recording:
    """Everything that is known of a recorded call so far."""

    complete: bool = True
    """False: only what has changed (``dataMode`` partial)"""
    participants: Mapping[str, Participant] = field(default_factory=dict)
    """by id, in the order of their appearance"""
    streams: Mapping[str, Stream] = field(default_factory=dict)
    """by id, in the order of their appearance"""
    gone: frozenset[str] = frozenset()
    """ids of participants that left (a disassociate-time), in a partial update"""
    ended: bool = False
    """the session has a stop time: the call is over, the dialog may stay"""
    user: str = ""
    """BroadWorks' ``userID``: the subscriber whose calls are recorded"""
    calling: str = ""
    """BroadWorks' ``callingPartyNumber``"""
    called: str = ""
    """BroadWorks' ``calledPartyNumber``"""
    outgoing: bool | None = None
    """BroadWorks' ``callType``: whether the subscriber made the call (``origCall``)"""

    def senders(self, label: str) -> tuple[Participant, ...]:
        """Who is heard on the m-line with this label."""
        ids = {stream.id for stream in self.streams.values() if stream.label == label}
        return tuple(p for p in self.participants.values() if ids.intersection(p.sends))


def parse(document: bytes) -> Recording:
    """Read a metadata document.

    Args:
        document: XML, as in the body part ``application/rs-metadata+xml``.

    Raises:
        MetadataError: it cannot be read.
    """
    try:
        root = parse_xml(document, NAMESPACES)
    except XmlError as error:
        raise MetadataError(str(error)) from error
    if root.name not in ROOTS or not root.known:
        raise MetadataError("the root is no recording of a known namespace")
    mode = next((e.value().lower() for e in root.all("datamode")), "complete")
    sends, receives = _associations(root)
    gone = {
        assoc.attribute("participant_id", "id")
        for assoc in root.all("participantsessionassoc")
        if any(assoc.all("disassociate-time"))
    }
    people: dict[str, Participant] = {}
    for element in root.all("participant"):
        person = _participant(element)
        people[person.id] = replace(
            person,
            sends=(*person.sends, *sends.pop(person.id, ())),
            receives=(*person.receives, *receives.pop(person.id, ())),
        )
        if any(element.all("disassociate-time")):
            gone.add(person.id)
    for id_ in (*sends, *receives):  # a partial update may name only the association
        known = people.get(id_, Participant(id_))
        people[id_] = replace(known, sends=sends.get(id_, ()), receives=receives.get(id_, ()))
    sessions = list(root.all("session"))
    recording = Recording(
        complete=mode != "partial",
        participants={id_: person for id_, person in people.items() if id_ and id_ not in gone},
        streams={s.id: s for s in map(_stream, root.all("stream")) if s.id},
        gone=frozenset(gone),
        ended=bool(sessions) and all(any(s.all("stop-time", "end-time")) for s in sessions),
    )
    return _checked(_broadworks(root, recording))


def merged(before: Recording | None, update: Recording) -> Recording:
    """What is known after an update.

    A complete one replaces everything.  A partial one replaces the participants
    and streams that it names, adds new ones, and takes away those that left;
    what it does not say of a participant stays (RFC 7865 section 6.1.2).

    Raises:
        MetadataError: that would be more than is kept.
    """
    if before is None or update.complete:
        return replace(update, complete=True, gone=frozenset())
    people = {id_: p for id_, p in before.participants.items() if id_ not in update.gone}
    for id_, new in update.participants.items():
        old = people.get(id_, new)
        people[id_] = Participant(
            id=id_,
            aors=new.aors or old.aors,
            names=new.names or old.names,
            calling=old.calling if new.calling is None else new.calling,
            sends=new.sends or old.sends,
            receives=new.receives or old.receives,
        )
    return _checked(
        Recording(
            participants=people,
            streams={**before.streams, **update.streams},
            ended=update.ended,
            user=update.user or before.user,
            calling=update.calling or before.calling,
            called=update.called or before.called,
            outgoing=before.outgoing if update.outgoing is None else update.outgoing,
        )
    )


def _checked(recording: Recording) -> Recording:
    if max(len(recording.participants), len(recording.streams)) > MAX_ENTRIES:
        raise MetadataError(f"more than {MAX_ENTRIES} participants or streams")
    return recording


_Ids = dict[str, tuple[str, ...]]


def _associations(root: Element) -> tuple[_Ids, _Ids]:
    """Streams that each participant sends and receives, RFC 7865 section 6.1.2."""
    sends: _Ids = {}
    receives: _Ids = {}
    for assoc in root.all("participantstreamassoc"):
        if any(assoc.all("disassociate-time")):
            continue
        id_ = assoc.attribute("participant_id", "id")
        for ids, names in ((sends, ("send",)), (receives, ("recv", "receive"))):
            found = tuple(e.value() for e in assoc.all(*names))
            if found:
                ids[id_] = (*ids.get(id_, ()), *found)
    return sends, receives


def _participant(element: Element) -> Participant:
    names = list(element.all("nameid"))
    aors = [n.attribute("aor") for n in names] + [a.value() for a in element.all("aor")]
    labels = [e.value() for n in names for e in n.all("name")]
    calling = element.below("callingparty")
    return Participant(
        id=element.attribute("participant_id", "id"),
        aors=tuple(a for a in aors if a),
        names=tuple(n for n in labels if n),
        calling=None if calling is None else calling.value().lower() == "true",
        sends=tuple(e.value() for e in element.all("send")),
        receives=tuple(e.value() for e in element.all("recv", "receive")),
    )


def _stream(element: Element) -> Stream:
    return Stream(
        id=element.attribute("stream_id", "id"),
        label=next((e.value() for e in element.all("label")), ""),
        mixed=any(e.value().lower() == "mixed" for e in element.all("mode")),
    )


def _broadworks(root: Element, recording: Recording) -> Recording:
    """Add what BroadWorks says in its own schema (``broadworksCallRecording``)."""
    said = root.below("broadworksrecordingmetadata")
    if said is None:
        return recording
    way = said.below("calltype")
    kind = way.children[0] if way is not None and way.children else None

    def text(element: Element | None, name: str) -> str:
        found = None if element is None else element.below(name)
        return "" if found is None else found.value()

    return replace(
        recording,
        user=text(said, "userid"),
        calling=text(kind, "callingpartynumber"),
        called=text(kind, "calledpartynumber"),
        outgoing=None if kind is None else kind.name == "origcall",
    )
