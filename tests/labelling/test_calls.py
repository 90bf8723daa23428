"""Finding recordings, reading one, drawing it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.labelling.recordings import write_call
from voicebot.errors import AudioError, LabelError
from voicebot.events import Leg
from voicebot.labelling.calls import find_calls, loudness, read_call


def test_a_folder_is_searched_and_a_file_taken(tmp_path: Path) -> None:
    for name in ("b.wav", "2024/a.WAV", "notes.txt", "labels/ann/b.wav.json"):
        path = tmp_path / "calls" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    odd = tmp_path / "odd.bin"
    odd.write_text("")
    assert find_calls([tmp_path / "calls", odd]) == {
        "2024/a.WAV": tmp_path / "calls/2024/a.WAV",
        "b.wav": tmp_path / "calls/b.wav",
        "odd.bin": odd,
    }


def test_what_cannot_be_found(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="no recordings"):
        find_calls([tmp_path])
    with pytest.raises(LabelError, match="no such file"):
        find_calls([tmp_path / "absent"])
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.wav").write_text("")
    with pytest.raises(LabelError, match=r"both would be the call 'a\.wav'"):
        find_calls([tmp_path / "x/a.wav", tmp_path / "y/a.wav"])
    assert len(find_calls([tmp_path / "x/a.wav", tmp_path / "x/a.wav"])) == 1


def test_a_call_with_its_utterances(tmp_path: Path) -> None:
    audio = read_call(write_call(tmp_path / "a.wav"))
    assert set(audio.legs) == {Leg.CALLER, Leg.AGENT}
    assert audio.seconds == pytest.approx(soundfile.info(tmp_path / "a.wav").duration)
    assert len(audio.speech) == 2
    (first, end), (second, last) = audio.speech
    assert 0.3 < first < 1.2 < end < second < last < audio.seconds


def test_mono_is_the_caller_and_an_agent_alone_is_refused(tmp_path: Path) -> None:
    path = write_call(tmp_path / "a.wav", two_legs=False)
    assert set(read_call(path).legs) == {Leg.CALLER}
    with pytest.raises(AudioError, match="no leg is the caller's"):
        read_call(path, legs=(Leg.AGENT,))


def test_an_endless_recording_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicebot.labelling.calls.MAX_SECONDS", 2.0)
    with pytest.raises(AudioError, match="too long for one call"):
        read_call(write_call(tmp_path / "a.wav"))


def test_the_outline() -> None:
    pcm = np.array([0, 16384, -32768, 8192], np.int16)
    assert loudness(pcm, 2) == [0.5, 1.0]
    assert loudness(pcm, 100) == [0.0, 0.5, 1.0, 0.25]
    assert loudness(pcm[:0], 5) == []
