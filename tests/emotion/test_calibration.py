"""Calibration: the line is found again, the prior is moved, files are checked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.emotion.calibration import (
    FILE,
    LOGIT_LIMIT,
    REFERENCE_LOGIT,
    Calibration,
    Platt,
    brier,
    expected_calibration_error,
    fit_platt,
    fit_temperature,
    read_calibration,
    score_from,
    sigmoid,
    write_calibration,
)
from voicebot.errors import ModelError, OutputError
from voicebot.events import EMOTIONS


def drawn(slope: float, intercept: float, n: int = 20000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    raw = rng.normal(0, 2, n)
    return raw, (rng.random(n) < sigmoid(slope * raw + intercept)).astype(float)


def test_the_line_that_made_the_data_is_found_again() -> None:
    raw, angry = drawn(0.6, -1.2)
    platt = fit_platt(raw, angry)
    assert platt.slope == pytest.approx(0.6, abs=0.03)
    assert platt.intercept == pytest.approx(-1.2, abs=0.05)
    assert platt.n == 20000
    assert platt.prior == pytest.approx(np.mean(angry))


def test_weights_move_the_prior_and_not_the_evidence() -> None:
    raw, angry = drawn(0.8, -1.0)
    plain = fit_platt(raw, angry)
    weighted = fit_platt(raw, angry, np.where(angry > 0, 3.0, 1.0))
    assert weighted.prior > plain.prior + 0.1
    assert weighted.evidence(1.0) == pytest.approx(plain.evidence(1.0), abs=0.1)


def test_separable_data_still_converges() -> None:
    raw = np.linspace(-5, 5, 50)
    platt = fit_platt(raw, raw > 0)
    assert np.isfinite(platt.slope)
    assert platt.slope > 0


@pytest.mark.parametrize("angry", [np.zeros(5), np.ones(5)])
def test_one_class_is_refused(angry: np.ndarray) -> None:
    with pytest.raises(ValueError, match="both"):
        fit_platt(np.arange(5.0), angry)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="shape"):
        fit_platt(np.arange(5.0), np.ones(4))


def test_no_evidence_gives_the_reference_prior() -> None:
    platt = Platt(slope=2.0, intercept=-1.5, prior=float(sigmoid(-1.5)))
    assert platt.logit(0.0) == pytest.approx(REFERENCE_LOGIT)


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_the_logit_is_monotone_and_limited(a: float, b: float) -> None:
    platt = Platt(0.7, 0.2, 0.3)
    low, high = sorted((a, b))
    assert -LOGIT_LIMIT <= platt.logit(low) <= platt.logit(high) <= LOGIT_LIMIT


@given(st.lists(st.floats(0, 1), min_size=7, max_size=7), st.floats(-8, 8), st.floats(0.25, 4))
def test_a_score_is_a_distribution_with_the_given_anger(
    p: list[float], logit: float, temperature: float
) -> None:
    score = score_from(p, logit, temperature)
    assert list(score.probabilities) == list(EMOTIONS)
    assert sum(score.probabilities.values()) == pytest.approx(1.0)
    assert score.probabilities["anger"] == pytest.approx(score.anger)


def test_the_line_of_the_language_is_taken() -> None:
    calibration = Calibration(Platt(1, 0, 0.5), {"ko": Platt(1, 2, 0.5)})
    p = np.full(7, 1 / 7)
    difference = (
        calibration.score(p, 0.0, "ko").anger_logit - calibration.score(p, 0.0, "en").anger_logit
    )
    assert difference == pytest.approx(2.0)


def test_temperature_of_overconfident_predictions_is_above_one() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 1, (4000, 4))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = np.array([rng.choice(4, p=row) for row in p])
    assert fit_temperature(logits, labels) == pytest.approx(1.0, abs=0.1)
    assert fit_temperature(logits * 3, labels) == pytest.approx(3.0, abs=0.3)


def test_measures_by_hand() -> None:
    assert brier([0.5, 1.0], [1, 1]) == pytest.approx(0.125)
    assert expected_calibration_error([0.9, 0.9], [1, 0], bins=10) == pytest.approx(0.4)
    assert expected_calibration_error([0.0, 1.0], [0, 1]) == 0.0


def test_write_and_read(tmp_path: Path) -> None:
    calibration = Calibration(Platt(0.5, -1, 0.25, 99), {"en": Platt(1.5, 0, 0.5, 3)}, 1.3, "x", "")
    write_calibration(tmp_path, calibration)
    assert read_calibration(tmp_path) == calibration


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": 9, "anger": {}}',
        '{"format": 1}',
        '{"format": 1, "anger": 3}',
        '{"format": 1, "anger": {"slope": -1}}',
        '{"format": 1, "anger": {"slope": NaN}}',
        '{"format": 1, "anger": {"prior": 1.0}}',
        '{"format": 1, "anger": {"slop": 1}}',
        '{"format": 1, "anger": {}, "temperature": 0}',
        '{"format": 1, "anger": {}, "colour": "red"}',
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ModelError, match=FILE):
        read_calibration(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="missing"):
        read_calibration(tmp_path)


def test_writing_where_one_may_not(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=FILE):
        write_calibration(tmp_path / "absent", Calibration())


def test_the_file_is_plain_json(tmp_path: Path) -> None:
    write_calibration(tmp_path, Calibration(data="held-out corpora"))
    assert json.loads((tmp_path / FILE).read_text())["data"] == "held-out corpora"
