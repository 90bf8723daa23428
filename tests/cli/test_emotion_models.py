"""``voicebot models`` for emotion models: versions, activation, rollback, shadows and cards."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from tests.cli.command import DEMO, start, voicebot
from tests.emotion.versions import put, spoil, variant
from voicebot.cli.models import app
from voicebot.emotion.comparison import Comparison, call, utterance
from voicebot.emotion.ledger import Ledger, Pair
from voicebot.emotion.pointer import FILE
from voicebot.emotion.store import Store
from voicebot.errors import ModelError


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("VOICEBOT_EMOTION_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("VOICEBOT_MODELS", str(tmp_path / "speech"))
    monkeypatch.setenv("COLUMNS", "250")
    return Store()


def models(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def error(*arguments: str) -> ModelError:
    found = models(*arguments).exception
    assert isinstance(found, ModelError)
    return found


def row(output: str, model: str) -> list[str]:
    (line,) = [line for line in output.splitlines() if f" {model} " in line]
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_from_a_trained_folder_to_the_active_model_and_back(store: Store, tmp_path: Path) -> None:
    trained = variant(tmp_path / "trained", nats=0.5)
    added = models("add", str(trained), "--version", "own")
    assert added.stdout == "acoustic@own: installed\n"
    assert "voicebot models activate acoustic@own" in added.stderr
    assert "was installed already" in models("add", str(trained)).stdout
    listed = models("list").output
    assert row(listed, "acoustic@shipped")[1] == "active"
    name, state, size, auc, folder = row(listed, "acoustic@own")
    assert (name, state) == ("acoustic@own", "")
    assert size.endswith("MB")
    assert 0.5 < float(auc) < 1.0
    assert folder == str(store.folder / "acoustic" / "own")
    assert (
        models("activate", "acoustic@own").stdout == "acoustic@own: active, in place of shipped\n"
    )
    assert "is active already" in models("activate", "acoustic@own").stdout
    put(store, "acoustic-small@own")
    told = models("activate", "acoustic-small@own").stderr
    assert "it scores where the setting models.voice is acoustic-small\n" in told
    assert row(models("list").output, "acoustic@own")[1] == "active"
    assert models("rollback", "acoustic").stdout == (
        "acoustic@shipped: active again, in place of own\n"
    )


def test_the_card_is_that_of_the_active_version_or_of_the_one_asked_for(store: Store) -> None:
    own = store.locate(put(store, "text-en@own")) / "card.md"
    own.write_text("# Our own\n")
    assert models("card", "text-en@own").stdout == "# Our own\n"
    assert "# Text emotion model, English" in models("card", "text-en").stdout
    store.activate(store.versions("text-en")[1])
    assert models("card", "text-en").stdout == "# Our own\n"


@pytest.mark.parametrize(
    ("arguments", "what", "mend"),
    [
        (("activate", "acoustic"), "which version", "acoustic@VERSION"),
        (("activate", "acoustic@9"), "acoustic@9: not in", "acoustic@shipped"),
        (("activate", "acoustic@e"), "acoustic@e: not in", "text-en@e"),
        (("activate", "voice@9"), "voice@9: not in", "models list"),
        (("rollback", "acoustic"), "no version was active before", "activate acoustic@VERSION"),
        (("rollback", "voice"), "no emotion model is called so", "text-zh"),
        (("card", "voice"), "no emotion model is called so", "text-zh"),
        (("add", "/absent"), "no such folder", "voicebot train"),
        (("verify", "acoustic@9"), "acoustic@9: not in", "acoustic@shipped"),
        (("verify", "voice"), "voice: no such model", ""),
        (("shadow", "acoustic@shipped"), "is the active one", "another version"),
        (("shadow", "acoustic"), "which version", "acoustic@VERSION"),
        (("shadow", "text-en@e", "--off"), "--off goes alone", "--help"),
        (("shadow", "--json"), "--json with report", "--help"),
    ],
)
def test_a_mistake_is_named_with_its_mend(
    arguments: tuple[str, ...], what: str, mend: str, store: Store
) -> None:
    put(store, "text-en@e")
    found = error(*arguments)
    assert what in found.what
    assert mend in found.mend


def test_verify_checks_versions_and_what_is_active(store: Store) -> None:
    sound = models("verify", "acoustic")
    assert (sound.exit_code, sound.stdout.count("sound")) == (0, 1)
    own = put(store, "acoustic@own")
    store.activate(own)
    spoil(store, own)
    result = models("verify")
    assert result.exit_code == 1
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("acoustic@own")]
    assert "checksum differs" in line or "not a usable ONNX file" in line
    assert "text-en@shipped" in result.stdout
    assert "voicebot models activate" in result.stderr
    assert models("verify", "text-en").exit_code == 0
    assert models("verify", "acoustic@own").exit_code == 1


def test_a_damaged_pointer_is_named_and_the_rest_still_told(store: Store) -> None:
    put(store, "acoustic@own")
    (store.folder / FILE).write_text("{")
    result = models("verify", "text-en")
    assert result.exit_code == 1
    assert "active.json: damaged" in result.stdout
    listed = models("list")
    assert listed.exit_code == 0
    assert row(listed.output, "acoustic@shipped")[1] == "active"
    assert "active.json: damaged" in listed.output
    assert "delete active.json" in error("activate", "acoustic@own").mend


def test_shadows_are_set_shown_and_ended(store: Store) -> None:
    put(store, "acoustic@own")
    assert models("shadow").stdout == "nothing is tried\n"
    assert models("shadow", "acoustic@own").stdout == (
        "acoustic@own: tried beside acoustic@shipped\n"
    )
    assert row(models("list").output, "acoustic@own")[1] == "shadow"
    assert models("shadow").stdout.startswith("acoustic@own")
    assert models("shadow", "--off").stdout == "nothing is tried\n"


def test_the_report_in_words_and_as_json(store: Store) -> None:
    assert "nothing was tried so far" in models("shadow", "report").stdout
    assert json.loads(models("shadow", "report", "--json").stdout) == []
    total = Comparison()
    for part in (utterance(-1.0, 0.5, 12.0), utterance(1.0, 1.5, 13.0), call(None, 9.0, 1.0, 4.5)):
        total = total.plus(part)
    Ledger(store).add({Pair("acoustic@own", "acoustic@shipped", "x/y"): total})
    told = models("shadow", "report").stdout
    assert "acoustic@own beside acoustic@shipped" in told
    assert row(told, "logit, candidate less active, mean (nats)")[1] == "1.000"
    assert row(told, "share on which they disagree at 0.5")[1] == "0.500"
    (entry,) = json.loads(models("shadow", "report", "--json").stdout)
    assert entry["candidate"] == "acoustic@own"
    assert entry["utterances"] == 2
    assert entry["calls_only_candidate_alerts"] == 1
    assert entry["candidate_cpu_mean_ms"] == pytest.approx(12.5)
    assert models("shadow", "clear").stdout == "the comparisons are forgotten\n"
    assert json.loads(models("shadow", "report", "--json").stdout) == []


@pytest.mark.parametrize("command", ["add", "activate", "rollback", "card", "shadow", "verify"])
def test_help_has_an_example(command: str) -> None:
    assert f"voicebot models {command}" in models(command, "--help").output


def test_one_process_activates_and_another_takes_it_up_in_its_call(
    store: Store, tmp_path: Path
) -> None:
    put(store, "acoustic@own", nats=0.5)
    samples, rate = soundfile.read(DEMO / "angry_en.flac", dtype="int16")
    caller = np.ascontiguousarray(samples[:, 0])
    record = tmp_path / "events.jsonl"
    read, write = os.pipe()
    listening = start(
        "run", "-", "--raw", f"s16le:{rate}", "-l", "none", "-e", str(record), stdin=read
    )
    os.close(read)
    at = 0

    def versions() -> list[str]:
        lines = record.read_text().splitlines() if record.exists() else []
        events = [json.loads(line) for line in lines if line.endswith("}")]
        return [e["models"]["acoustic"] for e in events if e["type"] == "emotion" and e["settled"]]

    def hear(wanted: str) -> None:
        """Speak until somebody has scored it as wished; the call's audio lasts a minute."""
        nonlocal at
        while wanted not in versions():
            assert listening.poll() is None
            assert at < len(caller), versions()
            os.write(write, caller[at : at + rate // 2].tobytes())
            at += rate // 2
            time.sleep(0.15)

    try:
        hear("acoustic@shipped")
        done = voicebot("models", "activate", "acoustic@own")
        assert done.returncode == 0, done.stderr
        hear("acoustic@own")
    finally:
        os.close(write)
        said, wrong = listening.communicate(timeout=120)
    assert listening.returncode == 0, wrong
    assert "call ended (end_of_audio)" in said
    seen = versions()
    assert seen == sorted(seen, key=["acoustic@shipped", "acoustic@own"].index), "and never back"
