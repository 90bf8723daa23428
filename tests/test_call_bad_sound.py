"""Sounds that are no angry caller, through the whole of ``voicebot run``: nobody is alerted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests import signals
from tests.cli.command import voicebot
from voicebot import events
from voicebot.events import Alert, CallEnded, CallStarted, Emotion, Event, Final, Pcm

SOUNDS = {
    "silence": signals.silence(20),
    "quiet line": signals.silence(20, dbfs=-60),
    "white noise": signals.white(15, dbfs=-15),
    "touch tones": signals.dtmf("159*0#7423" * 2),
    "long touch tones": signals.dtmf("159*0#7423" * 3, on=0.5, off=0.3),
    "fax calling": signals.fax_calling(10),
    "fax answering": signals.fax_answering(),
    "hold music": signals.music(20),
    "loud hold music": signals.music(20, dbfs=-10),
    "dog": signals.barks(20),
}
DETECTORS = ["cascade", "webrtc"]


def run(calls: dict[str, Path], folder: Path, *options: str) -> dict[str, list[Event]]:
    """The events of each call, all run by one process, which must have nothing to complain of."""
    record = folder / "events.jsonl"
    files = [str(path) for path in calls.values()]
    done = voicebot("run", *files, "--events", str(record), *options)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    names = {str(path): name for name, path in calls.items()}
    found: dict[str, list[Event]] = {}
    for line in record.read_text("utf-8").splitlines():
        event = events.from_json(line)
        if isinstance(event, CallStarted):
            kept = found[names[event.source]] = []
        kept.append(event)
    assert found.keys() == calls.keys()
    for kept in found.values():
        assert isinstance(kept[-1], CallEnded)
    return found


def write(folder: Path, sounds: dict[str, Pcm], rate: int = signals.RATE) -> dict[str, Path]:
    paths = {}
    for name, pcm in sounds.items():
        paths[name] = folder / f"{name.replace(' ', '_')}.wav"
        soundfile.write(paths[name], pcm, rate)
    return paths


def settings(folder: Path, detector: str) -> str:
    path = folder / "config.yaml"
    path.write_text(f"vad:\n  engine: {detector}\n")
    return str(path)


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[Event]]]:
    """What comes of every sound, by detector."""
    found = {}
    for detector in DETECTORS:
        folder = tmp_path_factory.mktemp(detector)
        calls = write(folder, SOUNDS)
        found[detector] = run(calls, folder, "-l", "none", "-c", settings(folder, detector))
    return found


def alerts(found: list[Event]) -> list[Alert]:
    return [event for event in found if isinstance(event, Alert)]


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("name", SOUNDS)
def test_no_alert(name: str, detector: str, heard: dict[str, dict[str, list[Event]]]) -> None:
    assert alerts(heard[detector][name]) == []


@pytest.mark.parametrize("name", SOUNDS)
def test_the_default_detector_takes_none_of_them_for_speech(
    name: str, heard: dict[str, dict[str, list[Event]]]
) -> None:
    ended = heard["cascade"][name][-1]
    assert isinstance(ended, CallEnded)
    assert ended.utterances == 0


def test_what_fools_a_detector_reaches_models_that_are_not_fooled(
    heard: dict[str, dict[str, list[Event]]],
) -> None:
    """Else that WebRTC alerts nobody would say nothing of what comes after it."""
    fooled = {name for name, found in heard["webrtc"].items() if found[-1].utterances}  # type: ignore[attr-defined]
    assert fooled >= set(SOUNDS) - {"silence", "quiet line"}
    scored = {
        n for n, found in heard["webrtc"].items() if any(isinstance(e, Emotion) for e in found)
    }
    assert {"touch tones", "fax calling"} <= scored


def test_calm_speech_of_another_language_than_was_set(data: Path, tmp_path: Path) -> None:
    """Words are misheard and mean nothing; nobody is alerted for them."""
    parts: list[Pcm] = [signals.silence(1.0)]
    spoken = ["ko_4", "ko_6", "zh_8", "zh_9"]
    for name in spoken:
        samples, rate = soundfile.read(data / f"stt_{name}.flac", dtype="int16")
        parts += [np.asarray(samples, np.int16), np.zeros(round(1.2 * rate), np.int16)]
    found = run(write(tmp_path, {"calm": np.concatenate(parts)}, rate), tmp_path, "-l", "en")
    assert alerts(found["calm"]) == []
    finals = [event for event in found["calm"] if isinstance(event, Final)]
    assert len(finals) >= len(spoken)
    assert any(final.text for final in finals), "something is made of it"


@pytest.mark.shared
@pytest.mark.parametrize("detector", DETECTORS)
def test_animals_and_people_without_words_alert_nobody(
    detector: str, shared_data: Path, tmp_path: Path
) -> None:
    """Three recordings of each kind in a row, as one call."""
    sounds: dict[str, Pcm] = {}
    for kind in ("dog_bark", "rooster", "baby_cry", "person_sneeze"):
        parts: list[Pcm] = []
        for path in sorted((shared_data / "noise").glob(f"esc10_{kind}_*.ogg"))[::14]:
            samples, rate = soundfile.read(path, dtype="int16")
            assert rate == signals.RATE
            parts += [np.asarray(samples, np.int16), signals.silence(0.5, dbfs=-65)]
        sounds[kind] = np.concatenate(parts)
    calls = write(tmp_path, sounds)
    options = ("-l", "none", "-c", settings(tmp_path, detector))
    for name, found in run(calls, tmp_path, *options).items():
        assert alerts(found) == [], name
