"""An alert's whole way: from the audio through the outbox to a web server, whatever dies."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from tests.cli.command import DEMO, start, voicebot
from tests.escalation.receiver import SECRET, Receiver


def settings(folder: Path, url: str) -> Path:
    path = folder / "voicebot.yaml"
    path.write_text(
        f"actions:\n  webhook:\n    url: {url}\n    secret: {SECRET}\n    timeout_seconds: 2\n"
        f"  outbox:\n    path: {folder / 'outbox.db'}\n    drain_seconds: 30\n"
        "    first_delay_seconds: 0.2\n"
    )
    return path


def test_an_alert_reaches_its_receiver_signed_and_is_told_in_the_record(tmp_path: Path) -> None:
    record = tmp_path / "e.jsonl"
    with Receiver(script=[500, "drop"]) as receiver:
        done = voicebot(
            "run", str(DEMO / "angry_en.flac"), "-l", "en", "--events", str(record),
            "--config", str(settings(tmp_path, receiver.url)),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        events = [json.loads(line) for line in record.read_text().splitlines()]
        alerts = [e for e in events if e["type"] == "alert"]
        assert alerts
        delivered = [got for got in receiver.got if got.status == 200]
    assert [got.data for got in delivered] == alerts
    assert all(got.genuine for got in receiver.got), "every attempt is signed"
    assert len({got.key for got in receiver.got[:3]}) == 1, "and repeated under one key"
    queued = [e for e in events if e["type"] == "action" and e["action"] == "webhook"]
    assert len(queued) == len(alerts)
    assert SECRET not in done.stdout + done.stderr + record.read_text()


def waits_for_alert(outbox: Path, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if outbox.exists():
            try:
                with sqlite3.connect(f"file:{outbox}?mode=ro", uri=True) as db:
                    (table,) = db.execute(
                        "select name from sqlite_master where type = 'table' "
                        "and name not like 'sqlite_%' order by name limit 1"
                    ).fetchone()
                    if db.execute(f"select count(*) from {table}").fetchone()[0]:
                        return True
            except (sqlite3.Error, TypeError):
                pass  # still being made
        time.sleep(0.02)
    return False


def test_kill_9_between_alert_and_delivery_loses_nothing(tmp_path: Path) -> None:
    with Receiver() as receiver:
        url = receiver.url  # a port on which, from here on, nobody listens
    config = settings(tmp_path, url)
    process = start("run", str(DEMO / "angry_en.flac"), "-l", "en", "--config", str(config))
    assert waits_for_alert(tmp_path / "outbox.db", 120)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL

    listed = voicebot("outbox", "list", "--config", str(config))
    assert "alert" in listed.stdout, listed.stdout + listed.stderr
    with Receiver(port=int(url.split(":")[2].split("/")[0])) as receiver:
        flushed = voicebot("outbox", "flush", "--config", str(config))
        assert flushed.returncode == 0, flushed.stderr
        receiver.wait_for(1)
    (got,) = receiver.got
    assert got.genuine
    assert got.data["type"] == "alert"
    assert got.data["reason"] == "persistent_anger"
    assert len(got.data["evidence"]) >= 2


@pytest.mark.parametrize("state", ["damaged", "a folder"])
def test_an_outbox_that_cannot_be_used_is_named_before_the_call(state: str, tmp_path: Path) -> None:
    config = settings(tmp_path, "http://127.0.0.1:9/")
    if state == "damaged":
        (tmp_path / "outbox.db").write_bytes(b"this is not a database" * 100)
    else:
        (tmp_path / "outbox.db").mkdir()
    done = voicebot("run", str(DEMO / "angry_en.flac"), "-l", "none", "--config", str(config))
    assert done.returncode == 1
    assert "outbox.db" in done.stderr
    assert "Traceback" not in done.stderr
