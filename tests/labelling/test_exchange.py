"""CSV and Audacity there and back; what is malformed is named and never repeated."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.errors import LabelError
from voicebot.labelling.exchange import from_audacity, from_csv, to_audacity, to_csv
from voicebot.labelling.gold import consensus
from voicebot.labelling.spans import Label, Span, paint
from voicebot.labelling.store import Rating

NAMES = st.text("abcxyzÄ통화 ,;'\"-_", min_size=1, max_size=12).map(lambda s: f"c{s}.wav")


@st.composite
def ratings(draw: st.DrawFn) -> list[Rating]:
    """Ratings of several calls and raters, with times of 0.1 ms."""
    out = []
    for call in draw(st.lists(NAMES, max_size=3, unique=True)):
        for rater in draw(st.lists(st.sampled_from(["ann", "bob", "Ünal 2"]), unique=True)):
            spans: tuple[Span, ...] = ()
            for _ in range(draw(st.integers(0, 5))):
                start = draw(st.integers(0, 10**6))
                end = start + draw(st.integers(1, 10**5))
                label = draw(st.sampled_from(list(Label)))
                spans = paint(spans, Span(start / 10**4, end / 10**4, label))
            seconds = draw(st.none() | st.just(110.0))
            heard = draw(st.none() | st.integers(1, 10**6).map(lambda s: s / 10**4))
            if heard is not None and spans:
                heard = max(heard, spans[-1].end)  # nobody marks what they have not heard
            if seconds or spans:
                out.append(Rating(call, rater, spans, seconds, heard if seconds else None))
    return sorted(out, key=lambda r: (r.call, r.rater))


def written(text: str) -> Path:
    with tempfile.NamedTemporaryFile("w", suffix=".csv", delete=False, encoding="utf-8") as file:
        file.write(text)
    return Path(file.name)


@settings(deadline=None, max_examples=60)
@given(ratings())
def test_csv_there_and_back(given_ratings: list[Rating]) -> None:
    path = written(to_csv(given_ratings))
    try:
        got = from_csv(path)
    finally:
        path.unlink()
    for before, after in zip(given_ratings, got, strict=True):
        assert (after.call, after.rater, after.spans) == (before.call, before.rater, before.spans)
        if len(consensus([before])) > 1 or not before.spans:  # else nothing says how far it goes
            assert consensus([after]) == consensus([before])
            assert after.done or not before.done


@settings(deadline=None, max_examples=60)
@given(ratings(), st.booleans())
def test_audacity_there_and_back(given_ratings: list[Rating], comma: bool) -> None:
    for rating in given_ratings:
        text = to_audacity(rating)
        if comma:
            text = text.replace(".", ",")
        path = written(text.replace("\n", "\n\\\t100\t3000\n"))
        try:
            got = from_audacity(path, rating.call, rating.rater)
        finally:
            path.unlink()
        assert got == Rating(rating.call, rating.rater, rating.spans)


def test_how_far_a_rater_listened_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(to_csv([Rating("a.wav", "ann", (Span(1, 2, Label.ANGRY),), 60.0, 30.0)]))
    assert path.read_text().splitlines()[1:] == ["a.wav,ann,1,2,angry", "a.wav,ann,2,30,other"]
    (got,) = from_csv(path)
    assert got.heard == 30.0


HEAD = "call,rater,start,end,label\n"


@pytest.mark.parametrize(
    ("text", "where", "found"),
    [
        (HEAD + "a.wav,ann,1,x,angry\n", ":2", "no number"),
        (HEAD + "\na.wav,ann,1,2,angry\na.wav,ann,9,5,angry\n", ":4", "not after its start"),
        (HEAD + "a.wav,ann,nan,5,angry\n", ":2", "numbers"),
        (HEAD + "a.wav,ann,-1,5,angry\n", ":2", "before the call"),
        (HEAD + "a.wav,ann,1,5,furious\n", ":2", "angry, unclear, other"),
        (HEAD + "a.wav,ann,1,5\n", ":2", "4 cells"),
        (HEAD + "../a.wav,ann,1,5,angry\n", ":2", "not a path below"),
        (HEAD + "a.wav,a/b,1,5,angry\n", ":2", "rater"),
        (HEAD + "a.wav,ann,1,5,angry\na.wav,ann,4,6,unclear\n", ":3", "overlaps line 2"),
        (HEAD + 'a.wav,"ann,1,5,angry\n', "", "export it again"),
        ("call,rater,start,end\n", ":1", "no column 'label'"),
        ("", ":1", "no column 'call'"),
        ("call,rater,start,end,label,label\n", ":1", "more than one column"),
    ],
)
def test_malformed_csv(tmp_path: Path, text: str, where: str, found: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(LabelError, match=found) as caught:
        from_csv(path)
    assert f"{path}{where}" in caught.value.what
    assert caught.value.mend


@pytest.mark.parametrize(
    ("text", "where", "found"),
    [
        ("1.0 2.0 angry\n", ":1", "tabs"),
        ("1.0\t2.0\tangry\n2\t3\tcross\n", ":2", "angry, unclear, other"),
        ("1.0\t1.0\tangry\n", ":1", "a point"),
        ("1.0\tend\tangry\n", ":1", "no number"),
        ("1\t5\tangry\n\\\t1\t2\n2\t3\tunclear\n", ":3", "overlaps line 1"),
    ],
)
def test_malformed_tracks(tmp_path: Path, text: str, where: str, found: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(LabelError, match=found) as caught:
        from_audacity(path, "a.wav", "ann")
    assert f"{path}{where}" in caught.value.what


def test_what_was_said_is_refused_and_not_repeated(tmp_path: Path) -> None:
    secret = "my card is 4111 1111"
    table = tmp_path / "a.csv"
    for text in (
        f"call,rater,start,end,label,{secret}\n",
        HEAD + f"a.wav,ann,1,2,{secret}\n",
        HEAD + f"a.wav,ann,1,{secret},angry\n",
    ):
        table.write_text(text)
        with pytest.raises(LabelError) as caught:
            from_csv(table)
        assert "4111" not in str(caught.value)
    track = tmp_path / "a.txt"
    track.write_text(f"1\t2\t{secret}\n")
    with pytest.raises(LabelError) as caught:
        from_audacity(track, "a.wav", "ann")
    assert "4111" not in str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="cannot be read"):
        from_csv(tmp_path / "absent.csv")
    binary = tmp_path / "a.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LabelError, match="UTF-8"):
        from_csv(binary)
    binary.write_bytes(b"\xef\xbb\xbf" + (HEAD + "a.wav,ann,1,2,Angry\r\n").encode())
    assert from_csv(binary) == [Rating("a.wav", "ann", (Span(1, 2, Label.ANGRY),))]
