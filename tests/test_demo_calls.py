"""The bundled demo calls are sound, and can be made again (scripts/make_demo_calls)."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "voicebot" / "assets" / "demo"
CALLS = ["angry_en", "angry_ko", "happy_loud_en"]


def module(name: str) -> Any:
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    return importlib.import_module(f"scripts.demo_calls.{name}")


def load(name: str) -> tuple[np.ndarray, dict[str, Any]]:
    audio, rate = sf.read(DEMO / f"{name}.flac", dtype="int16")
    assert rate == 8000
    story: dict[str, Any] = json.loads((DEMO / f"{name}.json").read_text(encoding="utf-8"))
    return audio, story


def rms(samples: np.ndarray) -> float:
    """dBFS."""
    return float(10 * np.log10(np.mean((samples / 32768.0) ** 2) + 1e-12))


@pytest.mark.parametrize("name", CALLS)
def test_call_is_two_legs_of_the_length_in_its_story(name: str) -> None:
    audio, story = load(name)
    assert audio.ndim == 2 and audio.shape[1] == 2
    assert len(audio) / 8000 == pytest.approx(story["seconds"], abs=0.01)
    assert story["channels"] == ["caller", "agent"]
    assert story["seconds"] < 90
    assert (DEMO / f"{name}.flac").stat().st_size < 1_000_000


@pytest.mark.parametrize("name", CALLS)
def test_story_is_in_order_and_within_the_call(name: str) -> None:
    _, story = load(name)
    assert story["name"] == name
    assert story["expected"]["escalates"] is (name == "angry_en")
    end = 0.0
    for turn in story["utterances"]:
        assert turn["leg"] in story["channels"]
        assert turn["text"].strip()
        assert end <= turn["start"] < turn["end"] <= story["seconds"]
        end = turn["end"]
    moods = [turn["mood"] for turn in story["utterances"] if turn["leg"] == "caller"]
    if name.startswith("angry"):
        assert moods[0] == "calm"
        assert sum(mood in ("angry", "furious") for mood in moods) >= 3
    else:
        assert set(moods) == {"happy"}


@pytest.mark.parametrize("name", CALLS)
def test_speech_is_where_the_story_says_and_silence_elsewhere(name: str) -> None:
    audio, story = load(name)
    speaking = {"caller": np.zeros(len(audio), bool), "agent": np.zeros(len(audio), bool)}
    for turn in story["utterances"]:
        span = slice(round(turn["start"] * 8000), round(turn["end"] * 8000))
        side = story["channels"].index(turn["leg"])
        assert -40 < rms(audio[span, side]) < -10, turn
        assert rms(audio[span, 1 - side]) < -55, turn
        # 50 ms about it, as the ends in the story are rounded and filters ring.
        speaking[turn["leg"]][max(span.start - 400, 0) : span.stop + 400] = True
    for side, leg in enumerate(story["channels"]):
        assert rms(audio[~speaking[leg], side]) < -55
        assert np.abs(audio[:, side]).max() < 32000  # nothing clips


@pytest.mark.parametrize("name", CALLS)
def test_call_is_telephone_band_and_has_been_through_mulaw(name: str) -> None:
    from voicebot.audio import g711

    audio, _ = load(name)
    for leg in audio.T:
        power = np.abs(np.fft.rfft(leg.astype(float))) ** 2
        frequency = np.fft.rfftfreq(len(leg), 1 / 8000)
        assert power[frequency < 60].sum() < 0.01 * power.sum()
        assert power[frequency > 3750].sum() < 0.01 * power.sum()
        assert set(np.unique(leg)) <= set(g711.decode_mulaw(bytes(range(256))).tolist())


def test_loud_joy_is_as_loud_as_anger() -> None:
    """Else the happy call would prove nothing about loudness."""
    levels = {}
    for name, wanted in (("angry_en", ("angry", "furious")), ("happy_loud_en", ("happy",))):
        audio, story = load(name)
        spans = [
            audio[round(t["start"] * 8000) : round(t["end"] * 8000), 0]
            for t in story["utterances"]
            if t["leg"] == "caller" and t["mood"] in wanted
        ]
        levels[name] = rms(np.concatenate(spans))
    assert levels["happy_loud_en"] > levels["angry_en"] - 3


@pytest.mark.parametrize(
    ("spelling", "spoken"),
    [
        ("같이", "kaʨʰi"),  # palatalised
        ("합니다", "hamnida"),  # nasalised
        ("좋다", "ʨotʰa"),  # aspirated
        ("물건이", "mulɡʌni"),  # linked, voiced
        ("연락", "jʌllak"),  # lateralised
        ("없었어요", "ʌpsʌsʌjo"),  # cluster linked
        ("괜찮아요, 네.", "kwɛnʨʰanajo, ne."),  # silent h; marks stay
    ],
)
def test_hangul_is_spoken_by_the_rules(spelling: str, spoken: str) -> None:
    assert module("hangul").phonemes(spelling) == spoken


def sawtooth(f0: float, seconds: float = 0.8, rate: int = 24000) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return np.asarray(0.3 * sum(np.sin(2 * np.pi * f0 * k * t) / k for k in range(1, 20)))


@pytest.mark.parametrize("shift", [0.8, 1.25, 1.5])
def test_pitch_is_bent_by_what_was_asked(shift: float) -> None:
    prosody = module("prosody")
    bent = prosody.bend_pitch(sawtooth(150), 24000, shift, 1.0)
    assert len(bent) == pytest.approx(0.8 * 24000, abs=10)
    f0, _ = prosody.track_pitch(bent, 24000)
    assert np.median(f0[f0 > 0]) == pytest.approx(150 * shift, rel=0.03)


def test_mood_sets_level_brightness_and_dynamics() -> None:
    prosody = module("prosody")
    voice = sawtooth(150) * np.linspace(0.2, 1, round(0.8 * 24000))
    soft = prosody.apply(voice, 24000, prosody.Mood(level=-30, tilt=-3))
    bright = prosody.apply(voice, 24000, prosody.Mood(level=-16, tilt=6))
    hammered = prosody.apply(voice, 24000, prosody.Mood(level=-16, emphasis=1.5))
    assert 20 * np.log10(prosody.speech_rms(soft, 24000)) == pytest.approx(-30, abs=0.1)
    assert 20 * np.log10(prosody.speech_rms(hammered, 24000)) == pytest.approx(-16, abs=0.1)

    def balance(x: np.ndarray) -> float:
        """dB above 2 kHz against below 500 Hz."""
        power = np.abs(np.fft.rfft(x)) ** 2
        frequency = np.fft.rfftfreq(len(x), 1 / 24000)
        return float(10 * np.log10(power[frequency > 2000].sum() / power[frequency < 500].sum()))

    def rise(x: np.ndarray) -> float:
        """dB, of the second half against the first."""
        return rms(x[len(x) // 2 :]) - rms(x[: len(x) // 2])

    assert balance(bright) - balance(soft) == pytest.approx(9, abs=1)
    assert rise(hammered) > 1.3 * rise(bright) > 0


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "make_demo_calls"), *arguments],
        capture_output=True, text=True, timeout=120, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng from apt")
def test_making_a_call_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        made = make("happy_loud_en", "--engine", "espeak", "--out", str(tmp_path / folder))
        assert made.returncode == 0, made.stderr
    for name in ("happy_loud_en.flac", "happy_loud_en.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_missing_voices_and_programs_name_the_mend(tmp_path: Path) -> None:
    missing = make("angry_en", "--out", str(tmp_path), "--cache", str(tmp_path / "none"))
    assert missing.returncode == 1
    assert "--fetch" in missing.stderr and "Traceback" not in missing.stderr
    bare = make("angry_en", "--engine", "espeak", "--out", str(tmp_path), PATH="/nonexistent")
    assert bare.returncode == 1
    assert "apt-get install espeak-ng" in bare.stderr and "Traceback" not in bare.stderr
    unknown = make("angry_fr")
    assert unknown.returncode == 2 and "angry_ko" in unknown.stderr
