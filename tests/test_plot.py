"""The picture of a call."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.example_events import ONE_OF_EACH
from voicebot.errors import OutputError, VoicebotError
from voicebot.events import Frame, Leg
from voicebot.plot import CallPicture, check_picture, need_matplotlib


def picture(path: Path) -> CallPicture:
    made = CallPicture(path)
    for number in range(120):
        tone = (8000 * np.sin(np.arange(800) * 0.3)).astype(np.int16)
        made.block({leg: Frame(tone, 8000, number / 10) for leg in Leg})
    for event in ONE_OF_EACH:
        made.event(event)
    return made


def test_png_and_svg_with_the_story_in_it(tmp_path: Path) -> None:
    picture(tmp_path / "call.png").save()
    assert (tmp_path / "call.png").read_bytes().startswith(b"\x89PNG")
    svg = tmp_path / "call.svg"
    picture(svg).save()
    text = svg.read_text()
    for part in ("ALERT critical", "seconds of audio", "threshold", "RISING", "caller", "agent"):
        assert part in text, part


def test_a_name_or_quote_with_dollars_is_no_formula(tmp_path: Path) -> None:
    made = CallPicture(tmp_path / "call.png")
    started = dataclasses.replace(ONE_OF_EACH[0], source="a$_$.wav")  # type: ignore[call-arg]
    made.event(started)
    made.save()


def test_no_font_is_asked_for_that_is_not_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    picture(tmp_path / "call.png").save()
    assert "findfont" not in caplog.text


def test_a_call_without_events_is_still_a_picture(tmp_path: Path) -> None:
    CallPicture(tmp_path / "empty.png").save()
    assert (tmp_path / "empty.png").stat().st_size > 1000


@pytest.mark.parametrize("name", ["missing/call.png", "call.unknown"])
def test_a_place_or_format_that_cannot_be_written_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=name):
        CallPicture(tmp_path / name)


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    full = tmp_path / "call.png"
    full.symlink_to("/dev/full")
    with pytest.raises(OutputError, match="No space left"):
        CallPicture(full).save()


def test_a_picture_that_cannot_be_drawn_is_refused_beforehand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_picture(tmp_path / "a.svg")
    with pytest.raises(OutputError, match="no picture format"):
        check_picture(tmp_path / "a.txt")
    with pytest.raises(OutputError, match="no such folder"):
        check_picture(tmp_path / "absent" / "a.png")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(VoicebotError, match="--plot needs matplotlib"):
        check_picture(tmp_path / "a.png")
    with pytest.raises(VoicebotError, match="--html and --plots need matplotlib"):
        need_matplotlib("--html and --plots")
