"""``voicebot run`` on the bundled calls, with the real engines and models."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
import soundfile

from tests.cli.command import DEMO, start, voicebot
from voicebot import events
from voicebot.events import Alert, CallEnded, Emotion, Event, Final, Leg, State

LANGUAGES = {"angry_en": "en", "angry_ko": "ko", "happy_loud_en": "en"}
VOLATILE = ("call_id", "alert_id", "started_at")
"""Identifiers and wall clock: all that may differ between two runs of the same audio."""


@pytest.fixture(scope="session")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The events of each bundled call, as lines of JSON; one process for each language."""
    folder = tmp_path_factory.mktemp("records")
    found: dict[str, list[str]] = {}
    for name, language in LANGUAGES.items():
        path = folder / f"{name}.jsonl"
        done = voicebot(
            "run", str(DEMO / f"{name}.flac"), "-l", language, "--events", str(path),
            "--plot", str(folder / f"{name}.png"),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        found[name] = path.read_text("utf-8").splitlines()
    return found


def parsed(lines: list[str]) -> list[Event]:
    return [events.from_json(line) for line in lines]


def stable(lines: list[str]) -> list[str]:
    return [
        json.dumps({k: v for k, v in json.loads(line).items() if k not in VOLATILE})
        for line in lines
    ]


def test_the_angry_caller_is_escalated_for_persistent_anger(records: dict[str, list[str]]) -> None:
    found = parsed(records["angry_en"])
    first = next(e for e in found if isinstance(e, Alert))
    assert first.reason == "persistent_anger"
    assert len(first.evidence) >= 2
    assert all(q.text and q.anger is not None and q.anger > 0.3 for q in first.evidence)
    assert [e.state for e in found if isinstance(e, State)][:2] == ["RISING", "ESCALATED"]


@pytest.mark.parametrize("name", ["happy_loud_en", "angry_ko"])
def test_the_others_are_not(name: str, records: dict[str, list[str]]) -> None:
    """One is loud and happy; the other's words are misheard and its synthetic voice is flat."""
    found = parsed(records[name])
    assert not [e for e in found if isinstance(e, Alert)]
    finals = [e for e in found if isinstance(e, Final) and e.leg is Leg.CALLER]
    assert len(finals) >= 4, "the caller was heard"


def test_every_line_satisfies_the_schema_and_names_its_call(records: dict[str, list[str]]) -> None:
    text = resources.files("voicebot").joinpath("assets/events.schema.json").read_text("utf-8")
    validator = jsonschema.Draft202012Validator(json.loads(text))
    for lines in records.values():
        calls = set()
        clock = 0.0
        for line in lines:
            event = json.loads(line)
            validator.validate(event)
            calls.add(event["call_id"])
            assert event["t"] >= clock
            clock = event["t"]
        assert len(calls) == 1
        assert json.loads(lines[0])["type"] == "call_started"
        assert json.loads(lines[-1])["type"] == "call_ended"


def test_only_the_caller_is_scored(records: dict[str, list[str]]) -> None:
    for lines in records.values():
        assert {e.leg for e in parsed(lines) if isinstance(e, Emotion)} == {Leg.CALLER}


def test_the_same_audio_gives_the_same_record(
    records: dict[str, list[str]], tmp_path: Path
) -> None:
    path = tmp_path / "again.jsonl"
    done = voicebot("run", str(DEMO / "angry_ko.flac"), "-l", "ko", "--events", str(path))
    assert done.returncode == 0, done.stderr
    assert stable(path.read_text("utf-8").splitlines()) == stable(records["angry_ko"])


def write_speech(path: Path, seconds: float = 3.0) -> Path:
    """A slice of the bundled caller, mono."""
    samples, rate = soundfile.read(DEMO / "angry_en.flac", dtype="int16")
    at = 18 * rate
    soundfile.write(path, samples[at : at + round(seconds * rate), 0], rate)
    return path


def test_events_on_stdout_are_nothing_but_events(tmp_path: Path) -> None:
    done = voicebot("run", str(write_speech(tmp_path / "a.wav")), "-l", "none", "--events", "-")
    assert done.returncode == 0, done.stderr
    kinds = [json.loads(line)["type"] for line in done.stdout.splitlines()]
    assert kinds[0] == "call_started"
    assert kinds[-1] == "call_ended"
    assert "final" not in kinds, "nothing is transcribed with --language none"


def test_several_files_are_several_calls_and_a_bad_one_stops_none(tmp_path: Path) -> None:
    good = write_speech(tmp_path / "good.wav")
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"")
    record = tmp_path / "e.jsonl"
    done = voicebot("run", str(bad), str(good), str(good), "-l", "none", "--events", str(record))
    assert done.returncode == 1
    assert "1 of 3 files failed" in done.stderr
    assert "bad.wav" in done.stderr
    kinds = [json.loads(line)["type"] for line in record.read_text().splitlines()]
    assert kinds.count("call_ended") == 2


def _cases(tmp_path: Path) -> dict[str, list[str]]:
    def made(name: str, content: bytes) -> str:
        (tmp_path / name).write_bytes(content)
        return str(tmp_path / name)

    wav = write_speech(tmp_path / "whole.wav").read_bytes()
    config = made("c.yaml", b"escalation:\n  policy:\n    threshold_nats: -1\n")
    tabs = made("t.yaml", b"stt:\n\tengine: auto\n")
    return {
        "header.wav": [made("header.wav", wav[:20])],
        "empty.wav": [made("empty.wav", b"")],
        "text.wav": [made("text.wav", b"hello, I am not audio\n" * 100)],
        "absent.wav": [str(tmp_path / "absent.wav")],
        "threshold_nats": [str(tmp_path / "whole.wav"), "--config", config],
        "t.yaml:2": [str(tmp_path / "whole.wav"), "--config", tabs],
        "no speech model for the language 'xx'": [str(tmp_path / "whole.wav"), "-l", "xx"],
        "mulaw": [str(tmp_path / "whole.wav"), "--raw", "mullaw:8000"],
        "legs": [str(tmp_path / "whole.wav"), "--legs", "caller,boss"],
        "/absent/e.jsonl": [str(tmp_path / "whole.wav"), "-l", "none", "-e", "/absent/e.jsonl"],
        "/absent/p.png": [str(tmp_path / "whole.wav"), "-l", "none", "--plot", "/absent/p.png"],
    }


@pytest.mark.parametrize("says", [
    "header.wav", "empty.wav", "text.wav", "absent.wav", "threshold_nats", "t.yaml:2",
    "no speech model for the language 'xx'", "mulaw", "legs", "/absent/e.jsonl", "/absent/p.png",
])  # fmt: skip
def test_bad_input_is_named_with_its_mend_and_never_a_traceback(says: str, tmp_path: Path) -> None:
    done = voicebot("run", *_cases(tmp_path)[says])
    assert done.returncode in (1, 2)
    assert says in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert "internal error" not in done.stderr


def test_a_full_disk_ends_the_record_but_not_the_call(tmp_path: Path) -> None:
    done = voicebot("run", str(write_speech(tmp_path / "a.wav")), "-l", "none", "-e", "/dev/full")
    assert done.returncode == 1
    assert "call ended (end_of_audio)" in done.stdout
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_is_no_internal_error(tmp_path: Path) -> None:
    process = start("run", str(write_speech(tmp_path / "a.wav")), "-l", "none", "--events", "-")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    assert process.wait(60) == 1
    assert "Traceback" not in said
    assert "internal" not in said


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_call_ends_cleanly(number: int, code: int, tmp_path: Path) -> None:
    record = tmp_path / "e.jsonl"
    process = start(
        "run", str(DEMO / "angry_en.flac"), "-l", "none", "--realtime", "--events", str(record)
    )
    deadline = time.monotonic() + 60
    while not (record.exists() and "utterance_started" in record.read_text()):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    assert "Traceback" not in err
    ended = parsed(record.read_text().splitlines())[-1]
    assert isinstance(ended, CallEnded)
    assert ended.reason == "interrupted"
    assert "call ended (interrupted)" in out


@pytest.mark.parametrize("library", ["_multiarray_umath", "onnxruntime"])
def test_an_interrupt_while_libraries_load_is_no_traceback(library: str) -> None:
    process = start("run", str(DEMO / "angry_en.flac"))
    maps = Path(f"/proc/{process.pid}/maps")
    deadline = time.monotonic() + 60
    while library not in maps.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "error" not in err


def test_a_silent_pipe_can_be_left() -> None:
    process = start(
        "run", "-", "--raw", "s16le:8000", "-l", "none", "--plain", stdin=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\0" * 32000)  # two seconds of silence
    process.stdin.flush()
    assert "call" in process.stdout.readline()
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    process.stdin.flush()
    out = process.stdout.read()
    assert process.wait(30) == 130
    assert "interrupted" in out


def test_realtime_takes_as_long_as_the_call(tmp_path: Path) -> None:
    began = time.monotonic()
    done = voicebot("run", str(write_speech(tmp_path / "a.wav")), "-l", "none", "--realtime")
    assert done.returncode == 0
    assert time.monotonic() - began >= 3.0


def test_help_has_examples() -> None:
    done = voicebot("run", "--help")
    assert done.returncode == 0
    assert "voicebot run call.wav" in done.stdout
    listed = voicebot("--help").stdout
    for name in ("listen", "config", "models", "outbox", "train", "evaluate", "bench"):
        assert name in listed


def test_the_console_script_is_installed() -> None:
    script = Path(sys.executable).with_name("voicebot")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("voicebot ")


def test_an_output_never_writes_over_what_is_read_or_over_another(tmp_path: Path) -> None:
    call = write_speech(tmp_path / "call.wav")
    before = call.read_bytes()
    link = tmp_path / "link.jsonl"
    link.symlink_to(call)
    settings = tmp_path / "my.yaml"
    settings.write_text("language: none\n")
    both = str(tmp_path / "same.png")
    for outputs in (
        ["--events", str(call)], ["--events", str(link)], ["--plot", both, "--events", both],
        ["--config", str(settings), "--events", str(settings)],
    ):  # fmt: skip
        done = voicebot("run", str(call), "-l", "none", *outputs)
        assert done.returncode == 1
        assert "would write over" in done.stderr
    assert call.read_bytes() == before
    assert settings.read_text() == "language: none\n"


def test_an_earlier_record_outlives_a_run_without_audio(tmp_path: Path) -> None:
    record = tmp_path / "e.jsonl"
    record.write_text("kept\n")
    done = voicebot("run", str(tmp_path / "absent.wav"), "-l", "none", "--events", str(record))
    assert done.returncode == 1
    assert record.read_text() == "kept\n"


def test_a_silent_pipe_of_a_container_can_be_left_too() -> None:
    process = start("run", "-", "-l", "none", stdin=subprocess.PIPE)
    time.sleep(4)
    process.send_signal(signal.SIGINT)
    process.wait(5)
    assert process.returncode == 130


def test_two_interrupts_end_cleanly_too(tmp_path: Path) -> None:
    record = tmp_path / "e.jsonl"
    process = start("run", str(DEMO / "angry_ko.flac"), "-l", "ko", "--events", str(record))
    deadline = time.monotonic() + 60
    while not (record.exists() and "utterance_started" in record.read_text("utf-8")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "error" not in err
    assert isinstance(parsed(record.read_text("utf-8").splitlines())[-1], CallEnded)


@pytest.mark.parametrize("how", [">/dev/full", ">/dev/null 2>&-"])
def test_streams_that_are_full_or_closed_are_no_internal_error(how: str, tmp_path: Path) -> None:
    call = write_speech(tmp_path / "a.wav")
    command = f"{sys.executable} -m voicebot run {call} -l none {how}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == (1 if "full" in how else 0)
    assert "internal" not in done.stderr


def test_text_that_the_terminal_cannot_show_is_escaped(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = voicebot("run", str(write_speech(tmp_path / "a.wav")), "-l", "EN-us", env=env)
    assert done.returncode == 0, done.stderr
    assert "\\u201c" in done.stdout
