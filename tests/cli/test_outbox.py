"""``voicebot outbox`` against a real file and a real receiver."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.escalation.receiver import SECRET, Receiver, free_port
from voicebot.cli.outbox import app
from voicebot.errors import ConfigError, DeliveryError, OutputError
from voicebot.escalation.outbox import Message, Outbox, OutboxParams, RowState

runner = CliRunner()


class Place:
    """A configuration file and its outbox."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "config.yaml"
        self.params = OutboxParams(path=str(folder / "outbox.db"))
        self.point_at("")

    def point_at(self, url: str) -> None:
        settings = {
            "webhook": {"url": url, "secret": SECRET, "timeout_seconds": 2},
            "outbox": {"path": self.params.path, "first_delay_seconds": 30},
        }
        self.config.write_text(json.dumps({"actions": settings}))  # JSON is YAML

    def put(self, key: str, *, dead: bool = False) -> None:
        with Outbox(self.params) as outbox:
            outbox.enqueue(Message(f"call-{key}", "alert", '{"text": "private words"}'), key=key)
            if dead:
                outbox.retry([])
                row = next(row for row in outbox.rows() if row.key == key)
                while (claimed := outbox.claim()) is not None:
                    if claimed.key == row.key:
                        outbox.reject(claimed, "answered 400 [red]Bad[/] Request")

    def run(self, *arguments: str, stdin: str | None = None) -> Result:
        command, *rest = arguments
        return runner.invoke(
            app, [command, "--config", str(self.config), *rest], input=stdin,
            env={"COLUMNS": "200", "NO_PROXY": "127.0.0.1"},
        )  # fmt: skip

    def keys(self, state: RowState | None = None) -> list[str]:
        with Outbox(self.params) as outbox:
            return [row.key for row in outbox.rows(state)]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_list(place: Place) -> None:
    assert "nothing to deliver" in place.run("list").output
    place.put("given-up", dead=True)
    place.put("waiting")
    shown = place.run("list").output
    assert "given-up" in shown and "waiting" in shown
    assert "answered 400 [red]Bad[/] Request" in shown, "not taken for markup"
    assert "private" not in shown
    assert "waiting" not in place.run("list", "--state", "dead").output


def test_list_as_json(place: Place) -> None:
    place.put("given-up", dead=True)
    place.put("waiting")
    done = place.run("list", "--json")
    rows = [json.loads(line) for line in done.output.splitlines()]
    assert [(row["key"], row["state"], row["attempts"]) for row in rows] == [
        ("given-up", "dead", 1),
        ("waiting", "pending", 0),
    ]
    assert "private" not in done.output


def test_retry(place: Place) -> None:
    place.put("a", dead=True)
    place.put("b", dead=True)
    assert place.run("retry", "a").output == "1 due now\n"
    assert place.keys(RowState.PENDING) == ["a"]
    assert place.run("retry").output == "1 due now\n"
    assert place.keys(RowState.DEAD) == []
    wrong = place.run("retry", "nonsense")
    assert isinstance(wrong.exception, DeliveryError) and "nonsense" in str(wrong.exception)


def test_flush(place: Place) -> None:
    place.put("a")
    place.put("b")
    with Receiver() as receiver:
        place.point_at(receiver.url)
        done = place.run("flush")
    assert done.exit_code == 0 and done.output.endswith("2 delivered, 0 pending\n")
    assert {got.key for got in receiver.got} == {"a", "b"}
    assert place.keys() == []


def test_flush_does_not_wait_for_the_next_attempt(place: Place) -> None:
    place.put("a")
    with Outbox(place.params) as outbox:
        row = outbox.claim()
        assert row is not None
        outbox.failed(row, "x", 3000)
    with Receiver() as receiver:
        place.point_at(receiver.url)
        assert place.run("flush").output.endswith("1 delivered, 0 pending\n")


def test_flush_to_a_receiver_that_is_down(place: Place) -> None:
    place.put("a")
    place.point_at(f"http://127.0.0.1:{free_port()}/")
    done = place.run("flush", "--seconds", "5")
    assert "0 delivered, 1 pending" in done.output
    assert isinstance(done.exception, DeliveryError) and "ConnectError" in str(done.exception)
    assert place.keys(RowState.PENDING) == ["a"]


def test_flush_to_a_receiver_that_refuses(place: Place) -> None:
    place.put("a")
    with Receiver([403]) as receiver:
        place.point_at(receiver.url)
        done = place.run("flush")
    assert isinstance(done.exception, DeliveryError) and "answered 403" in str(done.exception)
    assert place.keys(RowState.DEAD) == ["a"]


def test_flush_without_a_webhook(place: Place) -> None:
    assert isinstance(place.run("flush").exception, ConfigError)


def test_purge(place: Place) -> None:
    place.put("a", dead=True)
    place.put("b")
    assert place.run("purge", stdin="n\n").exit_code == 1
    assert place.keys() == ["a", "b"]
    assert "1 erased" in place.run("purge", stdin="y\n").output
    assert place.keys() == ["b"]
    assert "0 erased" in place.run("purge").output
    assert "1 erased" in place.run("purge", "--state", "all", "--yes").output


def test_a_damaged_outbox_is_an_error_and_no_traceback(place: Place) -> None:
    Path(place.params.path).write_bytes(b"rubbish" * 999)
    done = place.run("list")
    assert isinstance(done.exception, OutputError) and "damaged" in str(done.exception)
