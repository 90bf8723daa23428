"""One rater at work: resuming, what was heard, somebody else at the same labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.labelling.recordings import write_call
from voicebot.errors import AudioError, LabelError, OutputError
from voicebot.labelling.calls import find_calls
from voicebot.labelling.session import LabelSession, heard_up_to, revision_of
from voicebot.labelling.spans import Label, Span
from voicebot.labelling.store import LabelStore, Rating


def session_on(folder: Path, rater: str = "ann") -> LabelSession:
    return LabelSession(find_calls([folder]), LabelStore(folder / "labels"), rater)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.wav", "b.wav"):
        write_call(tmp_path / name)
    (tmp_path / "broken.wav").write_bytes(b"RIFF nothing")
    return tmp_path


def test_work_goes_on_where_it_stopped(folder: Path) -> None:
    session = session_on(folder)
    assert session.next_open() == 0
    fresh = session.rating("a.wav")
    assert fresh.heard == 0.0 and len(fresh.speech or ()) == 2
    angry = (Span(1.0, 2.0, Label.ANGRY),)
    saved = session.save("a.wav", angry, 3.0, revision=revision_of(fresh))

    again = session_on(folder)
    assert again.rating("a.wav") == saved
    session.save("a.wav", angry, fresh.seconds, revision=revision_of(saved))
    done = again.rating("a.wav")
    assert done.done and done.spans == angry
    assert again.next_open() == 1
    status = again.overview()[0]
    assert (status.spans, status.done, status.heard) == (1, True, fresh.seconds)
    assert session_on(folder, "bob").rating("a.wav").spans == ()


def test_a_broken_call_is_left_out_of_the_rest(folder: Path) -> None:
    session = session_on(folder)
    with pytest.raises(AudioError, match=r"broken\.wav"):
        session.rating("broken.wav")
    assert "broken.wav" in session.overview()[2].problem
    assert session.next_open(1) == 0
    for call in ("a.wav", "b.wav"):
        session.save(call, (), None, revision=revision_of(session.rating(call)))
    assert session.next_open() is None


def test_labels_changed_elsewhere_are_not_overwritten(folder: Path) -> None:
    one, two = session_on(folder), session_on(folder)
    revision = revision_of(one.rating("a.wav"))
    one.save("a.wav", (Span(1, 2, Label.ANGRY),), 2.0, revision=revision)
    with pytest.raises(LabelError, match="changed elsewhere"):
        two.save("a.wav", (), 2.0, revision=revision)
    assert one.rating("a.wav").spans == (Span(1, 2, Label.ANGRY),)


def test_spans_end_with_the_call(folder: Path) -> None:
    session = session_on(folder)
    rating = session.rating("a.wav")
    saved = session.save("a.wav", (Span(1, 999, Label.ANGRY),), 999.0, revision=revision_of(rating))
    assert saved.spans[0].end == rating.seconds
    assert saved.done


def test_a_folder_that_cannot_be_written_is_told_at_once(folder: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        LabelSession(find_calls([folder]), LabelStore(Path("/proc/x")), "ann")


def test_what_counts_as_heard() -> None:
    rating = Rating("a", "ann", seconds=20.0, heard=0.0, speech=((2.0, 5.0), (10.0, 15.0)))
    assert heard_up_to(rating, 0.0, 1.0) == 1.0
    assert heard_up_to(rating, 1.0, 2.4) == 2.4
    assert heard_up_to(rating, 1.0, 6.0) == 1.0  # an utterance was skipped
    assert heard_up_to(rating, 5.0, 10.2) == 10.2  # a pause was
    assert heard_up_to(rating, 8.0, 3.0) == 8.0


def test_nothing_is_read_after_the_close(folder: Path) -> None:
    session = session_on(folder)
    session.close()
    session.close()
    assert session._lock.locked()
