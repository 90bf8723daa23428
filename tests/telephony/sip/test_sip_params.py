from __future__ import annotations

import pytest
from pydantic import ValidationError

from voicebot.telephony.sip.sip_params import Hop, SipParams, is_address, parse_listen


def test_listen() -> None:
    assert parse_listen("udp:127.0.0.1:5060") == Hop("udp", "127.0.0.1", 5060)
    assert parse_listen("tls:[::1]:0") == Hop("tls", "::1", 0)


@pytest.mark.parametrize("text", ["5060", "sctp:127.0.0.1:1", "udp:host:1", "udp:127.0.0.1:x"])
def test_what_cannot_be_listened_at_is_named(text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        SipParams(listen=[text])


def test_networks_are_checked() -> None:
    with pytest.raises(ValidationError, match="10.0.0.0/99"):
        SipParams(allow=["10.0.0.0/99"])


def test_the_default_lets_nobody_in_from_outside() -> None:
    params = SipParams()
    assert params.allow == ["127.0.0.0/8", "::1/128"]
    assert all("127.0.0.1" in text for text in params.listen)


def test_hops() -> None:
    assert str(Hop("tls", "::1", 5061)) == "tls:[::1]:5061"
    assert not Hop("udp", "127.0.0.1", 1).reliable
    assert Hop("tls", "::1", 1, "a.example") == Hop("tls", "::1", 1)
    assert is_address("::1")
    assert not is_address("localhost")
