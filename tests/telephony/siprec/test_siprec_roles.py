"""Who is the caller, by what real recording clients say."""

from collections.abc import Mapping

import pytest

from tests.telephony import siprec_samples as samples
from voicebot.events import Leg
from voicebot.telephony.siprec.siprec_metadata import Participant, Recording, Stream, parse
from voicebot.telephony.siprec.siprec_roles import Rule, address, assign

CALLER, AGENT = Leg.CALLER, Leg.AGENT


def recording(
    sends: Mapping[str, tuple[str, ...]], calling: str = "", mixed: tuple[str, ...] = ()
) -> Recording:
    """Parties by address, and the labels of the streams that they send."""
    labels = dict.fromkeys(label for sent in sends.values() for label in sent)
    return Recording(
        participants={
            aor: Participant(
                aor, aors=(f"sip:{aor}",), sends=sent, calling=aor == calling if calling else None
            )
            for aor, sent in sends.items()
        },
        streams={label: Stream(label, label, mixed=label in mixed) for label in labels},
    )


def test_without_metadata_the_first_stream_is_the_caller() -> None:
    roles = assign(None, ["1", "2"], ["*@agents"])
    assert (roles.legs, roles.mixed, roles.rule) == ((CALLER, AGENT), False, Rule.ORDER)


def test_by_order_where_nothing_else_tells() -> None:
    calls = recording({"bob@b": ("2",), "alice@a": ("1",)})
    assert assign(calls, ["1", "2"], []).legs == (CALLER, AGENT)
    assert assign(calls, ["", ""], []).legs == (CALLER, AGENT)


@pytest.mark.parametrize("pattern", ["*@agents.example.com", "7???", "7???@*", "7001@Agents.*"])
def test_a_pattern_of_agents_decides_first(pattern: str) -> None:
    calls = recording(
        {"7001@agents.example.com": ("1",), "4930123456@gw": ("2",)},
        calling="7001@agents.example.com",
    )
    roles = assign(calls, ["1", "2"], ["nobody", pattern])
    assert (roles.legs, roles.rule) == ((AGENT, CALLER), Rule.PATTERNS)


def test_a_pattern_that_takes_everybody_or_nobody_tells_nothing() -> None:
    calls = recording({"7001@a": ("1",), "7002@a": ("2",)}, calling="7002@a")
    for patterns in (["7*"], ["8*"], []):
        roles = assign(calls, ["1", "2"], patterns)
        assert (roles.legs, roles.rule) == ((AGENT, CALLER), Rule.CALLING_PARTY)


def test_oracle_says_who_called() -> None:
    calls = parse(samples.ORACLE)
    assert assign(calls, ["201835599", "201835600"], []).legs == (CALLER, AGENT)
    assert assign(calls, ["201835600", "201835599"], []).legs == (AGENT, CALLER)


def test_broadworks_records_the_calls_of_a_subscriber() -> None:
    outgoing = assign(parse(samples.BROADWORKS), ["1", "2"], [])
    assert (outgoing.legs, outgoing.rule) == ((AGENT, CALLER), Rule.SUBSCRIBER)
    incoming = assign(parse(samples.broadworks(way="termCall")), ["1", "2"], [])
    assert (incoming.legs, incoming.rule) == ((AGENT, CALLER), Rule.SUBSCRIBER)


@pytest.mark.parametrize(
    ("way", "legs"), [("origCall", (AGENT, CALLER)), ("termCall", (CALLER, AGENT))]
)
def test_broadworks_by_the_way_of_the_call(way: str, legs: tuple[Leg, Leg]) -> None:
    document = samples.broadworks(
        way=way, user="somebody@else", calling="sip:1111@a", called="sip:2222@a"
    )
    document = document.replace(b"sip:agent1@as.example.net</aor>", b"sip:1111@10.0.0.1</aor>")
    document = document.replace(b"sip:7663@as.example.net;user=phone</aor>", b"2222@x</aor>")
    roles = assign(parse(document), ["1", "2"], [])
    assert (roles.legs, roles.rule) == (legs, Rule.SUBSCRIBER)


def test_one_stream_of_both_is_the_callers_alone() -> None:
    for calls in (
        parse(samples.broadworks(mixed=True)),
        recording({"alice": ("1",), "bob": ("1",)}),
        recording({"alice": (), "bob": ()}),
        None,
    ):
        roles = assign(calls, ["1"], [])
        assert (roles.legs, roles.mixed) == ((CALLER,), True)


def test_one_stream_of_one_party_is_not_mixed() -> None:
    both = recording({"alice": ("1",), "bob": ("2",)})
    assert assign(both, ["1"], ["bob"]).legs == (CALLER,)
    assert assign(both, ["2"], ["bob"]).legs == (AGENT,)
    roles = assign(recording({"alice": ("1",)}), ["1"], [])
    assert (roles.legs, roles.mixed) == ((CALLER,), False)


def test_a_third_stream_with_everybody_in_it_is_not_wanted() -> None:
    calls = recording({"alice": ("1", "mix"), "bob": ("2", "mix")})
    for patterns in (["bob"], []):
        assert assign(calls, ["1", "2", "mix"], patterns).legs == (CALLER, AGENT, None)
        assert assign(calls, ["mix", "1", "2"], patterns).legs == (None, CALLER, AGENT)
    by_mode = recording({"alice": ("1",), "bob": ("2",)}, mixed=("3",))
    by_mode = Recording(
        participants=by_mode.participants,
        streams={**by_mode.streams, "3": Stream("3", "3", mixed=True)},
    )
    assert assign(by_mode, ["3", "1", "2"], []).legs == (None, CALLER, AGENT)


def test_a_third_party_gets_no_leg() -> None:
    calls = recording({"alice": ("1",), "bob": ("2",), "carol": ("3",)})
    assert assign(calls, ["1", "2", "3"], ["bob", "carol"]).legs == (CALLER, AGENT, None)
    assert assign(calls, ["2", "3"], ["bob", "carol"]).legs == (AGENT, None)
    assert assign(calls, ["1", "2", "3"], []).legs == (CALLER, AGENT, None)


def test_more_than_one_stream_of_everybody() -> None:
    calls = recording({"alice": ("1", "2"), "bob": ("1", "2")})
    roles = assign(calls, ["1", "2"], ["bob"])
    assert (roles.legs, roles.mixed) == ((CALLER, None), True)


def test_no_stream_at_all() -> None:
    assert assign(None, [], []).legs == ()


@pytest.mark.parametrize(
    ("aor", "plain"),
    [
        ("sip:+4912@Host.example:5060;user=phone", "+4912@host.example"),
        ("<sips:a@b?x=y>", "a@b"),
        ("tel:+4912", "+4912"),
        ("2249888500@172.16.198.55", "2249888500@172.16.198.55"),
        ("sip:7001", "7001"),
        ("", ""),
    ],
)
def test_address(aor: str, plain: str) -> None:
    assert address(aor) == plain
