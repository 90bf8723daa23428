"""One call on the terminal's desk: a cursor, the marks, and what each key does to them."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final

from voicebot.errors import LabelError, OutputError
from voicebot.labelling.player import Player
from voicebot.labelling.session import LabelSession, heard_up_to, revision_of
from voicebot.labelling.spans import Label, Span, paint

KEYS: Final = (
    ("space", "play, pause"),
    ("← →", "2 s back, on (also < >)"),
    ("↑ ↓", "utterance before, after (also [ ])"),
    ("a", "angry from here; again: to here"),
    ("u", "unclear, likewise"),
    ("x", "remove the mark here"),
    ("z", "undo"),
    ("d", "heard it all, next call"),
    ("p n", "call before, after"),
    ("q", "stop"),
)
"""Key and what it does, for people."""
STEP_SECONDS: Final = 2.0
_SHORTEST: Final = 0.05
"""s; a shorter mark is a slip of the hand"""
_SAVE_SECONDS: Final = 10.0
"""s of listening after which it is saved how far"""
_TOKEN: Final = re.compile(r"@(\d+(?:[.,]\d+)?)|\s|(.)")


class Outcome(Enum):
    """What is to happen after a key."""

    STAY = auto()
    DONE = auto()
    """the call is done: on to the next open one"""
    NEXT = auto()
    PREVIOUS = auto()
    QUIT = auto()


class Desk:
    """Labelling one call by keys.

    Args:
        session: Saves what is marked.
        call: Of the session.
        player: Plays the call; None where there is no sound.

    Raises:
        AudioError: the recording cannot be read.
        LabelError: its labels cannot be read.
    """

    def __init__(self, session: LabelSession, call: str, player: Player | None) -> None:
        rating = session.rating(call)
        assert rating.seconds is not None
        self.call = call
        self.seconds: float = rating.seconds
        self.speech = rating.speech or ()
        self.spans = rating.spans
        self.heard = rating.seconds if rating.heard is None else rating.heard
        self.begun: tuple[Label, float] | None = None
        """label and s of a mark whose end is not set yet"""
        self.message = ""
        self.fault = ""
        """why the last change is not saved; empty if it is"""
        self.player = player
        self._rating = rating
        self._revision = revision_of(rating)
        self._saved_heard = self.heard
        self._session = session
        self._undone: list[tuple[Span, ...]] = []
        self._cursor = 0.0 if rating.done else min(self.heard, self.seconds)

    @property
    def cursor(self) -> float:
        """s, where marks are set: what plays, or where one has gone."""
        if self.player is not None and self.player.playing:
            self._cursor = min(self.player.position, self.seconds)
        return self._cursor

    def tick(self) -> None:
        """Note what was heard; to be called a few times a second."""
        if self.player is not None and self.player.playing:
            self.heard = heard_up_to(self._rating, self.heard, self.cursor)
            if self.heard - self._saved_heard > _SAVE_SECONDS:
                self.save()

    def press(self, key: str) -> Outcome:
        """Do what a key says: one character, or ``left``, ``right``, ``up``, ``down``."""
        self.tick()
        self.message = ""
        match key:
            case " ":
                self._play_or_pause()
            case "left" | "<":
                self.go(self.cursor - STEP_SECONDS)
            case "right" | ">":
                self.go(self.cursor + STEP_SECONDS)
            case "up" | "[":
                starts = [s for s, _ in self.speech if s < self.cursor - 0.5]
                self.go(starts[-1] if starts else 0.0)
            case "down" | "]":
                starts = [s for s, _ in self.speech if s > self.cursor + 0.05]
                self.go(starts[0] if starts else self.seconds)
            case "a":
                self._mark(Label.ANGRY)
            case "u":
                self._mark(Label.UNCLEAR)
            case "x":
                self._remove()
            case "z":
                if self._undone:
                    self.spans = self._undone.pop()
                    self.save()
            case "d":
                return self._finish()
            case "n" | "p" | "q":
                self.leave()
                if self.fault:
                    return Outcome.STAY
                return {"n": Outcome.NEXT, "p": Outcome.PREVIOUS, "q": Outcome.QUIT}[key]
            case _:
                self.message = f"no such key: {key!r}"
        return Outcome.STAY

    def go(self, t: float) -> None:
        """Move the cursor to a time in seconds."""
        playing = self.player is not None and self.player.playing
        self._cursor = max(0.0, min(self.seconds, t))
        if playing and self.player is not None:
            self.player.play(self._cursor)

    def leave(self) -> None:
        """Fall silent, and save what is not saved yet."""
        if self.player is not None and self.player.playing:
            self._cursor = self.cursor
            self.player.stop()
        if self.heard > self._saved_heard or self.fault:
            self.save()

    def save(self) -> None:
        """Save now; :attr:`fault` says why it could not be."""
        try:
            rating = self._session.save(self.call, self.spans, self.heard, revision=self._revision)
        except (OutputError, LabelError) as err:
            self.fault = str(err)
            return
        self._rating, self._revision, self._saved_heard = rating, revision_of(rating), self.heard
        self.fault = ""

    def _play_or_pause(self) -> None:
        if self.player is None:
            self.message = "no sound here: move with the keys, or label on the page (--page)"
        elif self.player.playing:
            self.leave()
        else:
            self.player.play(0.0 if self._cursor >= self.seconds - 0.05 else self._cursor)

    def _mark(self, label: Label) -> None:
        if self.begun is None or self.begun[0] is not label:
            self.begun = label, self.cursor
            self.message = f"{label} from here; {label[0]} again where it ends"
            return
        start, end = sorted((self.begun[1], self.cursor))
        self.begun = None
        if end - start < _SHORTEST:
            self.message = "too short to mark"
            return
        self._change(paint(self.spans, Span(round(start, 3), round(end, 3), label)))

    def _remove(self) -> None:
        if self.begun is not None:
            self.begun = None
            return
        t = self.cursor
        # One that ends or begins here counts too, as right after it was made.
        near = [s for s in self.spans if s.start - _SHORTEST <= t <= s.end + _SHORTEST]
        here = next((s for s in near if s.start <= t < s.end), near[0] if near else None)
        if here is None:
            self.message = "nothing is marked here"
        else:
            self._change(tuple(s for s in self.spans if s != here))

    def _change(self, spans: tuple[Span, ...]) -> None:
        self._undone.append(self.spans)
        self.spans = spans
        self.save()

    def _finish(self) -> Outcome:
        if self.player is not None:
            self.player.stop()
        before, self.heard = self.heard, self.seconds
        self.save()
        if self.fault:
            self.heard = before
            return Outcome.STAY
        return Outcome.DONE


def keys_of(line: str) -> list[str | float]:
    """The keys of a line that was typed or piped in, without a terminal.

    Returns:
        Characters, and times in seconds for ``@12.5``; blanks are left out.
    """
    return [
        float(m[1].replace(",", ".")) if m[1] else m[2]
        for m in _TOKEN.finditer(line)
        if m[1] or m[2]
    ]
