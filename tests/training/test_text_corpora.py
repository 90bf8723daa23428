"""Corpora are read as they are, labelled as documented, split without leaks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from voicebot.emotion.text_features import LANGUAGES
from voicebot.errors import ModelError
from voicebot.training.text_corpora import (
    CORPORA,
    DISSATISFIED,
    OTHERS,
    Corpus,
    Example,
    load,
    shares,
    split_of,
)


def corpus(name: str) -> Corpus:
    return next(c for c in CORPORA if c.name == name)


def write(data: Path, name: str, contents: dict[str, str]) -> list[Example]:
    for file, text in contents.items():
        path = data / "text" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return load(corpus(name), data)


def other(example: Example) -> str:
    assert example.others is not None
    return OTHERS[int(np.argmax(example.others))]


def test_goemotions(tmp_path: Path) -> None:
    labels = "anger\njoy\ndisapproval\nneutral\ncuriosity\n"
    found = write(
        tmp_path, "goemotions",
        {"goemotions/labels.txt": labels, "goemotions/train.tsv": "mad\t0\ta\nhm\t1,4\tb\n",
         "goemotions/dev.tsv": "no\t2,3\tc\n", "goemotions/test.tsv": "how\t4\td\n"},
    )  # fmt: skip
    assert [(e.split, e.anger) for e in found] == [
        ("train", 1.0), ("train", 0.0), ("dev", 1.0), ("test", 0.0),
    ]  # fmt: skip
    assert found[0].others is None and other(found[2]) == other(found[3]) == "neutral"
    assert found[1].others is not None
    assert dict(zip(OTHERS, found[1].others, strict=True))["happiness"] == 0.5


def test_airline_complaints_are_angry_in_part(tmp_path: Path) -> None:
    rows = "tweet_id,airline_sentiment,text\n1,negative,bad\n2,neutral,when\n3,positive,good\n"
    found = write(tmp_path, "airline_tweets", {"airline_tweets/Tweets.csv": rows})
    assert [e.anger for e in found] == [DISSATISFIED, 0.0, 0.0]
    assert found[0].others is None
    assert [other(e) for e in found[1:]] == ["neutral", "happiness"]


def test_dialogues_are_not_torn_apart(tmp_path: Path) -> None:
    lines = ["dialog #\t발화\t감정"]
    for number in range(60):
        lines += [f"S\t말 {number}\t분노", f"\t답 {number}\t중립", f"\t끝 {number}\t오타"]
    found = write(
        tmp_path, "ko_continuous_dialogue",
        {"ko_continuous_dialogue/ko_continuous_dialogue.tsv": "\n".join(lines)},
    )  # fmt: skip
    assert len(found) == 120  # rows with a mistyped label are left out
    for first, second in zip(found[::2], found[1::2], strict=True):
        assert first.split == second.split and (first.anger, second.anger) == (1.0, 0.0)
    assert {e.split for e in found} == {"train", "dev", "test"}


def test_kote_test_is_anger_and_annoyance(tmp_path: Path) -> None:
    found = write(
        tmp_path, "kote",
        {"kote/val.tsv": "1\t가\t6\n2\t나\t0,22\n", "kote/test.tsv": "3\t다\t0\n4\t라\t42,6\n"},
    )  # fmt: skip
    assert [e.anger for e in found] == [1.0, 1.0, 0.0, 1.0]
    assert [e.split for e in found[2:]] == ["test", "test"]
    assert other(found[3]) == "happiness"


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"Tweets\.csv: missing.*--data"):
        load(corpus("airline_tweets"), tmp_path)


def test_wrong_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not the corpus airline_tweets"):
        write(tmp_path, "airline_tweets", {"airline_tweets/Tweets.csv": "a,b\n1,2\n"})


def test_unknown_label_is_refused(tmp_path: Path) -> None:
    rows = "Utterance,Emotion\nhm,boredom\n"
    files = {f"meld/{s}_sent_emo.csv": rows for s in ("train", "dev", "test")}
    with pytest.raises(ModelError, match="boredom"):
        write(tmp_path, "meld", files)


def test_shares_sum_to_one_and_leave_out_anger() -> None:
    found = shares({"anger": 3.0, "fear": 1.0, "sadness": 3.0})
    assert found is not None
    assert dict(zip(OTHERS, found.tolist(), strict=True)) == {
        "disgust": 0, "fear": 0.25, "happiness": 0, "neutral": 0, "sadness": 0.75, "surprise": 0,
    }  # fmt: skip
    assert shares({"anger": 1.0}) is None


def test_split_is_steady_and_about_eight_to_one_to_one() -> None:
    counts = Counter(split_of(f"group {n}") for n in range(2000))
    assert split_of("dialogue 7") == split_of("dialogue 7")
    assert 0.75 < counts["train"] / 2000 < 0.85
    assert min(counts["dev"], counts["test"]) > 140


def test_every_corpus_is_of_a_language_that_has_a_model() -> None:
    assert {c.language for c in CORPORA} == set(LANGUAGES)


@pytest.mark.shared
@pytest.mark.parametrize("name", [c.name for c in CORPORA])
def test_real_corpus(shared_data: Path, name: str) -> None:
    found = load(corpus(name), shared_data)
    assert {e.split for e in found} == {"train", "dev", "test"}
    angry = [e.anger for e in found if e.anger is not None]
    assert 0.05 < float(np.mean(angry)) < 0.6
    texts = {s: {e.text for e in found if e.split == s} for s in ("train", "test")}
    assert len(texts["train"]) > 1500 and len(texts["test"]) > 1000
