"""The live view of one call on a terminal: levels, transcript, emotion, evidence, alerts."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from voicebot.cli.lines import clock
from voicebot.events import (
    Action,
    Alert,
    CallStarted,
    Emotion,
    EscalationState,
    Event,
    Evidence,
    Final,
    Frame,
    Leg,
    Partial,
    State,
)

REDRAW_SECONDS = 0.1
STATE_STYLE = {
    EscalationState.CALM: "green",
    EscalationState.RISING: "yellow",
    EscalationState.ESCALATED: "bold white on red",
    EscalationState.COOLING: "cyan",
}
LEG_STYLE = {Leg.CALLER: "bold cyan", Leg.AGENT: "bright_black"}
FLOOR_DBFS = -60.0


class LiveView:
    """Draws a call while it goes on; a watcher of blocks and events."""

    def __init__(self, console: Console, transcript_lines: int = 10) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._drawn = 0.0
        self._title = "call"
        self._t = 0.0
        self._levels: dict[Leg, float] = {}
        self._finals: deque[Text] = deque(maxlen=transcript_lines)
        self._partials: dict[Leg, str] = {}
        self._emotion: Emotion | None = None
        self._evidence: Evidence | None = None
        self._state = EscalationState.CALM
        self._notes: deque[Text] = deque(maxlen=4)

    def __enter__(self) -> Self:
        """Take the terminal."""
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the terminal back, cleared of the view."""
        self._live.__exit__(kind, error, trace)

    def block(self, block: Mapping[Leg, Frame]) -> None:
        """Move the level meters."""
        for leg, frame in block.items():
            self._t = max(self._t, frame.end)
            power = (
                float(np.mean(np.square(frame.pcm.astype(np.float32)))) if len(frame.pcm) else 0.0
            )
            dbfs = 10 * np.log10(power / 32768**2 + 1e-10)
            # Fast attack, slow release, as on a mixing desk: the eye follows peaks.
            self._levels[leg] = max(float(dbfs), self._levels.get(leg, FLOOR_DBFS) - 2.0)
        self._redraw()

    def event(self, event: Event) -> None:
        """Show one event."""
        match event:
            case CallStarted():
                self._title = f"{event.source} · {event.language} · {event.engine}"
            case Partial(leg=Leg() as leg):
                self._partials[leg] = event.text
            case Final(leg=Leg() as leg):
                self._partials.pop(leg, None)
                if event.text:
                    said = Text(f"{clock(event.start)} ", style="bright_black")
                    self._finals.append(
                        said.append(f"{leg.value:<7}", LEG_STYLE[leg]).append(event.text)
                    )
            case Emotion():
                self._emotion = event
            case Evidence():
                self._evidence = event
            case State():
                self._state = event.state
            case Alert():
                verb = "updated" if event.update else "opened"
                head = f"{clock(event.t)} ALERT {verb}: {event.reason} ({event.severity.value})"
                note = Text(head, style="bold red")
                if event.evidence:
                    note.append(f"  “{event.evidence[-1].text}”", style="red")
                self._notes.append(note)
            case Action():
                self._notes.append(Text(f"{clock(event.t)} {event.action}: {event.detail}"))
        self._redraw()

    def _redraw(self) -> None:
        now = time.monotonic()
        if now - self._drawn >= REDRAW_SECONDS:
            self._drawn = now
            self._live.update(self.render(), refresh=True)

    def render(self) -> RenderableType:
        """The whole view as it stands."""
        meters = Table.grid(padding=(0, 1))
        meters.add_column(width=9)
        meters.add_column(width=32)
        meters.add_column(justify="right")
        for leg, dbfs in self._levels.items():
            meters.add_row(
                Text(leg.value, LEG_STYLE[leg]),
                _bar(dbfs - FLOOR_DBFS, -FLOOR_DBFS, "green"),
                f"{dbfs:.0f} dBFS",
            )
        if self._emotion:
            for name, value in self._emotion.probabilities.items():
                colour = "red" if name == "anger" else "blue"
                meters.add_row(name, _bar(value, 1.0, colour), f"{value:.2f}")
        if self._evidence:
            style = STATE_STYLE[self._state]
            meters.add_row(
                Text("evidence", "bold"),
                _bar(self._evidence.evidence, self._evidence.threshold, "red"),
                Text(f"{self._evidence.evidence:.1f}/{self._evidence.threshold:.0f} nats", style),
            )
        transcript = [*self._finals]
        for leg, text in self._partials.items():
            transcript.append(
                Text("        ").append(f"{leg.value:<7}", LEG_STYLE[leg]).append(text, "italic")
            )
        head = Text.assemble(
            (f" {self._state.value} ", STATE_STYLE[self._state]),
            f"  {clock(self._t)}  {self._title}",
        )
        parts: list[RenderableType] = [head, meters, *transcript, *self._notes]
        return Panel(Group(*parts), title="voicebot", border_style=STATE_STYLE[self._state])


def _bar(value: float, full: float, colour: str) -> ProgressBar:
    """A meter from zero to ``full``."""
    return ProgressBar(
        total=full, completed=max(0.0, min(value, full)), width=32, complete_style=colour,
        finished_style=colour,
    )  # fmt: skip
