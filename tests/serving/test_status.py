from __future__ import annotations

import asyncio
import json

from tests.serving.fakes import FakeLine
from tests.serving.test_exchange import office
from voicebot.events import Leg
from voicebot.serving.status import daemon_status


def test_what_ops_see_of_a_call() -> None:
    async def story() -> None:
        async with office(max_calls=7) as there:
            live, _ = there.take(Leg.CALLER, Leg.AGENT, line=FakeLine())
            status = daemon_status(
                there.exchange, [], live.began + 61.04, there.exchange.calls.values()
            )
            json.dumps(status)
            (call,) = status["calls"]
            assert (call["call_id"], call["called"], call["age_s"]) == (live.id, "100", 61.0)
            assert call["legs"]["caller"] == {
                "state": "live", "quiet_s": 61.0, "codec": "PCMU", "packets": 98, "lost": 2,
                "loss_percent": 2.0, "late": 0, "duplicates": 0, "strangers": 0, "jitter_ms": 4.2,
                "concealed_s": 0.0,
            }  # fmt: skip
            assert call["legs"]["agent"] == {"state": "live", "quiet_s": 61.0}
            assert "caller" not in call, "who calls is nobody's business here"
            assert (status["running"], status["max_calls"]) == (1, 7)
            assert status["counters"] == {"engine": {"calls": 1}}

    asyncio.run(story())
