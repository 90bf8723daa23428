from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.calls.voices import clips
from voicebot.calls.casting import PATTERN, cast
from voicebot.calls.record import Kind
from voicebot.errors import ModelError


def test_every_kind_goes_round_the_speakers(tmp_path: Path) -> None:
    roles = cast(clips("a:1", "a:2", "b:1"), 60)
    assert [role.kind for role in roles[:20]] == list(PATTERN)
    calm = Counter(r.clips[0].speaker for r in roles if r.kind is Kind.CALM)
    assert calm == {"a:1": 5, "a:2": 5, "b:1": 5}
    assert all(len({c.speaker for c in r.clips}) == 1 for r in roles)


def test_a_longer_set_begins_as_a_shorter_one() -> None:
    assert cast(clips("a:1", "b:1"), 40)[:20] == cast(clips("a:1", "b:1"), 20)


def test_a_speaker_acts_only_what_they_have_clips_for() -> None:
    calm_only = [c for c in clips("a:9") if not c.angry]
    roles = cast([*clips("a:1"), *calm_only], 40)
    angry = {r.clips[0].speaker for r in roles if r.kind is Kind.ANGRY}
    assert angry == {"a:1"}


def test_nobody_for_a_kind_is_an_error() -> None:
    with pytest.raises(ModelError, match="speech for a call of kind outburst"):
        cast([c for c in clips("a:1") if not c.angry], 20)
