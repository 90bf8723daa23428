from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.telephony.receiving import tone
from voicebot.events import Pcm
from voicebot.telephony.websocket.fork_audio import L16, paced, text_of, texts


@given(st.binary(max_size=400), st.lists(st.integers(1, 50), max_size=30), st.sampled_from([1, 2]))
def test_samples_are_the_same_however_messages_are_cut(
    data: bytes, cuts: list[int], channels: int
) -> None:
    whole = np.frombuffer(data[: len(data) // (2 * channels) * 2 * channels], "<i2")
    l16 = L16(channels)
    parts: list[list[Pcm]] = [[] for _ in range(channels)]
    at = 0
    for cut in [*cuts, len(data)]:
        for channel, pcm in enumerate(l16.split(data[at : at + cut])):
            parts[channel].append(pcm)
        at += cut
    for channel in range(channels):
        np.testing.assert_array_equal(np.concatenate(parts[channel]), whole[channel::channels])


def test_audio_goes_out_at_the_pace_of_speech() -> None:
    async def main() -> None:
        pcm, sent = tone(0.3), []
        loop = asyncio.get_running_loop()
        begun = loop.time()

        async def send(piece: Pcm) -> None:
            sent.append((loop.time() - begun, piece))

        await paced(pcm, 8000, send, chunk=0.05, ahead=0.1)
        assert [len(piece) for _, piece in sent] == [400] * 6
        for index, (at, _) in enumerate(sent):
            assert at >= index * 0.05 - 0.101
        assert sent[-1][0] == pytest.approx(0.15, abs=0.1)

    asyncio.run(main())


def test_fields_are_taken_in_bounds() -> None:
    many = {f"k{i}": "v" * 10_000 for i in range(1000)}
    assert len(texts(many)) == 32
    assert all(len(value) <= 512 for value in texts(many).values())
    assert texts({"a": 1, "b": None, "c": {}, "d": True, "e": 1.5}) == {"a": "1", "e": "1.5"}
    assert texts([1]) == {} and texts(None) == {}
    assert text_of({"a": None, "b": True, "c": 7}, "a", "b", "c") == "7"
    assert text_of({}, "a") == ""
