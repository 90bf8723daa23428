"""Labelling on the terminal: the picture of a call, and the keys as they are pressed."""

from __future__ import annotations

import codecs
import os
import select
import sys
import termios
import time
import tty
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from voicebot.errors import AudioError, DeviceError, OutputError
from voicebot.labelling.calls import CallAudio, loudness
from voicebot.labelling.desk import KEYS, Desk, Outcome, keys_of
from voicebot.labelling.player import DevicePlayer, Player
from voicebot.labelling.session import LabelSession
from voicebot.labelling.spans import Label, Span, label_at

WINDOW_SECONDS: Final = 60.0
"""s of the call that the picture shows"""
_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
_STYLES: Final = {Label.ANGRY: "bold red", Label.UNCLEAR: "yellow", Label.OTHER: ""}
_ESCAPES: Final = {"A": "up", "B": "down", "C": "right", "D": "left"}
_TICK_SECONDS: Final = 0.1

OpenPlayer = Callable[[CallAudio], Player]


def label_on_terminal(
    session: LabelSession,
    console: Console,
    *,
    sound: bool = True,
    open_player: OpenPlayer = DevicePlayer,
    clock: Callable[[float], str],
) -> None:
    """Label one call after the other, from the first that is not done, until the rater stops.

    Where standard input is no terminal, keys are read from its lines: those of
    :data:`voicebot.labelling.desk.KEYS`, and ``@12.5`` to go to a time.

    Args:
        session: The calls and the rater.
        console: To draw on.
        sound: Whether to play at all.
        open_player: What plays a call.
        clock: Shows seconds to people.

    Raises:
        AudioError: not one call can be read.
        OutputError: the last change could not be saved.
    """
    terminal = sys.stdin is not None and sys.stdin.isatty()
    index = session.next_open()
    if index is None:
        if all(status.problem for status in session.overview()):
            raise AudioError("no call can be read", "see above")
        console.print("all calls are done; showing the first")
        index = 0
    with Keys() if terminal else LineKeys() as keys:
        while index is not None:
            try:
                with _open(session, index, console, sound, open_player) as desk:
                    outcome = _label(session, desk, index, keys, console, clock)
            except AudioError as err:  # named; the others go on
                console.print(f"{err}", markup=False, style="red")
                index = session.next_open(index)
                if index is None:
                    raise
                continue
            if desk.fault:
                raise OutputError(f"{desk.call}: the last change is not saved: {desk.fault}")
            index = _next(session, index, outcome)
    done = sum(status.done for status in session.overview())
    console.print(
        f"{done} of {len(session.names)} calls done; labels are in {session.store.folder}"
    )


def picture(
    desk: Desk, audio: CallAudio, width: int, clock: Callable[[float], str]
) -> RenderableType:
    """The stretch of a call around the cursor: outline, marks, times.

    Args:
        desk: The call.
        audio: Its sound.
        width: Columns.
        clock: Shows seconds to people.
    """
    width = max(20, width)
    cursor = desk.cursor
    length = min(WINDOW_SECONDS, desk.seconds)
    start = min(cursor // length * length, max(0.0, desk.seconds - length)) if length else 0.0
    step = length / width
    piece = audio.caller[round(start * audio.rate) : round((start + length) * audio.rate)]
    values = loudness(piece, width)
    top = max([*values, 0.05])
    spans: Sequence[Span] = desk.spans
    if desk.begun is not None and desk.begun[1] != cursor:
        first, last = sorted((desk.begun[1], cursor))
        spans = [Span(first, last, desk.begun[0]), *spans]
    wave: list[tuple[str, str]] = []  # character and style
    marks, said = list(wave), ""
    for column in range(width):
        t = start + (column + 0.5) * step
        here = start + column * step <= cursor < start + (column + 1) * step
        label = label_at(spans, t)
        value = values[column] if column < len(values) else 0.0
        block = _BLOCKS[min(8, round(value / top * 8))]
        wave.append((block, "reverse" if here else _STYLES[label] or "cyan"))
        mark = {Label.ANGRY: "A", Label.UNCLEAR: "U", Label.OTHER: "·"}[label]
        marks.append(("^" if here else mark, _STYLES[label] or "dim"))
        said += "─" if any(s <= t < e for s, e in desk.speech) else " "
    left, right = clock(start), clock(start + length)
    times = Text(left + " " * max(1, width - len(left) - len(right)) + right, style="dim")
    playing = "playing" if desk.player is not None and desk.player.playing else "paused"
    at = Text(f"{clock(cursor)} of {clock(desk.seconds)}, {playing}, heard {clock(desk.heard)}")
    utterance = next(((s, e) for s, e in desk.speech if s <= cursor <= e), None)
    if utterance is not None:
        at.append(f", in the utterance {clock(utterance[0])}-{clock(utterance[1])}")
    marked = [f"{clock(s.start)}-{clock(s.end)} {s.label}" for s in desk.spans]
    lines = [
        _styled(wave),
        _styled(marks),
        Text(said, style="dim"),
        times,
        at,
        Text("marked: " + (", ".join(marked) or "nothing")),
    ]
    if desk.fault:
        lines.append(Text(f"not saved: {desk.fault}", style="bold red"))
    lines.append(Text(desk.message, style="yellow"))
    lines.append(Text("  ".join(f"{key} {what};" for key, what in KEYS).rstrip(";"), style="dim"))
    return Group(*lines)


def _styled(characters: Sequence[tuple[str, str]]) -> Text:
    """One piece of text for each run of one style, so that drawing over a slow line is quick."""
    return Text.assemble(
        *(
            ("".join(character for character, _ in run), style)
            for style, run in groupby(characters, key=lambda pair: pair[1])
        )
    )


class Keys:
    """Keys of a terminal as they are pressed, without Enter; restores the terminal."""

    def __init__(self) -> None:
        self._waiting: deque[str] = deque()

    def __enter__(self) -> Self:
        """Take the terminal over."""
        self._fd = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._fd)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        tty.setcbreak(self._fd)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give it back as it was."""
        termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

    def read(self) -> str | float | None:
        """The next key, or None if none comes in 0.1 s; ``q`` where the terminal has gone."""
        if not self._waiting and select.select([self._fd], [], [], _TICK_SECONDS)[0]:
            data = os.read(self._fd, 64)
            self._waiting.extend(_decoded(self._decoder.decode(data)) if data else "q")
        return self._waiting.popleft() if self._waiting else None


class LineKeys:
    """Keys from lines of standard input, as they are piped in."""

    def __init__(self) -> None:
        self._waiting: deque[str | float] = deque()

    def __enter__(self) -> Self:
        """Nothing has to be taken over."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing has to be given back."""

    def read(self) -> str | float | None:
        """The next key, or None for an empty line; ``q`` at the end."""
        if not self._waiting:
            line = sys.stdin.readline() if sys.stdin is not None else ""
            self._waiting.extend(keys_of(line) if line else "q")
        return self._waiting.popleft() if self._waiting else None


def _decoded(text: str) -> Iterator[str]:
    """Keys from what a terminal sends: arrows are escape sequences."""
    at = 0
    while at < len(text):
        if text[at : at + 2] in ("\x1b[", "\x1bO") and text[at + 2 : at + 3] in _ESCAPES:
            yield _ESCAPES[text[at + 2]]
            at += 3
        else:
            yield text[at]
            at += 1


@contextmanager
def _open(
    session: LabelSession, index: int, console: Console, sound: bool, open_player: OpenPlayer
) -> Iterator[Desk]:
    """A call, with what plays it."""
    call = session.names[index]
    audio = session.audio(call)
    for warning in audio.warnings:
        console.print(warning, markup=False, style="yellow")
    player: Player | None = None
    if sound:
        try:
            player = open_player(audio)
        except DeviceError as err:
            console.print(str(err), markup=False, style="yellow")
    try:
        desk = Desk(session, call, player)
        yield desk
        desk.leave()
    finally:
        if player is not None:
            player.close()


def _label(
    session: LabelSession,
    desk: Desk,
    index: int,
    keys: Keys | LineKeys,
    console: Console,
    clock: Callable[[float], str],
) -> Outcome:
    """Show a call and take keys until it is left."""
    title = Text(f"{desk.call} ({index + 1} of {len(session.names)}, rater {session.rater})")
    audio = session.audio(desk.call)

    def view() -> RenderableType:
        return Group(title, picture(desk, audio, console.width - 1, clock))

    with Live(view(), console=console, auto_refresh=False, transient=console.is_terminal) as live:
        drawn = time.monotonic()
        try:
            while True:
                key = keys.read()
                if isinstance(key, float):
                    desk.go(key)
                elif key is not None and (outcome := desk.press(key)) is not Outcome.STAY:
                    return outcome
                if desk.fault and isinstance(keys, LineKeys):
                    return Outcome.QUIT  # nobody is there to see it and try again
                desk.tick()
                if time.monotonic() - drawn >= _TICK_SECONDS or not console.is_terminal:
                    live.update(view(), refresh=console.is_terminal)
                    drawn = time.monotonic()
        finally:
            live.update(view())


def _next(session: LabelSession, index: int, outcome: Outcome) -> int | None:
    match outcome:
        case Outcome.DONE:
            return session.next_open(index)
        case Outcome.NEXT:
            return min(index + 1, len(session.names) - 1)
        case Outcome.PREVIOUS:
            return max(index - 1, 0)
        case _:
            return None
