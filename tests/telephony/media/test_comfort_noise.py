from __future__ import annotations

import numpy as np
import pytest

from voicebot.audio.pcm import rms_dbfs
from voicebot.telephony.media.comfort_noise import ComfortNoise


@pytest.mark.parametrize(("octet", "level"), [(40, -40), (60, -60), (0, -30), (0x80 | 50, -50)])
def test_levels(octet: int, level: float) -> None:
    noise = ComfortNoise()
    noise.update(bytes([octet, 5, 5]))  # the spectrum is passed over
    assert rms_dbfs(noise.take(8000)) == pytest.approx(level, abs=0.5)


def test_silence() -> None:
    noise = ComfortNoise()
    assert not np.any(noise.take(100))
    noise.update(b"")
    assert not np.any(noise.take(100))
    noise.update(b"\x30")
    assert np.any(noise.take(100))
    noise.silence()
    assert not np.any(noise.take(100))
