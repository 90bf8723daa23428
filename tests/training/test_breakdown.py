"""Rows over groups: what is in them, what is left out of them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.made_up import crowd, predictions
from voicebot.training import breakdown, metrics
from voicebot.training.predictions import UNTOLD, join


def test_a_row_over_corpora_is_a_mean_and_not_a_pool() -> None:
    p = crowd()
    # Moving one corpus as a whole changes a pooled AUC, not a mean.
    moved = join([
        p.select(p.corpus == "aa"),
        predictions(list(p.logit[p.corpus == "bb"] + 5), list(p.emotion[p.corpus == "bb"]),
                    corpus="bb", speaker=list(p.speaker[p.corpus == "bb"])),
    ])  # fmt: skip
    row, other = breakdown.ranking(p), breakdown.ranking(moved)
    assert row["auc"] == pytest.approx(other["auc"])
    assert metrics.auc(p.logit, p.angry) != pytest.approx(metrics.auc(moved.logit, moved.angry))
    assert row["low"] < row["auc"] < row["high"]
    assert row["n"] == 240
    assert row["speakers"] == 8


def test_a_corpus_of_one_speaker_has_no_interval() -> None:
    row = breakdown.ranking(crowd(speakers=1, corpora=("aa",)))
    assert "low" in breakdown.ranking(crowd(speakers=2, corpora=("aa",)))
    assert "auc" in row
    assert "low" not in row


def test_one_kind_only_has_counts_and_nothing_else() -> None:
    p = crowd()
    row = breakdown.ranking(p.select(~p.angry))
    assert set(row) == {"n", "angry", "speakers", "abstained"}
    assert breakdown.decided(p.select(p.angry), 0.0) == {}


def test_abstentions_are_counted_left_out_and_asked_all_the_same() -> None:
    p = crowd(corpora=("aa",))
    mute = ["low_snr" if i % 4 == 0 else "" for i in range(len(p))]
    q = predictions(list(p.logit), list(p.emotion), speaker=list(p.speaker), abstained=mute)
    row = breakdown.ranking(q)
    assert row["abstained"] == 0.25
    assert row["auc_all"] == pytest.approx(metrics.auc(p.logit, p.angry))
    assert row["auc"] == pytest.approx(metrics.auc(q.scored.logit, q.scored.angry))


def test_groups_with_an_unknown_one_last() -> None:
    p = predictions([0.0] * 3, [0, 4, 4], gender=["male", "", "female"])
    assert list(breakdown.by("gender", p, breakdown.ranking)) == ["female", "male", "unknown"]


def test_speakers_come_worst_first() -> None:
    logit = [5.0] * 5 + [0.0] * 5 + [0.0] * 5 + [1.0] * 5
    p = predictions(logit, ([0] * 5 + [4] * 5) * 2, speaker=["good"] * 10 + ["bad  one"] * 10)
    table = breakdown.speakers(p)
    assert list(table) == ["bad one", "good"]
    assert table["bad one"] == {"auc": 0.0, "n": 10.0, "angry": 5.0, "calm": 1.0}


def test_bands_of_noise_take_in_every_clip() -> None:
    p = crowd()
    bands = breakdown.snr_bands(p)
    assert sum(row["n"] for row in bands.values()) == len(p)
    assert next(iter(bands)) == "below 4 dB"


def test_the_threshold_of_dev_weighs_corpora_alike() -> None:
    # Ten copies of the clips of one corpus change nothing.
    a = predictions([3.0, 2, 1, 0, -1] * 2, [0, 0, 4, 0, 4] * 2)
    a = join([a, a])
    b = predictions([1.0, 0, -1, -2, -3] * 2, [0, 4, 0, 4, 4] * 2, corpus="bb")
    b = join([b, b])
    assert breakdown.dev_threshold(join([a] * 10 + [b])) == breakdown.dev_threshold(join([a, b]))
    assert breakdown.dev_threshold(a.select(a.angry)) is None


def test_happy_called_angry_by_hand() -> None:
    emotion = [0] * 5 + [3] * 5
    logit = [5.0, 4, 3, 2, 1, 4.5, 2.5, 1.5, 0, 2]
    # 80 % of the angry ones lie at 2 or above; of the happy ones three of five do
    p = predictions(logit, emotion)
    assert breakdown.happy_called_angry(p, p.emotion == 3) == {"called_angry": 0.6, "happy": 5.0}
    assert breakdown.happy_called_angry(p, p.emotion == 2) == {}


def test_the_loudest_quarter_is_each_speakers_own() -> None:
    loud = breakdown.loudest_quarter(["a"] * 4 + ["b"] * 4, [1, 2, 3, 4, 10, 20, 30, 40])
    assert loud.tolist() == [False, False, False, True] * 2


def test_confusion_weighs_corpora_alike_and_skips_what_is_untold() -> None:
    p = predictions([3.0, -3.0, 3.0], [0, 0, UNTOLD])
    table = breakdown.confusion(join([p] * 3))
    assert table[0, 0] == pytest.approx(0.5)
    assert table.sum() == pytest.approx(1.0)
    assert np.all(table[1:] == 0)
