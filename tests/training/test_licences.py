"""What may be done with a corpus: the folder has the first word, then what is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.corpus import make_corpus, write_manifest
from voicebot.errors import ModelError
from voicebot.training.licences import LICENCE_FILE, licences_of, read_licences
from voicebot.training.speech_corpora import read_manifest


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """With a clip in a folder below, and a corpus that is known."""
    folder = make_corpus(tmp_path / "data")
    speech = folder / "speech"
    lines = (speech / "manifest.csv").read_text().splitlines()[1:]
    rows = [tuple(line.split(",")) for line in lines]
    (speech / "deep" / "er").mkdir(parents=True)
    (speech / rows[0][0]).rename(speech / "deep" / "er" / "a.wav")
    rows[0] = ("deep/er/a.wav", *rows[0][1:])
    rows = [(r[0], {"bb": "tess"}.get(r[1], r[1]), *r[2:]) for r in rows]
    write_manifest(folder, rows)
    return folder


def test_the_folder_goes_before_what_is_known(data: Path) -> None:
    clips = read_manifest(data)
    assert clips[0].file == "deep/er/a.wav"
    known = {"aa": "see its owner", "cc": "see its owner", "tess": "CC BY-NC-ND 4.0"}
    assert licences_of(clips) == known
    stated = "corpus,licence\naa,ours alone\ntess,bought\nzz,of nothing here\n"
    (data / "speech" / LICENCE_FILE).write_text(stated)
    assert licences_of(clips) == {"aa": "ours alone", "cc": "see its owner", "tess": "bought"}
    assert licences_of(clips[1:]) == licences_of(clips)
    assert licences_of([]) == {}


@pytest.mark.parametrize("text", [b"name,licence\naa,ours alone\n", b"corpus,licence\naa,\xff\n"])
def test_a_list_that_cannot_be_read(text: bytes, data: Path) -> None:
    assert read_licences(data) == {}
    (data / "speech" / LICENCE_FILE).write_bytes(text)
    with pytest.raises(ModelError, match=r"licences\.csv: cannot be read") as caught:
        licences_of(read_manifest(data))
    assert "corpus,licence" in caught.value.mend
