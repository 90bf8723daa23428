from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import structlog

from voicebot.serving.prompts import Prompt, Prompts, PromptsParams


def record(folder: Path, name: str, rate: int = 16000, seconds: float = 0.5) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    t = np.arange(round(rate * seconds)) / rate
    sf.write(folder / f"{name}.wav", (0.3 * np.sin(2 * np.pi * 440 * t)).astype(np.float32), rate)


def test_a_prompt_at_the_rate_of_the_line(tmp_path: Path) -> None:
    for name in Prompt:
        record(tmp_path / "en", name.value)
    prompts = Prompts(PromptsParams(folder=str(tmp_path)), "en")
    for rate in (8000, 16000):
        pcm = prompts.at(Prompt.SOOTHE, rate)
        assert pcm is not None and pcm.dtype == np.int16
        assert len(pcm) == rate // 2
        spectrum = np.abs(np.fft.rfft(pcm))
        assert spectrum.argmax() * rate / len(pcm) == pytest.approx(440, abs=2)


def test_what_is_missing_or_broken_is_told_once_and_not_played(tmp_path: Path) -> None:
    record(tmp_path / "en", "soothe")
    (tmp_path / "en" / "connect.wav").write_bytes(b"no audio at all")
    with structlog.testing.capture_logs() as logs:
        prompts = Prompts(PromptsParams(folder=str(tmp_path)), "en")
    assert prompts.at(Prompt.SOOTHE, 8000) is not None
    assert prompts.at(Prompt.CONNECT, 8000) is None
    assert prompts.at(Prompt.UNAVAILABLE, 8000) is None
    assert [entry["event"] for entry in logs] == ["prompt_unusable", "prompts_missing"]
    assert logs[1]["mend"] == "scripts/make_prompts"
    assert len(logs[1]["files"]) == 2


def test_a_file_of_minutes_is_no_prompt(tmp_path: Path) -> None:
    record(tmp_path / "en", "soothe", 8000, 61.0)
    assert Prompts(PromptsParams(folder=str(tmp_path)), "en").at(Prompt.SOOTHE, 8000) is None


def test_prompts_can_be_switched_off(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        off = Prompts(PromptsParams(folder=str(tmp_path), enabled=False), "en")
    assert off.at(Prompt.SOOTHE, 8000) is None
    assert logs == []
