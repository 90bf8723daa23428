from __future__ import annotations

import asyncio
from typing import Any

import pytest

from voicebot.config import Config
from voicebot.serving.gateways import open_gateways
from voicebot.telephony.asterisk.ari_transfer import AriTransfer
from voicebot.telephony.freeswitch.esl_transfer import EslTransfer


class Nobody:
    def receive(self, offer: Any, line: Any) -> Any:
        raise AssertionError


async def _names(settings: dict[str, Any]) -> list[str]:
    return [g.name for g in open_gateways(Config.model_validate(settings), Nobody())]


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, ["sip"]),
        ({"sip": {"enabled": False}}, []),
        ({"audiosocket": {"enabled": True}}, ["sip", "audiosocket"]),
        (
            {"ari": {"enabled": True, "password": "secret"}, "audiosocket": {"enabled": True}},
            ["ari", "external_media", "sip", "audiosocket"],
        ),
        (
            {
                "esl": {"enabled": True, "password": "secret"},
                "websocket": {"freeswitch": {"tokens": ["a-token-that-is-long-enough"]}},
            },
            ["esl", "sip", "websocket"],
        ),
    ],
)
def test_what_is_enabled_is_opened_connections_first(
    settings: dict[str, Any], names: list[str]
) -> None:
    assert asyncio.run(_names(settings)) == names


def test_calls_of_an_exchange_are_handed_over_by_it() -> None:
    async def story() -> None:
        doors = {"audiosocket": {"enabled": True}}
        secret = {"enabled": True, "password": "secret"}
        forks = {"freeswitch": {"tokens": ["a-token-that-is-long-enough"]}}
        alone: Any = open_gateways(Config.model_validate({**doors, "websocket": forks}), Nobody())
        assert alone[1].shared.transfer is None
        both: Any = open_gateways(
            Config.model_validate({**doors, "websocket": forks, "ari": secret, "esl": secret}),
            Nobody(),
        )
        assert isinstance(both[4].shared.transfer, AriTransfer)
        assert isinstance(both[5]._endpoints[1]._controls.transfer, EslTransfer)

    asyncio.run(story())
