from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from voicebot.errors import VoicebotError
from voicebot.events import Pcm, Transcript
from voicebot.speech.evaluation import (
    Clip,
    SttResult,
    evaluate_stt,
    read_clip,
    read_manifest,
    rss_mb,
    transcribe,
)


class Parrot:
    """An engine that says one word for each utterance and remembers what it was given."""

    name, language, streaming = "parrot", "en", True

    def __init__(self) -> None:
        self.utterances: list[tuple[int, float, list[Pcm]]] = []

    def open(self, rate: int, start: float) -> Parrot:
        self.utterances.append((rate, start, []))
        return self

    def accept(self, pcm: Pcm) -> None:
        self.utterances[-1][2].append(pcm)

    def finish(self) -> Transcript:
        return Transcript("polly", 0.5, "en", "parrot")

    def abandon(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    tone = (3000 * np.sin(np.arange(16000) / 20)).astype(np.int16)
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, np.stack([tone, tone], axis=1), 16000)
    (tmp_path / "m.csv").write_text("file,language,text\na.wav,en,Polly\nb.wav,en,polly two\n")
    return tmp_path / "m.csv"


def test_errors_time_and_memory_are_measured(manifest: Path) -> None:
    result = evaluate_stt(read_manifest(manifest, "en"), Parrot(), 16000)
    assert (result.errors.errors, result.errors.length, result.clips) == (1, 3, 2)
    assert result.audio_seconds == pytest.approx(2.0)
    assert 0 <= result.real_time_factor < 0.5
    assert result.confidence == 0.5
    assert result.rss_mb > 20 and rss_mb() > 20


def test_the_engine_gets_all_of_the_audio_in_short_frames(manifest: Path) -> None:
    parrot = Parrot()
    pcm = read_clip(manifest.parent / "a.wav", 16000)
    transcribe(parrot, pcm, 16000)
    (rate, start, pieces) = parrot.utterances[0]
    assert (rate, start) == (16000, 0.0)
    assert max(len(piece) for piece in pieces) == 1600
    assert np.array_equal(np.concatenate(pieces), pcm)


def test_long_recordings_are_cut_and_stay_on_the_clock() -> None:
    parrot = Parrot()
    text, confidences = transcribe(parrot, np.ones(8000 * 40, np.int16), 8000)
    starts = [start for _, start, _ in parrot.utterances]
    assert starts[0] == 0.0 and len(starts) >= 3 == len(starts[:3])
    lengths = [sum(map(len, pieces)) / 8000 for _, _, pieces in parrot.utterances]
    assert starts[1:] == pytest.approx(list(np.cumsum(lengths))[:-1])
    assert text == " ".join(["polly"] * len(starts)) and len(confidences) == len(starts)


def test_eight_kilohertz_is_a_telephone(manifest: Path) -> None:
    narrow = read_clip(manifest.parent / "a.wav", 8000)
    assert len(narrow) == 8000
    assert len(np.unique(narrow)) < 256, "mu-law has 256 values"


def test_a_limit_is_spread_over_the_clips(tmp_path: Path) -> None:
    rows = "".join(f"{n}.wav,en,x\n" for n in range(10))
    (tmp_path / "m.csv").write_text("file,language,text\n" + rows)
    names = [clip.path.name for clip in read_manifest(tmp_path / "m.csv", "en", limit=3)]
    assert names == ["0.wav", "3.wav", "6.wav"]


def test_a_bad_manifest_or_clip_is_named(manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(VoicebotError, match="no clip in the language 'ko'"):
        read_manifest(manifest, "ko")
    with pytest.raises(VoicebotError, match=r"none\.csv: No such file"):
        read_manifest(tmp_path / "none.csv", "en")
    (tmp_path / "bad.csv").write_text("path,words\na,b\n")
    with pytest.raises(VoicebotError, match="no column 'language'"):
        read_manifest(tmp_path / "bad.csv", "en")
    with pytest.raises(VoicebotError, match="cannot be read"):
        evaluate_stt([Clip(tmp_path / "gone.wav", "en", "x")], Parrot(), 8000)


def test_the_measure_follows_the_language() -> None:
    from voicebot.speech.text_metrics import ErrorRate

    row = SttResult("ko", "e", 8000, 0, 0.0, ErrorRate(0, 0), 0.0, 0.0, 0.0)
    assert (row.measure, row.real_time_factor) == ("CER", 0.0)
