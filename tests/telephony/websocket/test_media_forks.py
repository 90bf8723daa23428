from __future__ import annotations

import re

import pytest
import yaml

from tests.conftest import ROOT
from tests.telephony.receiving import Desk
from tests.telephony.ws_peers import TOKEN
from voicebot.telephony.line import Gateway
from voicebot.telephony.websocket.media_forks import WebSocketParams, media_forks


def test_is_a_gateway() -> None:
    gateway: Gateway = media_forks(WebSocketParams(), Desk())
    assert gateway.name == "websocket" and gateway.counters == {}


def test_is_open_where_there_is_a_secret() -> None:
    assert not WebSocketParams().is_open
    for section in (
        {"twilio": {"tokens": [TOKEN]}},
        {"twilio": {"auth_token": TOKEN}},
        {"freeswitch": {"tokens": [TOKEN]}},
        {"jambonz": {"tokens": [TOKEN]}},
        {"audiohook": {"api_key": TOKEN}},
    ):
        assert WebSocketParams.model_validate(section).is_open


def test_every_key_is_described() -> None:
    def check(model: type[WebSocketParams]) -> int:
        count = 0
        for field in model.model_fields.values():
            assert field.description
            count += 1
            if isinstance(field.annotation, type) and hasattr(field.annotation, "model_fields"):
                count += check(field.annotation)
        return count

    assert check(WebSocketParams) > 30


@pytest.mark.parametrize("name", ["twilio", "freeswitch", "jambonz", "genesys-audiohook"])
def test_the_configuration_of_each_walk_through_is_one(name: str) -> None:
    text = (ROOT / "docs" / "integrations" / f"{name}.md").read_text()
    block = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert block is not None
    secret = "QUJDREVGR0hJSktMTU5PUFFSU1RVVg=="
    section = yaml.safe_load(re.sub(r'"<[^"]*>"', f'"{secret}"', block[1]))["websocket"]
    assert WebSocketParams.model_validate(section).is_open


def test_transfers_need_an_account_with_a_secret_and_for_jambonz_an_address() -> None:
    def unsupported(**section: object) -> list[str]:
        server = media_forks(WebSocketParams.model_validate(section), Desk())
        endpoints = (server._endpoints[0], server._endpoints[2])
        return [e._controls.unsupported for e in endpoints]  # type: ignore[attr-defined]

    twilio, jambonz = unsupported()
    assert "websocket.twilio.rest" in twilio and "websocket.jambonz.rest" in jambonz
    rest = {"account_sid": "a", "password": "p"}
    hook = {"account_sid": "a", "api_key": "k"}
    assert unsupported(twilio={"rest": {"account_sid": "a"}})[0]
    assert unsupported(twilio={"rest": rest}, jambonz={"rest": hook}) == [
        "",
        "set websocket.public_url",
    ]
    assert unsupported(jambonz={"rest": hook}, public_url="wss://v.example")[1] == ""


def test_the_next_transfer_waits_for_as_long_as_the_caller_is_kept() -> None:
    rest = {"account_sid": "a", "password": "p", "hold_seconds": 9}
    hook = {"account_sid": "a", "api_key": "k", "hold_seconds": 7}
    section = {"twilio": {"rest": rest}, "jambonz": {"rest": hook}, "public_url": "wss://v.example"}
    server = media_forks(WebSocketParams.model_validate(section), Desk())
    waits = [server._endpoints[number]._controls.retry_seconds for number in (0, 2)]  # type: ignore[attr-defined]
    assert waits == [9, 7]
