"""Predictions: chosen, joined, filled up."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.made_up import predictions
from voicebot.emotion.calibration import REFERENCE_LOGIT, score_from
from voicebot.training.predictions import filled, join, score_rows


def test_choosing_keeps_the_arrays_together() -> None:
    p = predictions([1.0, 2.0, 3.0], [0, 4, 0], abstained=["", "low_snr", ""])
    assert p.scored.logit.tolist() == [1.0, 3.0]
    assert p.scored.file.tolist() == ["0.wav", "2.wav"]
    assert p.angry.tolist() == [True, False, True]
    both = join([p, p.select(np.array([1]))])
    assert both.logit.tolist() == [1.0, 2.0, 3.0, 2.0]
    assert both.probabilities.shape == (4, 7)
    with pytest.raises(ValueError, match="no label"):
        p.label("logit")


def test_an_abstention_keeps_what_it_would_have_said_or_says_nothing() -> None:
    p = predictions([1.0, np.nan], [0, 4], abstained=["low_snr", "silent"])
    all_of_it = filled(p)
    assert all_of_it.logit.tolist() == [1.0, REFERENCE_LOGIT]
    assert all_of_it.probabilities[1].sum() == pytest.approx(1.0)
    assert len(all_of_it.scored) == 2


def test_rows_of_scores() -> None:
    logit, rows = score_rows([score_from(np.ones(7), 0.0), None])
    assert logit[0] == 0.0
    assert rows[0, 0] == pytest.approx(0.5)
    assert np.isnan(logit[1])
    assert np.isnan(rows[1]).all()
    assert score_rows([])[1].shape == (0, 7)
