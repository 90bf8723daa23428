from __future__ import annotations

import asyncio
from typing import Any

import pytest

from voicebot.config import Config
from voicebot.serving.gateways import open_gateways


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
