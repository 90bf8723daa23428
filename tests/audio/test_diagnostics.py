from __future__ import annotations

import numpy as np

from voicebot.audio.diagnostics import Inspector
from voicebot.events import Leg

BOTH = (Leg.CALLER, Leg.AGENT)


def test_clean_audio_passes_untouched() -> None:
    inspector = Inspector("a.wav", BOTH)
    samples = np.full((100, 2), 0.3, np.float32)
    assert inspector.clean(samples) is samples
    assert inspector.findings() == []


def test_each_leg_is_judged_alone() -> None:
    inspector = Inspector("a.wav", BOTH)
    loud = np.ones(1000, np.float32)
    inspector.clean(np.stack((loud, 0 * loud), axis=1))
    caller, agent = inspector.findings()
    assert "a.wav: the caller leg is far too loud, 100%" in caller
    assert "a.wav: the agent leg is digital silence" in agent


def test_a_few_clipped_samples_are_fine() -> None:
    inspector = Inspector("a.wav", BOTH)
    samples = np.full((1000, 2), 0.3, np.float32)
    samples[:9] = 1.0
    inspector.clean(samples)
    assert inspector.findings() == []


def test_no_number_becomes_silence_and_the_absurd_is_limited() -> None:
    inspector = Inspector("a.wav", BOTH)
    samples = np.array([[np.nan, 0.5], [-np.inf, 1e30]], np.float32)
    np.testing.assert_array_equal(inspector.clean(samples), [[0, 0.5], [0, 4]])
    assert "a.wav: 2 samples are not a number" in inspector.findings()[0]


def test_no_audio_at_all() -> None:
    inspector = Inspector("a.wav", BOTH)
    inspector.clean(np.empty((0, 2), np.float32))
    (finding,) = inspector.findings()
    assert "no audio at all" in finding
