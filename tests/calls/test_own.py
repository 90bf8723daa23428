from __future__ import annotations

from pathlib import Path

import pytest

from tests.calls.made import no_progress
from voicebot.calls.own import hear_own, own_facts
from voicebot.calls.record import Kind, Span
from voicebot.config import Config
from voicebot.emotion.live_models import ModelsParams
from voicebot.engine import NO_LANGUAGE
from voicebot.errors import LabelError
from voicebot.labelling.spans import Label
from voicebot.labelling.spans import Span as Gold
from voicebot.labelling.store import LabelStore, Rating


def kind(*spans: Span) -> Kind:
    return own_facts(0, "a.wav", "en", 60.0, spans).kind


def test_long_anger_persists_and_short_anger_is_an_outburst() -> None:
    calm = Span(0, 10, False)
    assert kind(calm) is Kind.CALM
    assert kind(calm, Span(10, 15, True)) is Kind.OUTBURST
    facts = own_facts(0, "a.wav", "en", 60.0, [calm, Span(10, 17, True), Span(30, 37, True)])
    assert (facts.kind, facts.onset, facts.outburst) == (Kind.ANGRY, 10, None)
    assert facts.calm_speech == 10


def test_labelled_calls_are_heard_once(data: Path, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    calls.mkdir()
    for name in ("speech_en_1.flac", "speech_en_2.flac"):
        (calls / name).write_bytes((data / name).read_bytes())
    store = LabelStore(tmp_path / "labels")
    store.save(Rating("speech_en_1.flac", "ann", (Gold(0.0, 2.0, Label.ANGRY),), 4.0, 4.0))
    store.save(Rating("speech_en_2.flac", "ann", (), 3.4, 0.2))
    arguments = (calls, tmp_path / "labels", Config(), NO_LANGUAGE, tmp_path / "cache", no_progress)
    own = hear_own(*arguments)
    assert own.left_out == ("speech_en_2.flac",), "hardly listened to"
    (heard,) = own.heard
    assert heard.facts.kind is Kind.OUTBURST
    assert [s.angry for s in heard.facts.spans] == [True, False], "what is other is calm"
    assert heard.facts.spans[1].start == 2.0
    assert heard.observations
    assert len(list((tmp_path / "cache" / "calls").iterdir())) == 1
    assert hear_own(*arguments) == own
    small = Config(models=ModelsParams(voice="acoustic-small"))
    (other,) = hear_own(calls, tmp_path / "labels", small, NO_LANGUAGE, tmp_path / "cache",
                        no_progress).heard  # fmt: skip
    assert other.facts == heard.facts
    assert other.observations != heard.observations, "another model listens"


def test_no_labels_for_these_calls(data: Path, tmp_path: Path) -> None:
    LabelStore(tmp_path / "labels").save(Rating("other.wav", "ann", (), 4.0, 4.0))
    (tmp_path / "calls").mkdir()
    (tmp_path / "calls" / "a.flac").write_bytes((data / "speech_en_1.flac").read_bytes())
    with pytest.raises(LabelError, match="no labels for any of the 1 recordings"):
        hear_own(
            tmp_path / "calls", tmp_path / "labels", Config(), NO_LANGUAGE, tmp_path, no_progress
        )
