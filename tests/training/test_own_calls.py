"""Labelled calls are cut where raters agree, split by caller, and keep nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.labelling.recordings import write_call
from voicebot.errors import AudioError, LabelError
from voicebot.labelling.calls import read_call
from voicebot.labelling.spans import Label, Span
from voicebot.labelling.store import LabelStore, Rating
from voicebot.training.own_calls import (
    MAX_SECONDS,
    MIN_SECONDS,
    OwnCorpus,
    cut_calls,
    cut_spans,
    split_callers,
)

ANGRY, OTHER = Label.ANGRY, Label.OTHER


def test_stretches_lie_within_speech_and_one_label() -> None:
    gold = (Span(0, 5, OTHER), Span(5, 30, ANGRY), Span(40, 60, OTHER))
    cut, short = cut_spans(gold, [(1.0, 3.5), (4.5, 7.0), (10.0, 27.0), (29.5, 30.2), (35.0, 39.0)])
    assert short == 2  # 4.5-5.0 other, 29.5-30.0 angry
    assert cut[:2] == [Span(1.0, 3.5, OTHER), Span(5.0, 7.0, ANGRY)]
    assert [s.seconds for s in cut[2:]] == pytest.approx([17 / 3] * 3)
    assert cut[-1].end == 27.0


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0.01, 60)), max_size=5))
def test_every_stretch_is_of_a_good_length(speech: list[tuple[float, float]]) -> None:
    gold = (Span(0, 50, OTHER), Span(50, 200, ANGRY))
    cut, _ = cut_spans(gold, [(start, start + length) for start, length in speech])
    for span in cut:
        assert MIN_SECONDS - 1e-6 <= span.seconds <= MAX_SECONDS + 1e-5


CLASSES = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=6),
    st.sampled_from([frozenset({True}), frozenset({False}), frozenset({True, False})]),
    min_size=1,
    max_size=15,
)


@settings(deadline=None)
@given(CLASSES, st.text("xyz", max_size=3))
def test_as_many_splits_as_can_have_both_classes(
    classes: dict[str, frozenset[bool]], seed: str
) -> None:
    splits = split_callers({c: set(s) for c, s in classes.items()}, seed)
    assert set(splits) == set(classes)
    full = [
        split
        for split in ("train", "test", "dev")
        if {True, False} <= {a for c, s in classes.items() if splits[c] == split for a in s}
    ]
    both = sum(len(s) == 2 for s in classes.values())
    alone = [sum(s == {angry} for s in classes.values()) for angry in (True, False)]
    assert len(full) >= min(3, both + min(alone))
    assert splits == split_callers({c: set(s) for c, s in reversed(classes.items())}, seed)


def test_the_split_is_about_70_15_15_and_stays_as_callers_come() -> None:
    many = {f"caller {i}": {True, False} for i in range(1000)}
    splits = split_callers(many, "0/x")
    shares = [list(splits.values()).count(s) / 1000 for s in ("train", "dev", "test")]
    assert shares == pytest.approx([0.7, 0.15, 0.15], abs=0.04)
    half = dict(list(many.items())[:500])
    assert split_callers(half, "0/x") == {c: splits[c] for c in half}
    assert split_callers(many, "1/x") != splits


def label(folder: Path, call: str, angry: int) -> None:
    """Mark all utterances of a call before the given one as calm, and the rest as angry."""
    audio = read_call(folder / call)
    spans = tuple(
        Span(round(s, 4), round(e, 4), ANGRY) for i, (s, e) in enumerate(audio.speech) if i >= angry
    )
    LabelStore(folder / "labels").save(
        Rating(call, "ann", spans, round(audio.seconds, 4), None, audio.speech)
    )


def cut(folder: Path, callers: dict[str, str] | None = None) -> OwnCorpus:
    return cut_calls(
        folder, folder / "labels", callers or {}, name="mine", seed=0, legs=None,
        progress=lambda what, share: None,
    )  # fmt: skip


def test_calls_to_clips(tmp_path: Path) -> None:
    for seed, name in enumerate(("a.wav", "b.wav", "2024/c.wav")):
        write_call(tmp_path / name, seed=seed, two_legs=name != "b.wav")
        label(tmp_path, name, angry=1)
    write_call(tmp_path / "again.wav", seed=0)
    label(tmp_path, "again.wav", angry=1)
    write_call(tmp_path / "unlabelled.wav", seed=9)
    made = cut(tmp_path)
    assert (made.calls, made.callers, made.unlabelled) == (3, 3, 1)
    assert (made.same_calls, made.same_clips, made.mono) == (1, 0, 1)
    assert len(made.clips) == 6
    assert {(c.split, c.angry) for c in made.clips} == {
        (split, angry) for split in ("train", "dev", "test") for angry in (True, False)
    }
    by_caller: dict[int, set[str]] = {}
    for clip in made.clips:
        by_caller.setdefault(clip.caller, set()).add(clip.split)
        assert MIN_SECONDS <= len(clip.pcm) / 8000 <= MAX_SECONDS
    assert set(by_caller) == {1, 2, 3} and all(len(s) == 1 for s in by_caller.values())
    one = cut(tmp_path, {"a.wav": "0131 496 0000", "b.wav": "0131 496 0000"})
    assert one.callers == 2


def test_what_raters_dispute_is_left_out(tmp_path: Path) -> None:
    write_call(tmp_path / "a.wav")
    label(tmp_path, "a.wav", angry=1)
    store = LabelStore(tmp_path / "labels")
    rating = store.load("a.wav", "ann")
    assert rating is not None
    store.save(Rating("a.wav", "bob", (), rating.seconds, None, rating.speech))
    made = cut(tmp_path)
    assert [c.angry for c in made.clips] == [False]


def test_labels_that_lost_their_recording_and_broken_ones(tmp_path: Path) -> None:
    for seed, name in enumerate(("a.wav", "b.wav")):
        write_call(tmp_path / name, seed=seed)
        label(tmp_path, name, angry=1)
        (tmp_path / name).write_bytes(b"RIFF nothing")
    with pytest.raises(AudioError) as caught:
        cut(tmp_path)
    assert "a.wav" in caught.value.what and "b.wav" in caught.value.what
    with pytest.raises(LabelError, match=r"x\.wav: has a caller, but"):
        cut(tmp_path, {"x.wav": "7"})
    (tmp_path / "b.wav").unlink()
    with pytest.raises(LabelError, match=r"b\.wav: has labels, but"):
        cut(tmp_path)


def test_nothing_to_cut(tmp_path: Path) -> None:
    write_call(tmp_path / "a.wav")
    LabelStore(tmp_path / "labels").save(Rating("a.wav", "ann", (), 10.0, heard=0.5))
    with pytest.raises(LabelError, match="no stretch of 1 s"):
        cut(tmp_path)
