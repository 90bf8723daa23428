"""``voicebot corpora``: list, check and make them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.labelling.recordings import write_call
from tests.training.corpus import make_corpus
from tests.training.test_own_calls import label
from voicebot.cli.corpora import app
from voicebot.errors import LabelError
from voicebot.training.speech_corpora import read_manifest


def corpora(*arguments: object) -> Result:
    return CliRunner().invoke(
        app, [str(a) for a in arguments], catch_exceptions=False, env={"COLUMNS": "200"}
    )


def test_list(tmp_path: Path) -> None:
    out = corpora("list", make_corpus(tmp_path / "data")).output
    row = next(line for line in out.splitlines() if " aa " in line)
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells[:4] == ["aa", "en", "3", "18"]
    assert cells[-2:] == ["6/6/6", "see its owner"]
    assert "2 background noises" in out and "Text in" not in out


def test_prepare(tmp_path: Path) -> None:
    data, cache = make_corpus(tmp_path / "data"), tmp_path / "cache"
    (data / "speech" / "aa_0_0.wav").write_bytes(b"RIFF nothing")
    done = corpora("prepare", data, "--workers", 1, "--cache", cache)
    assert done.exit_code == 0
    assert "aa_0_0.wav: broken" in done.output
    assert "53 clips" in done.output and "1 left out" in done.output
    written = done.output.split("written: ")[1].strip()
    assert Path(written).is_relative_to(cache) and any(Path(written).iterdir())


def test_check(tmp_path: Path) -> None:
    data = make_corpus(tmp_path / "data")
    sound = corpora("check", data)
    assert sound.exit_code == 0 and "54 clips, 0 fatal problems, 0 others" in sound.output
    (data / "speech" / "aa_0_0.wav").write_bytes(b"RIFF nothing")
    (data / "speech" / "bb_1_1.wav").unlink()
    broken = corpora("check", data)
    assert broken.exit_code == 1
    assert "aa_0_0.wav: " in broken.output
    assert "bb_1_1.wav" in broken.output
    assert broken.output.count("to mend it: ") == 2


def test_from_labelled_calls_to_a_manifest(tmp_path: Path) -> None:
    calls, data = tmp_path / "calls", tmp_path / "data"
    for seed in range(3):
        write_call(calls / f"{seed}.wav", seed=seed)
        label(calls, f"{seed}.wav", angry=1)
    (tmp_path / "callers.csv").write_text("call,caller\n0.wav,Ann Other\n")
    made = corpora(
        "add", calls, "--name", "mine", "--language", "en", "--out", data,
        "--callers", tmp_path / "callers.csv", "--licence", "ours",
    )  # fmt: skip
    assert made.exit_code == 0
    assert "6 clips (3 angry) of 3 callers in 3 calls" in made.output
    assert "train 1 angry + 1, dev 1 angry + 1, test 1 angry + 1 other" in made.output
    assert "needs background noises" in made.output
    clips = read_manifest(data)
    assert {c.split for c in clips} == {"train", "dev", "test"}
    assert "Ann Other" not in (data / "speech" / "manifest.csv").read_text()
    assert "ours" in corpora("list", data).output
    assert corpora("check", data).exit_code == 0
    with pytest.raises(LabelError, match="--replace"):
        corpora("add", calls, "--name", "mine", "--language", "en", "--out", data)


def test_every_command_has_help_with_an_example() -> None:
    for command in ("list", "check", "add"):
        assert "Example: voicebot corpora" in corpora(command, "--help").output
