"""The engine: models loaded once, calls made of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from structlog.testing import capture_logs

from tests.cli.command import DEMO
from tests.emotion.versions import put, spoil
from voicebot.config import Config
from voicebot.emotion import live_models
from voicebot.emotion.live_models import ModelsParams
from voicebot.emotion.store import Store
from voicebot.engine import Engine
from voicebot.errors import ModelError
from voicebot.events import CallEnded, CallStarted, Emotion, Event, Frame, Leg


def test_calls_share_models_and_have_endpointers_of_their_own() -> None:
    with Engine(Config(), "none") as engine:
        legs = (Leg.CALLER, Leg.AGENT)
        one, two = engine.stages(legs, 8000), engine.stages(legs, 8000)
        assert one.rules is two.rules
        assert one.endpointers[Leg.CALLER] is not two.endpointers[Leg.CALLER]
        assert one.endpointers[Leg.CALLER] is not one.endpointers[Leg.AGENT]


def test_without_a_language_nothing_is_transcribed_or_read() -> None:
    with Engine(Config(), "none") as engine:
        assert engine.speech is None
        assert engine.second_pass is None
        assert engine.text is None
        assert engine.acoustic is not None


def test_a_call_announces_itself() -> None:
    events: list[Event] = []
    with Engine(Config(), "none") as engine:
        first = engine.call("a.wav", [Leg.CALLER], 8000, events.append)
        second = engine.call("a.wav", [Leg.CALLER], 8000, events.append)
        first.start()
        second.start()
    one, two = events
    assert isinstance(one, CallStarted)
    assert (one.source, one.legs, one.rate, one.engine) == ("a.wav", (Leg.CALLER,), 8000, "none")
    assert one.call_id != two.call_id


@pytest.mark.parametrize("fault", ["missing", "garbage", "other"])
def test_a_broken_emotion_model_is_named(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "acoustic"
    folder.mkdir()
    if fault != "missing":
        (folder / "card.md").write_text("a card")
        (folder / "calibration.json").write_text(json.dumps({}))
        (folder / "model.onnx").write_bytes(b"not a model")
    monkeypatch.setenv("VOICEBOT_EMOTION_MODELS", str(tmp_path))
    with pytest.raises(ModelError, match="acoustic"):
        Engine(Config(), "none")


def test_the_settings_choose_which_model_listens() -> None:
    small = Config(models=ModelsParams(voice="acoustic-small"))
    with Engine(small, "none") as engine:
        assert engine.models.versions == {"acoustic": "acoustic-small@shipped"}
        assert engine.acoustic is engine.models.current().acoustic
    absent = Config(models=ModelsParams(voice="acoustic-absent"))
    with pytest.raises(ModelError, match="acoustic-absent@shipped: not in") as caught:
        Engine(absent, "none")
    assert "acoustic-small@shipped" in caught.value.mend


def test_models_are_swapped_rolled_back_and_kept_in_the_middle_of_a_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call goes on through an activation, a broken one and a rollback, and says who scored it."""
    monkeypatch.setenv("VOICEBOT_EMOTION_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(live_models, "CHECK_SECONDS", 0.0)
    store = Store()
    good, broken = put(store, "acoustic@good", nats=1.0), put(store, "acoustic@broken")
    events: list[Event] = []
    samples, rate = soundfile.read(DEMO / "angry_en.flac", dtype="int16")
    caller = np.ascontiguousarray(samples[:, 0])
    with Engine(Config(), "none") as engine:
        call = engine.call("demo", [Leg.CALLER], rate, events.append)
        call.start()
        at = 0

        def hear(settled: int) -> str:
            """Go on until so many utterances more were scored; by whom the last of them was."""
            nonlocal at
            wanted = len(scores(events)) + settled
            while len(scores(events)) < wanted:
                call.push({Leg.CALLER: Frame(caller[at : at + 800], rate, at / rate)})
                at += 800
                assert at < len(caller)
                engine.models.wait()
            return scores(events)[-1].models["acoustic"]

        assert hear(1) == "acoustic@shipped"
        store.activate(good)
        assert hear(2) == "acoustic@good"
        store.activate(broken)
        spoil(store, broken)
        with capture_logs() as logs:
            assert hear(1) == "acoustic@good"
        assert [e["event"] for e in logs] == ["emotion_model_failed"]
        assert engine.models.counts.failed == 1
        store.rollback("acoustic")
        store.rollback("acoustic")
        assert hear(2) == "acoustic@shipped"
        call.end("end_of_audio")
    assert isinstance(events[-1], CallEnded)
    versions = {
        (e.utterance, e.models["acoustic"]) for e in events if isinstance(e, Emotion) and e.models
    }
    assert len(versions) == len({number for number, _ in versions}), "one model an utterance"
    assert json.loads(events[-1].to_json())["utterances"] >= 6


def scores(events: list[Event]) -> list[Emotion]:
    """The settled scores so far."""
    return [event for event in events if isinstance(event, Emotion) and event.settled]
