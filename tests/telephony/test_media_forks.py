from __future__ import annotations

from tests.telephony.receiving import Desk
from tests.telephony.ws_peers import TOKEN
from voicebot.telephony.line import Gateway
from voicebot.telephony.media_forks import WebSocketParams, media_forks


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
