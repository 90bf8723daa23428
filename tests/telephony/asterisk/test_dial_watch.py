from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.telephony.asterisk.dial_watch import DialWatch
from voicebot.telephony.line import TransferResult


def dial(peer: str, status: str, caller: str = "a") -> dict[str, Any]:
    return {
        "type": "Dial", "caller": {"id": caller}, "peer": {"id": peer}, "dialstatus": status
    }  # fmt: skip


def gone(channel: str, cause: int) -> dict[str, Any]:
    return {"type": "ChannelDestroyed", "channel": {"id": channel}, "cause": cause}


@pytest.mark.parametrize(
    ("events", "result"),
    [
        ([dial("b", ""), dial("b", "RINGING"), dial("b", "ANSWER")], "done"),
        ([dial("b", ""), dial("b", "BUSY")], "busy"),
        ([dial("b", ""), gone("b", 21)], "declined"),
        ([dial("b", ""), dial("b", "CHANUNAVAIL"), gone("b", 21)], "declined"),
        ([dial("b", ""), dial("b", "NOANSWER"), gone("b", 16)], "no_answer"),
        ([dial("b", ""), gone("b", 16)], "unreachable"),
        ([dial("b", ""), gone("a", 16), dial("b", "ANSWER")], "gone"),
        ([dial("b", ""), dial("c", ""), dial("b", "BUSY")], "timeout"),
        ([dial("b", ""), dial("c", ""), dial("b", "BUSY"), dial("c", "ANSWER")], "done"),
        ([dial("b", ""), dial("b", "BUSY"), dial("c", ""), dial("c", "ANSWER")], "done"),
        ([dial("b", "", caller="x"), dial("b", "ANSWER", caller="x")], "timeout"),
        ([gone("b", 17)], "timeout"),
        ([], "timeout"),
    ],
)
def test_outcomes(events: list[dict[str, Any]], result: str) -> None:
    async def run() -> None:
        watch = DialWatch("a", 0.02)
        for event in events:
            watch.event(event)
        assert (await watch.wait(0.05)).result == TransferResult(result)

    asyncio.run(run())


def test_phones_that_ring_are_told_once() -> None:
    told: list[str] = []
    watch = DialWatch("a", 0.0, told.append)
    for peer in ("b", "b", "c"):
        watch.event(dial(peer, "RINGING"))
    assert told == ["b", "c"]


def test_an_own_phone_is_not_done_by_its_answer() -> None:
    async def run() -> None:
        watch = DialWatch("a", 0.0, own="b")
        watch.event({"type": "Dial", "peer": {"id": "b"}, "dialstatus": "ANSWER"})
        assert (await watch.wait(0.01)).result == TransferResult.TIMEOUT
        watch.event(gone("b", 17))
        assert (await watch.wait(0.5)).result == TransferResult.BUSY

    asyncio.run(run())


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "type", "peer", "caller", "channel", "cause", "dialstatus"]),
            inner,
        )
    ),
    max_leaves=8,
)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"type": st.sampled_from(["Dial", "ChannelDestroyed"])},
            optional={
                "peer": json,
                "caller": json,
                "channel": json,
                "cause": json,
                "dialstatus": json,
            },
        )
    )
)
@settings(max_examples=40)
def test_no_event_breaks_it(events: list[dict[str, Any]]) -> None:
    watch = DialWatch("a", 0.0)
    for event in events:
        watch.event(event)
