from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest

from tests.fakes import AmplitudeModel
from voicebot.calls.line import Levels
from voicebot.calls.listen import find_utterances, hear, settled_only
from voicebot.calls.record import Facts, Kind, Span
from voicebot.calls.replay import replay
from voicebot.config import Config
from voicebot.emotion.acoustic import AcousticModel
from voicebot.engine import NO_LANGUAGE, Engine
from voicebot.events import Alert, Event, Pcm
from voicebot.labelling.calls import read_call

EAGER = Config.model_validate(
    {
        "escalation": {
            "policy": {
                "threshold_nats": 0.5, "rising_nats": 0.3, "release_nats": 0.1,
                "min_angry_seconds": 0.0, "cooldown_seconds": 2.0, "hold_seconds": 1.0,
                "update_seconds": 1.0,
            },
        },
    }
)  # fmt: skip
"""So eager that the loud caller is alerted again and again."""
LOUDNESS = (0.05, 0.05, 0.05, 0.05, 1.0, 1.0, 1.0, 0.05, 1.0, 1.0)
"""of each sentence; the model of this test takes amplitude for anger"""


@pytest.fixture(scope="module")
def pcm(data: Path) -> Pcm:
    sentence = read_call(data / "speech_en_1.flac").caller.astype(float)
    sentence *= 20_000 / np.abs(sentence).max()
    parts = [np.pad(sentence * loud, (0, 12_000)) for loud in LOUDNESS]
    whole = np.concatenate(parts).astype(np.int16)
    return whole[: len(whole) // 800 * 800]


def facts(pcm: Pcm) -> Facts:
    seconds = len(pcm) / 8000
    return Facts(
        number=0, kind=Kind.ANGRY, corpus="demo", language="en", speaker="demo", gender="unknown",
        snr_db=None, line="mulaw", seconds=seconds, onset=0.0, outburst=None,
        spans=(Span(0.0, seconds, True),),
    )  # fmt: skip


def test_a_replay_and_known_utterances_give_what_the_pipeline_gave(pcm: Pcm) -> None:
    acoustic = cast(AcousticModel, AmplitudeModel())
    told: list[tuple[float, bool]] = []
    again: list[tuple[float, bool]] = []

    def note(into: list[tuple[float, bool]], event: Event) -> None:
        if isinstance(event, Alert):
            into.append((event.t, event.update))

    with Engine(settled_only(EAGER), NO_LANGUAGE) as engine:
        found = hear(engine, acoustic, facts(pcm), pcm, 8000, emit=lambda e: note(told, e))
        known = hear(
            engine, acoustic, facts(pcm), pcm, 8000, find_utterances(EAGER, pcm, 8000),
            emit=lambda e: note(again, e),
        )  # fmt: skip
    assert len(found.observations) >= 8
    assert found == known
    assert told == again
    outcome = replay(found, EAGER.escalation, Levels(EAGER.emotion.baseline))
    assert told, "the setting is eager enough for this test to see alerts"
    assert outcome.told == tuple(t for t, _ in told)
    assert outcome.opened == tuple(t for t, update in told if not update)
    assert found.fused_again(EAGER.emotion.fusion) == found


def test_running_windows_are_left_out_and_nothing_else() -> None:
    changed = settled_only(Config())
    assert changed.emotion.windows.hop_seconds == 0.0
    assert changed.escalation == Config().escalation
    assert changed.emotion.acoustic == Config().emotion.acoustic
