"""What is said and done about states and alerts."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.escalation.receiver import SECRET, Receiver, free_port
from voicebot.errors import ConfigError
from voicebot.escalation.actions import ActionsParams, Responder, payload
from voicebot.escalation.outbox import Outbox, OutboxError, RowState
from voicebot.events import (
    Action,
    Alert,
    EscalationState,
    Leg,
    Quote,
    Severity,
    State,
    from_dict,
)

CALM, RISING, ESCALATED, COOLING = EscalationState


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


def state(previous: EscalationState, now: EscalationState) -> State:
    return State(call_id="c", leg=None, t=9.5, previous=previous, state=now, evidence=2.0,
                 reason="anger_rising")  # fmt: skip


def alert(t: float = 20.0, *, update: bool = False) -> Alert:
    return Alert(
        call_id="c", leg=Leg.CALLER, t=t, alert_id="a1", severity=Severity.CRITICAL,
        reason="persistent_anger", update=update,
        evidence=(Quote(1.0, 4.0, "이게 뭐예요", 0.9), Quote(6.0, 8.0, "정말", None)),
    )  # fmt: skip


def params(tmp_path: Path, url: str = "", **outbox: object) -> ActionsParams:
    return ActionsParams.model_validate(
        {
            "webhook": {"url": url, "secret": SECRET, "timeout_seconds": 2},
            "outbox": {
                "path": str(tmp_path / "outbox.db"), "first_delay_seconds": 0.05,
                "max_delay_seconds": 0.1, "drain_seconds": 5, "lock_seconds": 0.1, **outbox,
            },
        }
    )  # fmt: skip


@pytest.mark.parametrize("language", ["en", "zh", "ko"])
def test_soothes_once_when_it_rises_and_connects_once_when_it_escalates(language: str) -> None:
    settings = ActionsParams()
    responder = Responder(settings, language)
    (rising,) = responder.respond(state(CALM, RISING))
    assert rising == Action(
        call_id="c", leg=None, t=9.5, action="soothe", detail=settings.soothe[language]
    )
    for previous in (RISING, CALM):
        (told,) = responder.respond(state(previous, ESCALATED))
        assert told.detail == settings.connect[language]
    for silent in ((RISING, CALM), (ESCALATED, COOLING), (COOLING, CALM), (COOLING, ESCALATED)):
        assert responder.respond(state(*silent)) == []


def test_other_languages_are_soothed_in_english_or_not_at_all() -> None:
    (action,) = Responder(ActionsParams(), "fr").respond(state(CALM, RISING))
    assert action.detail == ActionsParams().soothe["en"]
    assert Responder(ActionsParams(soothe={}), "en").respond(state(CALM, RISING)) == []
    assert Responder(ActionsParams(soothe={"en": ""}), "en").respond(state(CALM, RISING)) == []


def test_without_a_webhook_an_alert_is_notified_and_nothing_is_kept(tmp_path: Path) -> None:
    settings = params(tmp_path)
    with Responder(settings, "ko") as responder:
        (notify,) = responder.respond(alert())
    assert (notify.action, notify.alert_id, notify.leg) == ("notify", "a1", Leg.CALLER)
    assert notify.detail == "critical alert opened: persistent_anger, 2 utterances quoted"
    assert not (tmp_path / "outbox.db").exists()


def test_an_alert_arrives(tmp_path: Path) -> None:
    with Receiver() as receiver:
        with Responder(params(tmp_path, receiver.url), "ko") as responder:
            actions = responder.respond(alert())
            responder.respond(alert(30.0, update=True))
        first, second = receiver.got
    assert [a.action for a in actions] == ["notify", "webhook"]
    assert actions[1].detail == f"queued for 127.0.0.1:{receiver.port}"
    assert first.genuine and from_dict(first.data) == alert()
    assert from_dict(second.data) == alert(30.0, update=True)
    assert first.key != second.key


def test_words_can_be_kept_at_home() -> None:
    data = json.loads(payload(alert(), include_text=False))
    assert [q["text"] for q in data["evidence"]] == ["", ""]
    assert [q["anger"] for q in data["evidence"]] == [0.9, None]


def test_what_could_not_be_delivered_stays_for_the_next_run(tmp_path: Path) -> None:
    port = free_port()
    settings = params(tmp_path, f"http://127.0.0.1:{port}/hook", drain_seconds=0.3)
    began = time.monotonic()
    with Responder(settings, "en") as responder:
        responder.respond(alert())
    assert time.monotonic() - began < 5
    with Receiver(port=port) as receiver, Responder(settings, "en"):
        receiver.wait_for(1)
    assert from_dict(receiver.got[0].data) == alert()
    with Outbox(settings.outbox) as outbox:
        assert outbox.rows() == []


def test_an_outbox_that_fails_is_told_and_the_call_goes_on(tmp_path: Path) -> None:
    settings = params(tmp_path, f"http://127.0.0.1:{free_port()}/", max_rows=1, drain_seconds=0)
    with Responder(settings, "en") as responder:
        assert responder.respond(alert())[1].detail.startswith("queued")
        assert "failed: outbox" in responder.respond(alert())[1].detail


def test_an_outbox_that_cannot_be_opened_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "outbox.db").write_bytes(b"rubbish" * 999)
    with pytest.raises(OutboxError, match="damaged"):
        Responder(params(tmp_path, "http://127.0.0.1:9/"), "en")


def test_a_lease_must_outlast_an_attempt(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="lease_seconds"):
        Responder(params(tmp_path, "http://127.0.0.1:9/", lease_seconds=2), "en")


CHILD = """
import os, signal, sys
from pathlib import Path
from tests.escalation.test_actions import alert, params
from voicebot.escalation.actions import Responder
responder = Responder(params(Path(sys.argv[1]), sys.argv[2]), "en")
assert responder.respond(alert())[1].detail.startswith("queued")
print("queued", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_kill_9_between_alert_and_delivery(tmp_path: Path) -> None:
    """The first process is killed with its alert undelivered; the next delivers exactly it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/hook"
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), url], capture_output=True, check=False
    )
    assert done.returncode == -9 and done.stdout.endswith(b"queued\n")
    settings = params(tmp_path, url)
    with Outbox(settings.outbox) as outbox:
        (row,) = outbox.rows(RowState.PENDING)
    with Receiver(port=port) as receiver, Responder(settings, "en"):
        receiver.wait_for(1)
        time.sleep(0.3)
    assert [got.key for got in receiver.got] == [row.key]
    assert from_dict(receiver.got[0].data) == alert() and receiver.got[0].genuine
