"""Audio over a bad network: what is measured is what was done to it."""

import math
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.peers.baresip import Baresip
from tests.peers.house import House
from tests.peers.impairment import Network, Relay
from tests.peers.sound import compare, speech
from voicebot.events import Leg


@pytest.mark.parametrize(
    "network",
    [
        Network(loss=0.05, seed=3),
        Network(jitter=0.03, seed=4),
        Network(loss=0.05, jitter=0.03, duplicates=0.03, seed=5),
    ],
    ids=["loss", "jitter", "all"],
)
def test_a_bad_network(network: Network, stack: ExitStack, tmp_path: Path) -> None:
    house = stack.enter_context(House())
    relay = Relay(house.port(), network)
    house.run(relay.open())
    stack.callback(lambda: house.run(_closed(relay)))
    says = speech(5.0, start=20.0)
    caller = stack.enter_context(Baresip("caller", tmp_path, says))
    caller.do("dial", f"sip:voicebot@127.0.0.1:{relay.port}")
    call = house.ended()
    figures, done = call.figures[Leg.CALLER], relay.done
    # What leaves the relay as the call ends may come too late to count.
    over = call.over - 0.02
    sure = [number for (when, _), number in zip(done.departures, done.sequences, strict=True)
            if when < over]  # fmt: skip
    crossing = len(done.sequences) - len(sure)
    assert crossing <= 6
    lost = [number for number in done.lost if min(sure) < number < max(sure)]
    late_lost = sum(max(sure) < number < max(done.sequences) for number in done.lost)
    assert not network.loss or len(lost) >= 5
    assert len(lost) <= figures.lost <= len(lost) + late_lost
    assert len(sure) <= figures.packets <= len(done.sequences)
    doubles = len(sure) - len(set(sure))
    assert doubles <= figures.duplicates <= doubles + crossing
    assert figures.late == 0
    assert math.isclose(figures.concealed, figures.lost * 0.02, abs_tol=0.001)
    assert math.isclose(call.concealed(), figures.concealed, abs_tol=0.001)
    if network.jitter:
        assert done.reordered >= 5
        assert math.isclose(figures.jitter, done.jitter(), rel_tol=0.3, abs_tol=0.002)
        assert figures.jitter > 0.004
    match = compare(says, call.pcm())
    # No sample is out of place: what is missing was filled, nothing was heard twice.
    assert abs(match.heard - match.sent) <= 0.06
    assert match.correlation > (0.85 if lost else 0.99)


async def _closed(relay: Relay) -> None:
    relay.close()
