from __future__ import annotations

from pathlib import Path

import pytest

from tests.calls.made import call
from voicebot.calls.figures import evaluate
from voicebot.calls.picture import draw
from voicebot.calls.plain_rules import in_a_row
from voicebot.calls.record import Kind
from voicebot.calls.sweep import ANY, EVIDENCE, THREE, Point
from voicebot.errors import OutputError

CALLS = [call([-2.0, 1.0] * 5), call([2.0] * 5, Kind.ANGRY)]
POINTS = [
    Point(rule, p, evaluate(CALLS, lambda heard, p=p: in_a_row(heard, 1, p)))  # type: ignore[misc]
    for rule in (EVIDENCE, ANY, THREE)
    for p in (0.5, 0.9)
]


def test_the_curve_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "curve.png"
    draw(path, POINTS, POINTS[0], "a title", budget=0.1)
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["curve.txt", "absent/curve.png"])
def test_what_cannot_be_written_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="curve"):
        draw(tmp_path / name, POINTS, POINTS[0], "a title")
