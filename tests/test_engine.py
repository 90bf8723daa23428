"""The engine: models loaded once, calls made of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from voicebot.config import Config
from voicebot.engine import Engine
from voicebot.errors import ModelError
from voicebot.events import CallStarted, Event, Leg


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
