"""Labels in and out of a store: all of a file or nothing, and only where they fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.labelling.recordings import write_call
from voicebot.errors import LabelError
from voicebot.labelling.calls import find_calls
from voicebot.labelling.spans import Label, Span
from voicebot.labelling.store import LabelStore, Rating
from voicebot.labelling.transfer import import_ratings, labels_folder, read_files, write_tracks

ANGRY = (Span(1, 2, Label.ANGRY),)


def put(
    ratings: list[Rating], folder: Path, calls: dict[str, Path], *, replace_old: bool = False
) -> LabelStore:
    store = LabelStore(folder)
    import_ratings(
        ratings, store, calls, replace_old=replace_old, progress=lambda what, share: None
    )
    return store


def test_the_labels_beside_the_calls(tmp_path: Path) -> None:
    assert labels_folder(tmp_path) == tmp_path
    (tmp_path / "labels").mkdir()
    assert labels_folder(tmp_path) == tmp_path / "labels"


def test_tracks_there_and_back(tmp_path: Path) -> None:
    write_call(tmp_path / "calls/2024/a.wav")
    calls = find_calls([tmp_path / "calls"])
    (path,) = write_tracks([Rating("2024/a.wav", "ann", ANGRY)], tmp_path / "tracks")
    assert path == tmp_path / "tracks/ann/2024/a.wav.txt"
    (got,) = read_files([path], rater="bob", call=None, calls=calls)
    assert got == Rating("2024/a.wav", "bob", ANGRY)
    store = put([got], tmp_path / "labels", calls)
    kept = store.load("2024/a.wav", "bob")
    assert kept is not None and kept.done
    assert kept.seconds is not None and len(kept.speech or ()) == 2


def test_whose_and_of_which_call(tmp_path: Path) -> None:
    track = tmp_path / "a.txt"
    track.write_text("1\t2\tangry\n")
    calls = {"x/b.wav": Path("x/b.wav")}
    with pytest.raises(LabelError, match="--rater"):
        read_files([track], rater=None, call=None, calls=calls)
    with pytest.raises(LabelError, match="no recording has its name"):
        read_files([track], rater="ann", call=None, calls=calls)
    calls = {"x/a.wav": Path("x/a.wav"), "y/a.wav": Path("y/a.wav")}
    with pytest.raises(LabelError, match="several recordings have"):
        read_files([track], rater="ann", call=None, calls=calls)
    (got,) = read_files([track], rater="ann", call="y/a.wav", calls=calls)
    assert got.call == "y/a.wav"
    (got,) = read_files([track], rater="ann", call=None, calls={"z/a.wav": Path("z/a.wav")})
    assert got.call == "z/a.wav"
    with pytest.raises(LabelError, match="one by one"):
        read_files([track, track], rater="ann", call="y/a.wav", calls=calls)
    with pytest.raises(LabelError, match="two of these files"):
        read_files([track, track], rater="ann", call=None, calls={})


def test_labels_that_are_there_stay(tmp_path: Path) -> None:
    new = [Rating("b.wav", "ann", ANGRY), Rating("a.wav", "ann", ())]
    store = put([Rating("a.wav", "ann", ANGRY)], tmp_path, {})
    with pytest.raises(LabelError, match="there already.*--replace"):
        put(new, tmp_path, {})
    assert [r.call for r in store.ratings()] == ["a.wav"]
    put(new, tmp_path, {}, replace_old=True)
    assert [len(r.spans) for r in store.ratings()] == [0, 1]


def test_labels_that_do_not_fit_their_recording(tmp_path: Path) -> None:
    write_call(tmp_path / "a.wav")
    calls = find_calls([tmp_path])
    good = Rating("a.wav", "ann", ANGRY)
    for bad, found in (
        (Rating("b.wav", "ann", ANGRY), "no such recording"),
        (Rating("a.wav", "bob", (Span(1, 99, Label.ANGRY),)), "ends at 99 s, but the call at"),
        (Rating("a.wav", "bob", ANGRY, 50.0, 50.0), "ends at 50 s"),
    ):
        with pytest.raises(LabelError, match=found):
            put([good, bad], tmp_path / "labels", calls)
    assert not (tmp_path / "labels").exists()
    store = put([Rating("a.wav", "ann", ANGRY, 5.0, 5.0)], tmp_path / "labels", calls)
    kept = store.load("a.wav", "ann")
    assert kept is not None and kept.heard == 5.0 and not kept.done
