"""A corpus of one's own is written beside the others, and can be trained on."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.training.corpus import make_corpus
from voicebot.errors import LabelError, ModelError, OutputError
from voicebot.events import EMOTIONS
from voicebot.training.corpus_check import check
from voicebot.training.licences import read_licences
from voicebot.training.own_calls import CutClip, OwnCorpus
from voicebot.training.own_corpus import (
    check_name,
    check_place,
    read_callers,
    write_corpus,
)
from voicebot.training.speech_corpora import read_manifest


def quiet(what: str, share: float) -> None:
    pass


def corpus(clips: int = 12) -> OwnCorpus:
    rng = np.random.default_rng(0)
    made = tuple(
        CutClip(
            rng.integers(-999, 999, 9000, dtype=np.int16), i % 2 == 0, i // 4 + 1,
            ("train", "dev", "test")[i // 4],
        )
        for i in range(clips)
    )  # fmt: skip
    return OwnCorpus(made, 3, 3, 0, 0, 0, 0, 0)


def test_beside_others_and_replaced(tmp_path: Path) -> None:
    data = make_corpus(tmp_path / "data")
    manifest = data / "speech" / "manifest.csv"
    lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join(f"{line},more" for line in lines).replace(",more", ",src", 1))
    for count in (12, 8):
        write_corpus(data, "mine", "en", "ours", corpus(count), quiet)
        clips = read_manifest(data)
        mine = [c for c in clips if c.corpus == "mine"]
        assert (len(mine), len(clips)) == (count, 54 + count)
        assert len(list((data / "speech" / "mine").iterdir())) == count
    assert {(c.split, c.angry) for c in mine} == {(s, a) for s in ("train", "dev") for a in (0, 1)}
    assert {(EMOTIONS[c.emotion], c.angry) for c in mine} == {("anger", True), ("neutral", False)}
    pcm, rate = soundfile.read(mine[0].path, dtype="int16")
    assert rate == 8000 and (pcm == corpus().clips[0].pcm).all()
    assert (mine[0].speaker, mine[0].seconds, mine[0].text) == ("mine:0001", 1.125, "")
    with manifest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["emotion"] for row in rows if row["corpus"] == "mine"} == {"angry", "other"}
    assert rows[0]["src"] == "more" and rows[-1]["src"] == ""
    assert read_licences(data) == {"mine": "ours"}
    assert [p for p in check(data, quiet)[1] if "mine" in p.what] == []
    assert not [p for p in (data / "speech").iterdir() if p.name.startswith(".")]


def test_into_an_empty_folder(tmp_path: Path) -> None:
    write_corpus(tmp_path / "new", "mine", "en", "ours", corpus(), quiet)
    (odd,) = check(tmp_path / "new", quiet)[1]
    assert "only one corpus" in odd.what


def test_where_it_may_go(tmp_path: Path) -> None:
    data = make_corpus(tmp_path / "data")
    calls = tmp_path / "calls"
    check_place(data, calls, "mine", replace_old=False)
    write_corpus(data, "mine", "en", "ours", corpus(), quiet)
    with pytest.raises(LabelError, match=r"has a corpus mine already \(12 clips\)"):
        check_place(data, calls, "mine", replace_old=False)
    check_place(data, calls, "mine", replace_old=True)
    with pytest.raises(LabelError, match="not made by this command"):
        check_place(data, calls, "aa", replace_old=True)
    with pytest.raises(LabelError, match="lies in the folder of calls"):
        check_place(calls / "data", calls, "mine", replace_old=False)
    (data / "speech" / "manifest.csv").write_text("file,corpus\n")
    with pytest.raises(ModelError, match="no column 'language'"):
        check_place(data, calls, "mine", replace_old=False)


@pytest.mark.parametrize("name", ["", "Mine", "a/b", "..", "a" * 33])
def test_names(name: str) -> None:
    with pytest.raises(LabelError, match="--name mycalls"):
        check_name(name, "en")
    with pytest.raises(LabelError, match="not a code"):
        check_name("mine", "English")
    check_name("my-calls_2", "yue")


def test_what_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_corpus(tmp_path / "file" / "data", "mine", "en", "ours", corpus(), quiet)


def test_callers(tmp_path: Path) -> None:
    path = tmp_path / "callers.csv"
    path.write_text("caller,call\n0131 496 0000,a.wav\n\nBob,b.wav\n")
    assert read_callers(path) == {"a.wav": "0131 496 0000", "b.wav": "Bob"}
    secret = "0131 496 0000"
    for text, found in (
        (f"call,{secret}\n", ":1: not the columns"),
        (f"call,caller\na.wav,{secret},x\n", ":2: not a call and a caller"),
        ("call,caller\na.wav,\n", ":2: not a call"),
        (f"call,caller\na.wav,{secret}\na.wav,Bob\n", ":3: the call has two callers"),
        (f'call,caller\na.wav,"{secret}', "not CSV"),
    ):
        path.write_text(text)
        with pytest.raises(LabelError, match=found) as caught:
            read_callers(path)
        assert secret not in str(caught.value)
    with pytest.raises(LabelError, match="cannot be read"):
        read_callers(tmp_path / "absent.csv")
