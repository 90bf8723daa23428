from __future__ import annotations

from pathlib import Path

import pytest

from tests.calls.made import call
from voicebot.calls import store
from voicebot.calls.listen import Utterance
from voicebot.calls.record import Kind
from voicebot.emotion.fusion import FusionParams
from voicebot.errors import OutputError

CALLS = [call([1.0, None, -2.0], Kind.ANGRY, begins=1), call([]), call([0.25])]


def test_heard_calls_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "calls.npz"
    store.save(path, CALLS)
    back = store.load(path)
    assert back is not None
    params = FusionParams()
    assert [c.fused_again(params) for c in back] == [c.fused_again(params) for c in CALLS]
    assert list(path.parent.iterdir()) == [path], "nothing half written is left"


def test_utterances_come_back_as_they_were(tmp_path: Path) -> None:
    calls = [(Utterance(1.2, 1.0, 2.0, 2.8, 0.9, 14400),), (), (Utterance(9, 8, 9, 9, 1, 1),)]
    store.save_utterances(tmp_path / "u.npz", calls)
    assert store.load_utterances(tmp_path / "u.npz") == calls


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"garbage"])
def test_a_broken_file_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "calls.npz"
    path.write_bytes(content)
    assert store.load(path) is None
    assert store.load_utterances(path) is None
    assert store.load(tmp_path / "absent.npz") is None


def test_a_file_of_the_other_kind_is_as_good_as_none(tmp_path: Path) -> None:
    store.save_utterances(tmp_path / "u.npz", [])
    assert store.load(tmp_path / "u.npz") is None


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        store.save(tmp_path / "file" / "calls.npz", CALLS)
