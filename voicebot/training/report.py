"""What a training run hands back, and how far it is on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Progress = Callable[[str, float], None]
"""Called with what is being done and the share of it that is done, 0-1."""

Table = Mapping[str, Mapping[str, float]]
"""Row to column to value: a corpus, and its figures."""


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What was trained."""

    folders: tuple[Path, ...]
    """model folders written"""
    figures: Table
    """on speech or text that the models were not trained on"""
    seconds: float
    """s, wall clock"""
    notes: tuple[str, ...] = field(default=())
    """what a reader of the figures should know"""
