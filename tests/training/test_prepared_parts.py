"""A part of a corpus: each clip trimmed and levelled or at fault, and kept whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.emotion.test_features import speechlike
from voicebot.audio.pcm import to_float
from voicebot.training.augmentation import TARGET_DBFS, active_rms
from voicebot.training.prepared_parts import (
    MARGIN_SECONDS,
    Fault,
    Part,
    finished,
    prepare_part,
    read_part,
    trimmed,
    write_part,
)


@pytest.fixture
def part(tmp_path: Path) -> Part:
    """A voice, silence and a broken file."""
    soundfile.write(tmp_path / "voice.wav", speechlike(hz=180, seconds=1.0), 8000)
    soundfile.write(tmp_path / "silent.wav", np.full(8000, 7, np.int16), 8000)
    (tmp_path / "broken.wav").write_bytes(b"RIFFrubbish")
    return prepare_part([tmp_path / f"{name}.wav" for name in ("voice", "silent", "broken")])


def test_each_clip_has_samples_or_a_fault(part: Part) -> None:
    voice, silent, broken = part.samples
    assert 20 * np.log10(active_rms(to_float(voice))) == pytest.approx(TARGET_DBFS, abs=0.1)
    assert len(silent) == len(broken) == 0
    none, no_sound, unreadable = part.faults
    assert none is None
    assert no_sound == (Fault.SILENT, "no sound at all")
    assert unreadable is not None and unreadable[0] is Fault.BROKEN
    assert "broken.wav" in unreadable[1]


def test_noise_is_not_taken_for_silence() -> None:
    noisy = (speechlike() // 4 + np.random.default_rng(0).normal(size=16000) * 400).astype(np.int16)
    around = (np.random.default_rng(1).normal(size=8000) * 400).astype(np.int16)
    whole = np.concatenate([around, noisy, around])
    assert len(trimmed(whole)) == len(whole)


def test_what_is_cut_leaves_a_margin() -> None:
    quiet = np.random.default_rng(0).normal(size=16000).astype(np.int16)
    whole = np.concatenate([quiet, speechlike(hz=180, seconds=1.0), quiet])
    assert len(trimmed(whole)) / 8000 == pytest.approx(1.0 + 2 * MARGIN_SECONDS, abs=0.03)
    assert len(trimmed(np.zeros(800, np.int16))) == 800, "silence is left to who asks for sound"


def test_what_was_kept_is_read_back_whole_or_not_at_all(part: Part, tmp_path: Path) -> None:
    path = tmp_path / "0.npz"
    assert read_part(path) is None
    write_part(path, part)
    again = finished(path)
    assert again.faults == part.faults
    for one, other in zip(again.samples, part.samples, strict=True):
        np.testing.assert_array_equal(one, other)
    path.write_bytes(path.read_bytes()[:50])
    assert read_part(path) is None
    with pytest.raises(OSError, match="not as it was written"):
        finished(path)
