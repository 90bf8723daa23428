"""All that is wrong with a corpus is named at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.training.corpus import make_corpus, write_manifest
from voicebot.errors import ModelError
from voicebot.training.corpus_check import check, summaries
from voicebot.training.speech_corpora import Problem, read_manifest


def quiet(what: str, share: float) -> None:
    assert 0.0 <= share <= 1.0


def found(data: Path) -> list[Problem]:
    return check(data, quiet)[1]


def rows_of(data: Path) -> list[tuple[str, ...]]:
    lines = (data / "speech" / "manifest.csv").read_text().splitlines()[1:]
    return [tuple(line.split(",")) for line in lines]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_corpus(tmp_path / "data")


def test_a_sound_corpus_but_for_its_three_voices(data: Path) -> None:
    assert found(data) == []


def test_everything_at_once(data: Path) -> None:
    rows = rows_of(data)
    speech = data / "speech"
    rows[0] = (*rows[0][:4], "furious", *rows[0][5:])
    (speech / rows[1][0]).write_bytes(b"RIFF nothing")
    (speech / rows[2][0]).unlink()
    rows[3] = (*rows[3][:6], "test", "")  # its speaker is in train
    (speech / rows[10][0]).write_bytes((speech / rows[5][0]).read_bytes())  # train and dev
    soundfile.write(speech / rows[11][0], np.ones(4000, np.int16), 8000)
    write_manifest(data, rows)
    problems = found(data)
    manifest = speech / "manifest.csv"
    for what, fatal in (
        (f"{manifest}:2: unknown emotion 'furious'", True),
        (f"{speech / rows[1][0]}: ", True),
        (f"{manifest}:4: no file {speech / rows[2][0]}", True),
        ("speaker 'aa:0' is in the splits 'train' and 'test'", True),
        ("in the splits dev, train", True),
        ("0.50 s long, but 1 s in the manifest", False),
    ):
        (one,) = [p for p in problems if what in p.what]
        assert one.fatal is fatal and one.mend and str(one).endswith(f"({one.mend})")
    assert [p.fatal for p in problems] == sorted((p.fatal for p in problems), reverse=True)
    with pytest.raises(ModelError, match="furious"):
        read_manifest(data)


def test_the_same_sound_twice(data: Path) -> None:
    rows = rows_of(data)
    speech = data / "speech"
    angry = next(r for r in rows if r[3] == "aa:0" and r[4] == "angry")
    same, other = (
        next(r for r in rows if r[3] == "aa:0" and (r[4] == "angry") is a and r != angry)
        for a in (True, False)
    )
    (speech / same[0]).write_bytes((speech / angry[0]).read_bytes())
    (one,) = found(data)
    assert not one.fatal and angry[0] in one.what and same[0] in one.what
    (speech / other[0]).write_bytes((speech / angry[0]).read_bytes())
    (one,) = found(data)
    assert one.fatal and "once angry and once not" in one.what


def test_one_voice_or_one_corpus(data: Path) -> None:
    rows = [r for r in rows_of(data) if r[1] == "aa"]
    write_manifest(data, rows)
    (one,) = found(data)
    assert "only one corpus (aa)" in one.what and not one.fatal
    write_manifest(data, [r for r in rows if r[3] == "aa:0"])
    assert any(p.fatal and "only one speaker (aa:0)" in p.what for p in found(data))


def test_a_corpus_of_one_voice_beside_others(data: Path) -> None:
    write_manifest(data, [r for r in rows_of(data) if r[1] != "aa" or r[3] == "aa:0"])
    (one,) = found(data)
    assert "corpus aa has only one speaker" in one.what and not one.fatal


def test_classes_that_are_missing(data: Path) -> None:
    rows = rows_of(data)
    write_manifest(data, [r for r in rows if not (r[6] == "test" and r[4] == "angry")])
    (one,) = found(data)
    assert "no angry clips in the split 'test'" in one.what and one.fatal
    write_manifest(data, [r for r in rows if r[6] != "dev"])
    assert [p.fatal for p in found(data)] == [False, False]


def test_no_manifest_is_told_as_training_tells_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no labelled speech"):
        found(tmp_path)


def test_a_row_that_was_cut_off(data: Path) -> None:
    with (data / "speech" / "manifest.csv").open("a") as file:
        file.write("aa_0_0.wav,aa,en\n")
    assert "unknown emotion ''" in found(data)[0].what


def test_what_is_there(data: Path) -> None:
    (data / "speech" / "licences.csv").write_text("corpus,licence\naa,ours alone\n")
    first, second, _ = summaries(read_manifest(data))
    assert (first.corpus, first.languages, first.speakers, first.clips) == ("aa", ("en",), 3, 18)
    assert first.hours == pytest.approx(18 / 3600)
    assert dict(first.emotions) == {"anger": 6, "happiness": 6, "neutral": 3, "sadness": 3}
    assert first.splits == (("train", 6), ("dev", 6), ("test", 6))
    assert (first.licence, second.licence) == ("ours alone", "see its owner")
