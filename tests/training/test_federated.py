"""The sums that sites give away come to what pooled clips would."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.sites import RECIPE, A, B, averaged, make_site, pool
from voicebot.emotion.calibration import fit_platt
from voicebot.errors import ModelError
from voicebot.training.acoustic_model import Floats
from voicebot.training.federated import Scaling, calibrated, logit_counts, moments, scaling
from voicebot.training.federated_training import to_fitted
from voicebot.training.speech_corpora import balanced_weights


def test_sums_of_sites_scale_as_pooled_clips_do() -> None:
    apart, together = scaling([moments(A), moments(B)]), scaling([moments(pool(A, B))])
    assert np.allclose(apart.mean, together.mean, rtol=1e-5)
    assert np.allclose(apart.scale, together.scale, rtol=1e-4)
    x, _, weight = pool(A, B).training
    mean = np.average(x, axis=0, weights=weight)
    assert np.allclose(apart.mean, mean, rtol=1e-5)
    assert np.allclose(apart.scale**2, np.average((x - mean) ** 2, axis=0, weights=weight), 1e-3)


def test_clips_count_at_a_site_as_they_do_in_the_pool() -> None:
    weight = np.concatenate([site.training[2] for site in (A, B)])
    together = pool(A, B)
    train = [clip for clip in together.clips if clip.split == "train"]
    expected = balanced_weights(train)
    a = int(A.rows("train").sum())
    rows = np.concatenate([weight[:a], weight[2 * a : 2 * a + len(train) - a]])
    assert np.allclose(rows / rows.mean(), expected)


def test_counts_calibrate_as_the_logits_themselves_do() -> None:
    weights, scale = averaged([A])
    fitted = to_fitted(weights, scale, RECIPE)
    rows = A.rows("dev")
    _, raw = fitted.predict(A.tables[0, rows])
    clips = [clip for clip, row in zip(A.clips, rows, strict=True) if row]
    exact = fit_platt(raw, [float(c.angry) for c in clips], balanced_weights(clips))
    found = calibrated([logit_counts(fitted, A)])
    assert found.n == len(clips)
    # The targets that Platt smooths depend a little on how many clips or bins there are.
    assert found.slope == pytest.approx(exact.slope, rel=0.1)
    assert found.prior == pytest.approx(exact.prior, abs=1e-6)
    for value in (-3.0, 0.0, 3.0):
        assert found.logit(value) == pytest.approx(exact.logit(value), abs=0.4)


@pytest.mark.parametrize(("emotions", "told"), [("a", "0 other"), ("ns", "0 angry")])
def test_a_site_with_one_kind_of_clips_is_named(emotions: str, told: str) -> None:
    with pytest.raises(ModelError, match=rf"site 'lone'.*{told}"):
        make_site("lone", ("aa",), emotions=emotions).check()


def test_a_site_with_too_few_clips() -> None:
    small = make_site("small", ("aa",), clips=30)
    with pytest.raises(ModelError, match="10 angry and 20 other"):
        small.check()
    small.check(min_clips=10)


def test_features_far_away_are_bounded() -> None:
    scale = Scaling(np.zeros(2, np.float32), np.ones(2, np.float32))
    wild: Floats = np.array([[1e6, -1e6]], np.float32)
    assert np.array_equal(scale.apply(wild), [[4.0, -4.0]])
