from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from voicebot.telephony.websocket.twilio_signature import is_signed, sign
from voicebot.telephony.websocket.websocket_peer import Handshake

TOKEN = "12345"


def test_the_signature_is_hmac_sha1_of_the_address_in_base64() -> None:
    url = "wss://voice.example.com/media/twilio"
    expected = base64.b64encode(hmac.new(b"12345", url.encode(), hashlib.sha1).digest())
    assert sign(TOKEN, url) == expected.decode()


def handshake(url: str, target: str = "/media/twilio", host: str = "v.example") -> Handshake:
    headers = {"host": host, "x-twilio-signature": sign(TOKEN, url)}
    return Handshake(target, target, {}, headers, "192.0.2.1:5")


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("wss://v.example/media/twilio", ""),
        ("wss://v.example/media/twilio/", ""),
        ("wss://v.example:443/media/twilio", ""),
        ("wss://outside.example/media/twilio", "wss://outside.example"),
        ("wss://outside.example/media/twilio", "wss://outside.example/"),
        ("wss://outside.example/media/twilio", "wss://outside.example:443"),
    ],
)
def test_the_address_is_taken_as_twilio_may_have_it(url: str, public: str) -> None:
    assert is_signed(handshake(url), TOKEN, public)
    assert not is_signed(handshake(url), TOKEN + "6", public)


@pytest.mark.parametrize(
    "url",
    ["wss://evil.example/media/twilio", "https://v.example/media/twilio", "wss://v.example/other"],
)
def test_another_address_is_not_signed(url: str) -> None:
    assert not is_signed(handshake(url), TOKEN, "")


def test_no_signature_is_none() -> None:
    bare = Handshake("/media/twilio", "/media/twilio", {}, {"host": "v.example"}, "x:1")
    assert not is_signed(bare, TOKEN, "")
