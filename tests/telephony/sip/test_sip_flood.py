from __future__ import annotations

from collections import Counter

import pytest

from voicebot.telephony.sip import sip_flood
from voicebot.telephony.sip.sip_flood import AllowList, Gate, TokenBucket, in_known_call

OPTIONS = b"OPTIONS sip:a@h SIP/2.0\r\nTo: <sip:a@h>\r\nFrom: <sip:b@h>;tag=1\r\n\r\n"
BYE = b"BYE sip:a@h SIP/2.0\r\nFrom: <sip:b@h>;tag=1\r\nt : <sip:a@h> ; tag = 2\r\n\r\n"


def gate(per_source: float = 10, in_all: float = 1000) -> tuple[Gate, Counter[str], list[float]]:
    now = [0.0]
    counters: Counter[str] = Counter()
    networks = ["10.0.0.0/8", "2001:db8::/32"]
    return Gate(networks, per_source, in_all, counters, lambda: now[0]), counters, now


def test_only_the_networks_named() -> None:
    allow = AllowList(["127.0.0.0/8", "::1/128"])
    assert allow.allows("127.3.2.1")
    assert allow.allows("::1")
    assert allow.allows("::ffff:127.0.0.1")
    assert not allow.allows("192.0.2.1")
    assert not allow.allows("nonsense")


def test_a_network_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match="10.0.0.0/99"):
        AllowList(["10.0.0.0/99"])


def test_bucket_fills_again() -> None:
    bucket = TokenBucket(2.0, 0.0)
    assert [bucket.take(0.0) for _ in range(5)] == [True] * 4 + [False]
    assert bucket.take(0.6)
    assert not bucket.take(0.6)


def test_glance_at_the_to_tag() -> None:
    assert in_known_call(BYE)
    assert in_known_call(b"SIP/2.0 200 OK\r\n")
    assert in_known_call(b"CANCEL sip:a@h SIP/2.0\r\n")
    assert not in_known_call(OPTIONS)


def test_strangers_are_counted() -> None:
    door, counters, _ = gate()
    assert not door.admits("192.0.2.1", OPTIONS)
    assert counters == {"sip_not_allowed": 1}


def test_peers_that_we_call_are_let_in() -> None:
    door, _, _ = gate()
    door.trust("192.0.2.1")
    assert door.admits("192.0.2.1", b"SIP/2.0 200 OK\r\n")


def test_a_flood_of_new_requests_does_not_keep_a_bye_out() -> None:
    door, counters, _ = gate(per_source=10)
    admitted = sum(door.admits("10.0.0.1", OPTIONS) for _ in range(1000))
    assert admitted == 20
    assert counters["sip_limited"] == 980
    assert door.admits("10.0.0.1", BYE)
    assert door.admits("10.0.0.2", OPTIONS), "another source has a bucket of its own"


def test_a_flood_with_to_tags_has_its_limit_too() -> None:
    door, counters, _ = gate(per_source=10)
    assert sum(door.admits("10.0.0.1", BYE) for _ in range(1000)) == 400
    assert counters["sip_limited_in_calls"] == 600


def test_all_sources_together() -> None:
    door, counters, now = gate(per_source=10, in_all=20)
    admitted = sum(door.admits(f"10.0.{i}.1", OPTIONS) for i in range(100))
    assert admitted == 40
    assert counters["sip_limited"] == 60
    now[0] = 1.0
    assert sum(door.admits(f"10.1.{i}.1", OPTIONS) for i in range(100)) == 20


def test_an_ipv6_network_is_one_source() -> None:
    door, _, _ = gate(per_source=1)
    hosts = [f"2001:db8::{i:x}" for i in range(1, 11)]
    assert sum(door.admits(host, OPTIONS) for host in hosts) == 2
    assert door.admits("2001:db8:0:1::1", OPTIONS)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sip_flood, "MAX_SOURCES", 8)
    door, _, _ = gate()
    for i in range(100):
        door.admits(f"10.0.{i}.1", OPTIONS)
        door.admits(f"192.0.2.{i}", OPTIONS)
        door.trust(f"198.51.100.{i}")
    assert len(door._sources) <= 8
    assert len(door._allow._known) <= 8
    assert len(door._trusted) <= 8
