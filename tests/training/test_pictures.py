"""Pictures: drawn from any predictions, the same each time."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest

from tests.training.made_up import crowd
from voicebot.errors import VoicebotError
from voicebot.plot import need_matplotlib
from voicebot.training import pictures
from voicebot.training.predictions import Predictions

ALL = (
    pictures.confusion_picture, pictures.roc_picture, pictures.det_picture,
    pictures.reliability_picture, pictures.strip_picture,
)  # fmt: skip


@pytest.mark.parametrize("draw", ALL)
def test_drawn(draw: Callable[[Predictions], bytes]) -> None:
    p = crowd()
    png = draw(p)
    assert png.startswith(b"\x89PNG")
    assert len(png) > 5000
    if draw is pictures.roc_picture:
        assert draw(p) == png


def test_speakers_without_both_kinds_are_drawn_too() -> None:
    p = crowd()
    assert pictures.strip_picture(p.select(~p.angry)).startswith(b"\x89PNG")


def test_rows_as_dots() -> None:
    table = {"clean": {"aa": 0.9, "mean": 0.9}, "noise": {"mean": np.nan}}
    png = pictures.dots_picture(table, {"aa": "aa", "mean": "mean"}, "t", "AUC")
    assert png.startswith(b"\x89PNG")


def test_without_matplotlib_the_mend_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(VoicebotError, match=r"voicebot\[plot\]"):
        need_matplotlib("--html and --plots")
