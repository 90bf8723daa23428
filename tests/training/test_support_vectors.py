"""Support vectors: what they learn, and on whom their penalty is chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voicebot.emotion.calibration import ANGER
from voicebot.events import EMOTIONS
from voicebot.training import support_vectors
from voicebot.training.evaluation import aucs_by
from voicebot.training.speech_corpora import Clip
from voicebot.training.support_vectors import FittedMachine, Machine, fit_machine

NEUTRAL = EMOTIONS.index("neutral")


def made(count: int, split: str, seed: int) -> tuple[np.ndarray, list[Clip]]:
    """Anger is a ring around the rest: no line tells them apart."""
    rng = np.random.default_rng(seed)
    angry = np.arange(count) % 2 == 0
    around = rng.uniform(0, 2 * np.pi, count)
    radius = np.where(angry, 3.0, 1.0) + rng.normal(size=count) * 0.2
    x = np.column_stack([radius * np.cos(around), radius * np.sin(around)]) * [1.0, 100.0]
    clips = [
        Clip(Path("x"), f"{i}", "ab"[i // 2 % 2], "en", split, emotion, 1.0, split, "")
        for i, emotion in enumerate(np.where(angry, ANGER, NEUTRAL).tolist())
    ]
    return x.astype(np.float32), clips


def fitted(shape: Machine, with_dev: bool = False) -> FittedMachine:
    x, clips = made(80, "train", 0)
    dev_x, dev = made(40, "dev", 1)
    if with_dev:
        x, clips = np.concatenate([x, dev_x]), clips + dev
    return fit_machine(np.stack([x, x]), clips, shape, 0, (dev_x, dev), lambda share: None)


@pytest.mark.parametrize("components", [None, 2, 50])
def test_it_learns_what_no_line_can_tell(components: int | None) -> None:
    model = fitted(Machine(components))
    x, clips = made(60, "test", 2)
    found = aucs_by(np.full(60, "a"), model.anger(x), np.array([c.angry for c in clips]))
    assert found["a"] > 0.95
    assert model.numbers > 4


def test_the_penalty_is_chosen_on_dev_speakers_and_all_are_then_learnt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[tuple[int, ...], float]] = []
    real = support_vectors._fit

    def noted(tables: Any, clips: Any, penalty: float, *rest: Any) -> FittedMachine:
        asked.append((tables.shape[:2], penalty))
        return real(tables, clips, penalty, *rest)

    monkeypatch.setattr(support_vectors, "_fit", noted)
    monkeypatch.setattr(support_vectors, "aucs_by", lambda *a: {"a": 0.9 - abs(asked[-1][1] - 1)})
    fitted(Machine(penalties=(0.5, 1.0, 1.5)), with_dev=True)
    assert asked == [((1, 80), 0.5), ((1, 80), 1.0), ((1, 80), 1.5), ((2, 120), 1.0)]
    asked.clear()
    fitted(Machine(penalties=(0.5, 1.0)))
    assert asked[-1] == ((2, 80), 1.0)


def test_with_dev_clips_of_one_kind_it_still_fits() -> None:
    x, clips = made(40, "train", 0)
    judges = x[1::2], clips[1::2]
    model = fit_machine(x[np.newaxis], clips, Machine(penalties=(1.0,)), 0, judges, lambda s: None)
    assert np.isfinite(model.anger(x)).all()
