"""Recording metadata of several makers, updates to it, and what cannot be read."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.telephony import siprec_samples as samples
from voicebot.telephony.siprec.siprec_metadata import (
    MAX_ENTRIES,
    MetadataError,
    Participant,
    Recording,
    Stream,
    merged,
    parse,
)


def test_the_example_of_rfc_7865() -> None:
    recording = parse(samples.RFC7865)
    alice, bob = recording.participants.values()
    assert alice == Participant(
        "srfBElmCRp2QB23b7Mpk0w==",
        aors=("sip:alice@atlanta.com",),
        names=("Alice",),
        sends=("UAAMm5GRQKSCMVvLyl4rFw==",),
        receives=("i1Pz3to5hGk8fuXl+PbwCw==",),
    )
    assert [stream.label for stream in recording.streams.values()] == ["96", "97"]
    assert recording.senders("96") == (alice,)
    assert recording.senders("97") == (bob,)
    assert recording.senders("98") == ()
    assert recording.complete
    assert not recording.ended


def test_oracle_in_the_namespace_before_the_rfc() -> None:
    recording = parse(samples.ORACLE)
    assert [p.calling for p in recording.participants.values()] == [True, False]
    (agent,) = recording.senders("201835600")
    assert agent.aors == ("sip:33100000021@sip.example.net",)


def test_ribbon_with_a_prefix_and_the_streams_crossed() -> None:
    recording = parse(samples.RIBBON)
    assert recording.senders("1")[0].aors == ("8012@192.0.2.72",)
    assert recording.senders("2")[0].names == ("Extension 8500",)


@pytest.mark.parametrize(
    ("namespace", "root"),
    [
        ("urn:ietf:params:xml:ns:siprec", "recording_metadata"),
        ("urn:ietf:params:xml:ns:recording", "recording"),
        ("", "recording"),
    ],
)
def test_broadworks(namespace: str, root: str) -> None:
    recording = parse(samples.broadworks(namespace=namespace, root=root))
    assert recording.senders("1")[0].aors == ("sip:agent1@as.example.net",)
    assert recording.senders("2")[0].aors == ("sip:7663@as.example.net;user=phone",)
    assert recording.user == "agent1@as.example.net"
    assert recording.calling == "sip:+12025550101@as.example.net"
    assert recording.outgoing is True
    assert not recording.streams["urn:uuid:S1"].mixed
    assert parse(samples.broadworks(way="termCall")).outgoing is False


def test_broadworks_mixed() -> None:
    recording = parse(samples.broadworks(mixed=True))
    assert recording.streams == {"urn:uuid:S1": Stream("urn:uuid:S1", "1", mixed=True)}
    assert len(recording.senders("1")) == 2


def partial(inner: str) -> bytes:
    return (
        "<recording xmlns='urn:ietf:params:xml:ns:recording:1'><datamode>Partial</datamode>"
        f"{inner}</recording>"
    ).encode()


ALICE, BOB = "srfBElmCRp2QB23b7Mpk0w==", "zSfPoSvdSDCmU3A3TRDxAw=="


def test_a_partial_update_adds_a_party_and_a_stream() -> None:
    before = parse(samples.RFC7865)
    update = parse(
        partial(
            "<participant participant_id='C'><nameID aor='sip:carol@x'/></participant>"
            "<stream stream_id='s3'><label>98</label></stream>"
            "<participantstreamassoc participant_id='C'><send>s3</send></participantstreamassoc>"
        )
    )
    after = merged(before, update)
    assert not update.complete
    assert after.complete
    assert after.senders("98")[0].aors == ("sip:carol@x",)
    assert after.senders("96") == before.senders("96")


def test_a_partial_update_changes_only_what_it_names() -> None:
    before = parse(samples.RFC7865)
    after = merged(
        before,
        parse(
            partial(
                f"<participantstreamassoc participant_id='{ALICE}'><send>i1Pz3to5hGk8fuXl+PbwCw=="
                "</send></participantstreamassoc>"
                f"<participant participant_id='{BOB}'><nameID aor='sip:rob@x'/></participant>"
            )
        ),
    )
    assert after.participants[ALICE].aors == ("sip:alice@atlanta.com",)
    assert after.participants[BOB].aors == ("sip:rob@x",)
    assert after.participants[BOB].names == ("Bob",)
    assert {p.id for p in after.senders("97")} == {ALICE, BOB}
    assert after.senders("96") == ()


def test_who_leaves_is_gone() -> None:
    before = parse(samples.RFC7865)
    update = parse(
        partial(
            f"<participantsessionassoc participant_id='{BOB}' session_id='s'>"
            "<disassociate-time>2010-12-16T23:51:07Z</disassociate-time></participantsessionassoc>"
        )
    )
    after = merged(before, update)
    assert list(after.participants) == [ALICE]
    assert after.gone == frozenset()
    draft = parse(
        partial(f"<participant id='{ALICE}'><disassociate-time>x</disassociate-time></participant>")
    )
    assert list(merged(after, draft).participants) == []


def test_an_association_that_ended_tells_nothing() -> None:
    update = parse(
        partial(
            "<participantstreamassoc participant_id='A'><send>s</send>"
            "<disassociate-time>x</disassociate-time></participantstreamassoc>"
        )
    )
    assert update.participants == {}


def test_a_complete_update_replaces_everything() -> None:
    after = merged(parse(samples.RFC7865), parse(samples.ORACLE))
    assert after == parse(samples.ORACLE)
    assert merged(None, parse(partial(""))) == Recording()


def test_the_session_ends() -> None:
    over = partial("<session session_id='a'><stop-time>2010-12-16T23:41:07Z</stop-time></session>")
    assert merged(parse(samples.RFC7865), parse(over)).ended
    one_of_two = over.replace(b"<session ", b"<session session_id='b'/><session ", 1)
    assert not parse(one_of_two).ended


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"v=0",
        b"<a/>",
        b"<recording xmlns='urn:example'/>",
        b"<recording xmlns='urn:ietf:params:xml:ns:recording:1'>",
        b"<!DOCTYPE recording><recording/>",
    ],
)
def test_what_is_no_metadata(document: bytes) -> None:
    with pytest.raises(MetadataError):
        parse(document)


def test_parties_are_bounded_over_all_updates() -> None:
    def crowd(begin: int, size: int) -> bytes:
        return partial("".join(f"<participant id='{begin + i}'/>" for i in range(size)))

    with pytest.raises(MetadataError, match="participants"):
        parse(crowd(0, MAX_ENTRIES + 1))
    before = merged(None, parse(crowd(0, MAX_ENTRIES)))
    with pytest.raises(MetadataError, match="participants"):
        merged(before, parse(crowd(1000, 1)))


WORDS = st.sampled_from(
    ["<recording>", "</recording>", "<participant id='1'>", "</participant>", "<send>", "</send>",
     "<stream id='1'>", "</stream>", "<label>", "</label>", "<nameID aor='a'/>", "<datamode>",
     "</datamode>", "partial", "&amp;", "&x;", "<!--", "-->", "<session/>", "x", " "]
)  # fmt: skip


@given(st.lists(WORDS, max_size=40).map("".join))
def test_nothing_but_metadata_errors_is_raised(inner: str) -> None:
    for document in (f"<recording>{inner}</recording>", inner):
        with contextlib.suppress(MetadataError):
            merged(parse(samples.RFC7865), parse(document.encode()))


@given(st.data())
def test_a_document_with_bytes_changed(data: st.DataObject) -> None:
    document = bytearray(samples.BROADWORKS)
    for _ in range(data.draw(st.integers(1, 5))):
        document[data.draw(st.integers(0, len(document) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MetadataError):
        parse(bytes(document))
