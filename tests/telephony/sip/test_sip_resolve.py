from __future__ import annotations

import asyncio

import pytest

from voicebot.telephony.line import LineError
from voicebot.telephony.sip.sip_headers import parse_uri
from voicebot.telephony.sip.sip_params import Hop
from voicebot.telephony.sip.sip_resolve import resolve

UDP = Hop("udp", "127.0.0.1", 5060)
TCP = Hop("tcp", "127.0.0.1", 5060)


def found(text: str, *listeners: Hop) -> Hop:
    return asyncio.run(resolve(parse_uri(text), listeners or (TCP, UDP), 5.0))


@pytest.mark.parametrize(
    ("text", "hop"),
    [
        ("sip:bob@127.0.0.1", Hop("udp", "127.0.0.1", 5060)),
        ("sip:127.0.0.1:5070;transport=TCP", Hop("tcp", "127.0.0.1", 5070)),
        ("sips:bob@[::1]", Hop("tls", "::1", 5061)),
        ("sip:x@h.example;maddr=127.0.0.9", Hop("udp", "127.0.0.9", 5060)),
    ],
)
def test_what_the_uri_says(text: str, hop: Hop) -> None:
    assert found(text) == hop


def test_a_name_is_kept_for_its_certificate() -> None:
    hop = found("sip:localhost;transport=tls")
    assert (hop, hop.name) == (Hop("tls", "127.0.0.1", 5061), "localhost")


def test_without_udp_it_is_what_we_listen_at() -> None:
    assert found("sip:127.0.0.1", TCP).transport == "tcp"


@pytest.mark.parametrize("text", ["tel:+15550100", "sip:a@h;transport=sctp"])
def test_no_way(text: str) -> None:
    with pytest.raises(LineError, match="no way to"):
        found(text)


def test_no_such_host() -> None:
    with pytest.raises(LineError, match="cannot be resolved"):
        found("sip:a@no-such-host.invalid")
