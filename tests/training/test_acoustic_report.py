"""The report of a voice model: what it says, and of what it says nothing."""

from __future__ import annotations

import numpy as np

from tests.training.made_up import crowd, predictions
from voicebot.training.acoustic_report import (
    BASE,
    CONDITIONS,
    HARD,
    Heard,
    condition_table,
    confuser_table,
    lone_voices,
    report,
)
from voicebot.training.predictions import Predictions, join


def noisy(p: Predictions, by: float, seed: int) -> Predictions:
    rng = np.random.default_rng(seed)
    return predictions(
        list(p.logit + by * rng.normal(size=len(p))), list(p.emotion), corpus=list(p.corpus),
        speaker=list(p.speaker), gender=list(p.gender), snr_db=list(p.snr_db),
    )  # fmt: skip


def heard(left_out: bool = False) -> Heard:
    base = crowd()
    conditions = {
        name: noisy(base, 0.0 if name == BASE else 2.0, i) for i, name in enumerate(CONDITIONS)
    }
    happy = base.select(base.emotion == 3)
    return Heard(conditions, happy, crowd(1), {BASE: crowd(2), HARD: crowd(3)} if left_out else {})


def test_everything_is_told() -> None:
    found = report(heard(left_out=True), "test", draw=True, began=0.0)
    titles = " / ".join(t.title for t in found.tables)
    for word in ("Anger against", "best F1 on dev", "emotions", "Calibration", "language", "gender",
                 "speaker", "signal-to-noise", "codec", "Loud joy", "left out"):  # fmt: skip
        assert word in titles
    assert {p.name for p in found.pictures} >= {
        "roc",
        "det",
        "reliability",
        "confusion",
        "speakers",
    }
    assert all(p.png.startswith(b"\x89PNG") for p in found.pictures)
    assert any(line.startswith("Worst speaker: ") for line in found.summary)
    assert any("left out" in line for line in found.summary)
    for table in found.tables:
        for row in table.rows:
            assert [table.cell(row, key) for key in table.columns]


def test_without_dev_and_happy_clips_the_rest_is_told() -> None:
    some = heard()
    nobody = some.loud.select(np.zeros(len(some.loud), dtype=bool))
    calm = {n: p.select(p.emotion != 3) for n, p in some.conditions.items()}
    found = report(Heard(calm, nobody, nobody, {}), "test", draw=False, began=0.0)
    titles = " / ".join(t.title for t in found.tables)
    assert "dev" not in titles
    assert "joy" not in titles
    assert found.pictures == ()


def test_the_drop_compares_the_same_corpora() -> None:
    base = crowd()
    only = base.select(base.corpus == "aa")
    rows = condition_table({"first": base, "second": only})
    assert rows["second"]["drop"] == 0.0
    assert "bb" not in rows["second"]


def test_loud_joy_is_judged_at_the_threshold_of_angry_clips() -> None:
    base = predictions([5.0, 4, 3, 2, 1] + [0.0] * 5, [0] * 5 + [3] * 5)
    loud = predictions([9.0] * 4 + [0.0], [3] * 5)
    rows = confuser_table(base, loud)
    assert rows["aa"]["called_angry"] == 0.0
    assert rows["aa"]["called_loud"] == 0.8


def test_a_corpus_whose_anger_is_one_voice_is_named() -> None:
    p = join([
        predictions([1.0] * 6, [0] * 6, speaker="aa:loud"),
        predictions([0.0] * 6, [4] * 6, speaker="aa:calm"),
    ])  # fmt: skip
    (line,) = lone_voices(p)
    assert "6 of 6 angry clips are of aa:loud" in line
    assert lone_voices(crowd()) == []
