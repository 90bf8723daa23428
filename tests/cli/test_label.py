"""``voicebot label``: from marks on the terminal or page to agreement and other programs."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from tests.cli.command import start
from tests.labelling.recordings import write_call
from voicebot.cli.label import app
from voicebot.errors import LabelError, VoicebotError
from voicebot.labelling.spans import Label, Span
from voicebot.labelling.store import LabelStore


def label(*arguments: object, keys: str = "") -> Result:
    return CliRunner().invoke(
        app, [str(a) for a in arguments], input=keys, catch_exceptions=False,
        env={"COLUMNS": "160"},
    )  # fmt: skip


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    for name in ("a.wav", "b.wav"):
        write_call(tmp_path / "calls" / name)
    return tmp_path / "calls"


def test_two_raters_and_how_far_they_agree(calls: Path) -> None:
    done = label(calls, "--rater", "ann", "--no-sound", keys="@1 a @4 a d\nd\n")
    assert done.exit_code == 0 and "2 of 2 calls done" in done.output
    with pytest.raises(LabelError, match="second rater"):
        label("agreement", calls)
    label("mark", calls, "--rater", "bob", "--no-sound", keys="@2 a @4 a d\nd\n")
    out = label("agreement", calls, "--unit", "0.5", "--worst", "3").output
    assert re.search(r"a\.wav +│ ann, bob +│ +\d+ │ 0\.\d{3}", out)
    assert re.search(r"b\.wav +│ ann, bob +│ +\d+ │ +- ", out)
    assert re.search(r"all calls: alpha 0\.\d{3} \(95 % interval over calls: ", out)
    assert "a.wav 00:01.0-00:02.0  ann: angry, bob: other" in out
    assert "alpha is not defined" in out
    assert label("agreement", calls / "labels").output == label("agreement", calls).output


def test_out_and_in_again(calls: Path, tmp_path: Path) -> None:
    label(calls / "a.wav", "--rater", "ann", "--no-sound", keys="@1 a @4 a d\n")
    label(calls, "--rater", "bob", "--no-sound", keys="@2 u @3 u q\n")
    shown = label("export", calls).output
    assert "a.wav,ann,1,4,angry" in shown and "not labelled to the end: a.wav (bob)" in shown
    label("export", calls, "--out", tmp_path / "labels.csv")
    label("export", calls, "--format", "audacity", "--out", tmp_path / "tracks")
    assert (tmp_path / "tracks/ann/a.wav.txt").read_text() == "1\t4\tangry\n"
    with pytest.raises(LabelError, match="--out"):
        label("export", calls, "--format", "audacity")

    new = tmp_path / "new"
    out = label("import", tmp_path / "labels.csv", "--labels", new, "--calls", calls).output
    assert "imported 2 spans of 2 ratings" in out
    assert LabelStore(new).ratings()[0] == LabelStore(calls / "labels").ratings()[0]
    out = label(
        "import", tmp_path / "tracks/ann/a.wav.txt", "--rater", "cy", "--labels", new
    ).output
    assert "lengths of the calls are unknown" in out
    with pytest.raises(LabelError, match="there already"):
        label("import", tmp_path / "labels.csv", "--labels", new)
    label("import", tmp_path / "labels.csv", "--labels", new, "--replace")


def test_every_command_has_help_with_an_example() -> None:
    assert "voicebot label calls/ --rater ann --page" in label("--help").output
    for command in ("mark", "agreement", "export", "import"):
        assert "voicebot label" in label(command, "--help").output


def test_a_rater_is_required(calls: Path) -> None:
    done = label(calls)
    assert done.exit_code == 2 and "--rater" in done.output


def test_the_page_until_it_is_stopped(calls: Path) -> None:
    process = start("label", str(calls), "--rater", "ann", "--page")
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        url = lines[1].strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{24}/", url), lines
        revision = httpx.get(url + "call/0", timeout=120).json()["revision"]
        body = {"spans": [[1, 2, "angry"]], "heard": None, "revision": revision}
        assert httpx.put(url + "call/0", json=body, timeout=120).json()["done"]
        port = str(httpx.URL(url).port)
        taken = start("label", str(calls), "--rater", "bob", "--page", "--port", port)
        _, err = taken.communicate(timeout=120)
        assert taken.returncode == 1 and "--port" in err and "Traceback" not in err
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, err
    assert "stopped: 1 of 2 calls done" in out
    (rating,) = LabelStore(calls / "labels").ratings()
    assert rating.spans == (Span(1, 2, Label.ANGRY),)


def test_faults_are_errors_of_ours(tmp_path: Path, calls: Path) -> None:
    for arguments, found in (
        ((tmp_path / "absent", "--rater", "ann"), "no such file"),
        ((calls, "--rater", "../ann"), "not a name"),
        ((calls, "--rater", "ann", "--labels", "/proc/labels"), "cannot be written"),
        (("agreement", tmp_path / "absent"), "no labels"),
    ):
        with pytest.raises(VoicebotError, match=found):
            label(*arguments)
