"""Figures of one corpus."""

from __future__ import annotations

import numpy as np
import pytest

from voicebot.training.text_corpora import Example
from voicebot.training.text_rows import best_f1, row_of


def test_best_f1() -> None:
    assert best_f1([3, 2, 1, 0], [1, 1, 0, 0]) == 1.0
    assert best_f1([3, 2, 1, 0], [0, 1, 0, 1]) == pytest.approx(2 / 3)


def test_a_row_says_what_was_measured() -> None:
    examples = [Example("x", "toy", "dev", float(n < 3), None) for n in range(10)]
    row = row_of(np.linspace(2, -2, 10), examples, "en", "dev", 1.5)
    assert row is not None
    assert (row.corpus, row.split, row.n, row.prevalence) == ("toy", "dev", 10, 0.3)
    assert (row.auc, row.ap, row.f1, row.ms_per_text) == (1.0, 1.0, 1.0, 1.5)
    assert 0 < row.ece < 1


def test_texts_of_one_kind_have_no_figures() -> None:
    assert row_of(np.zeros(2), [Example("x", "toy", "dev", 0.0, None)] * 2, "en", "dev") is None
