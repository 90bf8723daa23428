"""Labels are written whole or not at all, and read with every fault named."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from voicebot.errors import LabelError, OutputError
from voicebot.labelling.spans import Label, Span
from voicebot.labelling.store import LabelStore, Rating

RATING = Rating(
    "2024/통화 1.wav", "ann", (Span(1.5, 2.25, Label.ANGRY), Span(3, 4, Label.UNCLEAR)),
    seconds=9.0, heard=5.0, speech=((0.5, 3.0), (4.0, 8.0)),
)  # fmt: skip


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    store = LabelStore(tmp_path / "labels")
    store.save(RATING)
    assert store.load(RATING.call, "ann") == RATING
    assert store.load(RATING.call, "bob") is None
    assert store.ratings() == [RATING]
    assert store.path(RATING.call, "ann") == tmp_path / "labels/ann/2024/통화 1.wav.json"
    assert [p.name for p in (tmp_path / "labels/ann/2024").iterdir()] == ["통화 1.wav.json"]


def test_done_is_heard_to_the_end() -> None:
    assert not RATING.done
    assert Rating("a", "ann", (), 9.0, 9.0).done
    assert Rating("a", "ann").done


@pytest.mark.parametrize("rater", ["", "../x", ".hidden", "a/b", "a" * 65, "ann ", "a\nb"])
def test_a_rater_needs_a_usable_name(tmp_path: Path, rater: str) -> None:
    with pytest.raises(LabelError, match="--rater ann"):
        LabelStore(tmp_path).save(Rating("a.wav", rater))


@pytest.mark.parametrize("call", ["", "/etc/passwd", "../a.wav", "a/../../b.wav", "a\0b"])
def test_a_call_stays_below_the_folder(tmp_path: Path, call: str) -> None:
    with pytest.raises(LabelError, match="not a path below"):
        LabelStore(tmp_path).save(Rating(call, "ann"))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"format": 2}, "another version"),
        ({"spans": [{"start": 3, "end": 1, "label": "angry"}]}, "not after its start"),
        ({"spans": [{"start": 1, "end": 2, "label": "cross"}]}, "cross"),
        ({"spans": [{"start": 1, "end": 2, "label": "other"}]}, "'other'"),
        (
            {"spans": [{"start": 1, "end": 3, "label": "angry"},
                       {"start": 2, "end": 4, "label": "angry"}]},
            "overlap",
        ),
        ({"text": "what was said"}, "unknown field 'text'"),
        ({"rater": "bob"}, "by rater 'bob'"),
    ],
)  # fmt: skip
def test_a_file_that_was_meddled_with(
    tmp_path: Path, change: dict[str, object], found: str
) -> None:
    store = LabelStore(tmp_path)
    store.save(RATING)
    path = store.path(RATING.call, "ann")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(LabelError, match=found) as caught:
        store.ratings()
    assert str(path) in caught.value.what


def test_half_a_file_is_named(tmp_path: Path) -> None:
    store = LabelStore(tmp_path)
    store.save(RATING)
    path = store.path(RATING.call, "ann")
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(LabelError, match="cannot be read"):
        store.load(RATING.call, "ann")


def test_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(LabelError, match="not a folder"):
        LabelStore(file)
    with pytest.raises(OutputError, match="cannot be written"):
        LabelStore(Path("/proc/labels")).check_writable("ann")
    with pytest.raises(OutputError, match="cannot be written"):
        LabelStore(file / "labels").save(RATING)
    with pytest.raises(OutputError, match="shorter name"):
        LabelStore(tmp_path).save(Rating("a" * 300, "ann"))


FULL = """
import resource, signal, sys
from pathlib import Path
from voicebot.errors import OutputError
from voicebot.labelling.spans import Label, Span
from voicebot.labelling.store import LabelStore, Rating
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = LabelStore(Path(sys.argv[1]))
store.save(Rating("a.wav", "ann", (Span(1, 2, Label.ANGRY),), 9.0))
resource.setrlimit(resource.RLIMIT_FSIZE, (150, resource.RLIM_INFINITY))
many = tuple(Span(i, i + 0.5, Label.ANGRY) for i in range(50))
for attempt in (lambda: store.save(Rating("a.wav", "ann", many, 99.0)),
                lambda: store.check_writable("ann")):
    try:
        attempt()
    except OutputError as err:
        print(err)
"""


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.count("make room on the disk") == 2, done.stdout
    (kept,) = LabelStore(tmp_path).ratings()
    assert kept.spans == (Span(1, 2, Label.ANGRY),)
    assert len(list((tmp_path / "ann").iterdir())) == 1
