"""What each key does to a call on the desk."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.labelling.recordings import write_call
from tests.labelling.test_session import session_on
from voicebot.errors import OutputError
from voicebot.labelling.desk import Desk, Outcome, keys_of
from voicebot.labelling.spans import Label, Span
from voicebot.labelling.store import LabelStore


@dataclass
class FakePlayer:
    """Plays as far as it is told."""

    playing: bool = False
    position: float = 0.0
    started: list[float] = field(default_factory=list)

    def play(self, start: float) -> None:
        self.playing, self.position = True, start
        self.started.append(start)

    def stop(self) -> None:
        self.playing = False

    def close(self) -> None:
        self.playing = False


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_call(tmp_path / "a.wav")
    return tmp_path


def desk_on(folder: Path, player: FakePlayer | None = None) -> Desk:
    return Desk(session_on(folder), "a.wav", player)


def press(desk: Desk, *keys: str) -> None:
    for key in keys:
        assert desk.press(key) is Outcome.STAY


def test_marks_are_saved_as_they_are_made(folder: Path) -> None:
    desk = desk_on(folder)
    desk.go(1.0)
    press(desk, "a")
    assert "again where it ends" in desk.message
    press(desk, "right", "a")
    desk.go(5.0)
    press(desk, "u", "<", "u")  # backwards will do
    expected = (Span(1.0, 3.0, Label.ANGRY), Span(3.0, 5.0, Label.UNCLEAR))
    assert desk.spans == expected
    assert LabelStore(folder / "labels").ratings()[0].spans == expected
    press(desk, "z")
    assert desk_on(folder).spans == expected[:1]
    desk.go(2.0)
    press(desk, "x")
    assert desk_on(folder).spans == ()
    press(desk, "x")
    assert desk.message == "nothing is marked here"
    press(desk, "a", "a")
    assert desk.message == "too short to mark"
    press(desk, "a", "x")
    assert desk.begun is None
    press(desk, "a", "right", "a", "x")  # right where it ends
    assert not desk.spans
    press(desk, "?")
    assert "no such key" in desk.message


def test_utterances_are_stepped_through(folder: Path) -> None:
    desk = desk_on(folder)
    first, second = (start for start, _ in desk.speech)
    press(desk, "down")
    assert desk.cursor == first
    press(desk, "]")
    assert desk.cursor == second
    press(desk, "down")
    assert desk.cursor == desk.seconds
    press(desk, "up", "[")
    assert desk.cursor == first
    press(desk, "up")
    assert desk.cursor == 0.0
    press(desk, "left")
    assert desk.cursor == 0.0


def test_playing_moves_the_cursor_and_counts_as_heard(folder: Path) -> None:
    player = FakePlayer()
    desk = desk_on(folder, player)
    press(desk, " ")
    for player.position in (0.4, 0.8, 1.2, 1.5):
        desk.tick()
    press(desk, " ")
    assert not player.playing and desk.cursor == 1.5
    assert desk_on(folder).heard == 1.5
    assert desk_on(folder).cursor == 1.5  # where it goes on
    press(desk, " ", "right")
    assert player.started == [0.0, 1.5, 3.5]
    desk.go(desk.seconds)
    player.playing = False
    press(desk, " ")
    assert player.started[-1] == 0.0  # at the end, from the beginning


def test_without_sound_it_says_so(folder: Path) -> None:
    desk = desk_on(folder)
    press(desk, " ")
    assert "no sound" in desk.message


@pytest.mark.parametrize(
    ("key", "outcome"),
    [("d", Outcome.DONE), ("n", Outcome.NEXT), ("p", Outcome.PREVIOUS), ("q", Outcome.QUIT)],
)
def test_leaving(folder: Path, key: str, outcome: Outcome) -> None:
    assert desk_on(folder).press(key) is outcome
    if key == "d":
        assert session_on(folder).rating("a.wav").done


def test_what_cannot_be_saved_is_not_left(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = desk_on(folder)
    save = LabelStore.save

    def full(store: LabelStore, rating: object) -> None:
        raise OutputError("labels: cannot be written", "make room on the disk")

    monkeypatch.setattr(LabelStore, "save", full)
    press(desk, "a", "right", "a", "n", "q", "d")
    assert "make room" in desk.fault
    assert desk.heard < desk.seconds
    monkeypatch.setattr(LabelStore, "save", save)
    assert desk.press("q") is Outcome.QUIT
    assert desk.fault == ""
    assert len(desk_on(folder).spans) == 1


def test_keys_of_a_line() -> None:
    assert keys_of("a @12.5 u@3,25 \n") == ["a", 12.5, "u", 3.25]
    assert keys_of("@x") == ["@", "x"]
