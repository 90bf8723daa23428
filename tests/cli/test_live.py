"""The live view, drawn on a recording console."""

from __future__ import annotations

import io

import numpy as np
from rich.console import Console

from tests.example_events import ONE_OF_EACH
from voicebot.cli.live import LiveView
from voicebot.events import Final, Frame, Leg, Partial


def drawn(view: LiveView) -> str:
    console = Console(file=io.StringIO(), width=100, height=60, force_terminal=False)
    console.print(view.render())
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_everything_that_matters_is_on_the_screen() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100, height=60)
    loud = np.full(800, 16384, np.int16)
    with LiveView(console) as view:
        for event in ONE_OF_EACH:
            view.event(event)
        view.block({Leg.CALLER: Frame(loud, 8000, 12.0), Leg.AGENT: Frame(loud * 0, 8000, 12.0)})
        screen = drawn(view)
    for part in (
        "RISING", "call.wav", "where is my parcel", "anger", "0.40", "evidence", "4.2/5 nats",
        "ALERT opened: persistent_anger (critical)", "webhook: queued", "-6 dBFS", "00:12.1",
    ):  # fmt: skip
        assert part in screen, part


def test_a_partial_gives_way_to_its_final() -> None:
    view = LiveView(Console(file=io.StringIO()))
    (partial,) = [e for e in ONE_OF_EACH if isinstance(e, Partial)]
    (final,) = [e for e in ONE_OF_EACH if isinstance(e, Final)]
    view.event(partial)
    assert "where is" in drawn(view)
    view.event(final)
    assert drawn(view).count("where is") == 1


def test_the_level_falls_slowly_and_stops_at_the_floor() -> None:
    view = LiveView(Console(file=io.StringIO()))
    view.block({Leg.CALLER: Frame(np.full(800, 16384, np.int16), 8000, 0.0)})
    view.block({Leg.CALLER: Frame(np.zeros(800, np.int16), 8000, 0.1)})
    assert "-8 dBFS" in drawn(view)


def test_an_empty_view_can_be_drawn() -> None:
    assert "CALM" in drawn(LiveView(Console(file=io.StringIO())))
