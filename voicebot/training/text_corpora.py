"""Text corpora: every file's own labels brought to ours, with their splits.

An :class:`Example` answers two questions, either of which a corpus may leave
open: how far the text is *angry* (0-1), and which of the other emotions it holds
(soft shares).  "Angry" is what a service line calls losing patience: anger and
annoyance, and with them disapproval and disgust, which callers voice in one
breath.  Reviews and tweets to an airline are labelled by sentiment only; their
negative ones are dissatisfied rather than furious, so they count as angry by the
part :data:`DISSATISFIED`.

Official splits are kept.  Where a corpus has none, whole groups (dialogues,
television programmes, product categories) go to train, dev or test, chosen by a
checksum, so the split never changes and no dialogue is on both sides.
"""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from voicebot.errors import ModelError
from voicebot.events import EMOTIONS

OTHERS: Final = tuple(name for name in EMOTIONS if name != "anger")
"""The classes besides anger, in the order of :data:`voicebot.events.EMOTIONS`."""
DISSATISFIED: Final = 0.8
"""How angry a text is that is only known to be a negative review or complaint, 0-1."""

Shares = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled text."""

    text: str
    """as the corpus has it"""
    corpus: str
    split: str
    """``train``, ``dev`` or ``test``"""
    anger: float | None
    """0-1; None if the corpus does not say"""
    others: Shares | None
    """shares of :data:`OTHERS`, shape ``(6,)``, sum one; None if angry or not said"""
    labels: tuple[str, ...] = ()
    """the corpus' own labels; finer than the two answers above, they help a network to learn"""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Where a corpus lies and how to read it."""

    name: str
    language: str
    """ISO 639-1"""
    files: tuple[str, ...]
    """below ``<data>/text``"""
    licence: str
    read: Callable[[Sequence[Path]], Iterator[Example]]
    weight: float
    """how much one of its training examples counts; 0 for a corpus that only serves to test"""
    anger: str
    """what counts as angry, for the card"""


def load(corpus: Corpus, data: Path) -> list[Example]:
    """Read one corpus.

    Args:
        corpus: One of :data:`CORPORA`.
        data: The folder that holds ``text/``.

    Raises:
        ModelError: a file is missing or is not what its name says.
    """
    paths = [data / "text" / name for name in corpus.files]
    for path in paths:
        if not path.is_file():
            raise ModelError(
                f"{path}: missing, corpus {corpus.name} cannot be read",
                f"put the corpora below {data / 'text'}, or name their folder with --data",
            )
    try:
        return list(corpus.read(paths))
    except (KeyError, ValueError, IndexError, csv.Error) as err:
        raise ModelError(
            f"{paths[0].parent}: not the corpus {corpus.name}: {err!r}", "fetch it again"
        ) from err


def shares(emotions: Mapping[str, float]) -> Shares | None:
    """Shares of :data:`OTHERS` from any positive weights; None if there are none."""
    row = np.array([emotions.get(name, 0.0) for name in OTHERS], dtype=np.float32)
    total = float(row.sum())
    return row / np.float32(total) if total > 0 else None


def split_of(group: str) -> str:
    """Put a group to train (80 %), dev (10 %) or test (10 %), always the same."""
    place = zlib.crc32(group.encode()) % 10
    return {8: "dev", 9: "test"}.get(place, "train")


# --------------------------------------------------------------------- English

_GO_ANGRY: Final = frozenset({"anger", "annoyance", "disapproval", "disgust"})
_GO: Final[dict[str, str]] = {
    **dict.fromkeys(("anger", "annoyance", "disapproval"), "anger"),
    **dict.fromkeys(("fear", "nervousness"), "fear"),
    **dict.fromkeys(("sadness", "disappointment", "embarrassment", "grief", "remorse"), "sadness"),
    **dict.fromkeys(("neutral", "approval", "confusion", "curiosity", "realization"), "neutral"),
    "disgust": "disgust",
    "surprise": "surprise",
}  # fmt: skip  # all the rest is happiness


def _goemotions(paths: Sequence[Path]) -> Iterator[Example]:
    labels = paths[0].read_text(encoding="utf-8").split()
    for path, split in zip(paths[1:], ("train", "dev", "test"), strict=True):
        for text, indices, *_ in _tsv(path):
            names = [labels[int(i)] for i in indices.split(",")]
            counts: dict[str, float] = {}
            for name in names:
                emotion = _GO.get(name, "happiness")
                counts[emotion] = counts.get(emotion, 0.0) + 1.0
            angry = float(not _GO_ANGRY.isdisjoint(names))
            yield Example(text, "goemotions", split, angry, shares(counts), tuple(names))


_MELD: Final = {"joy": "happiness"}


def _meld(paths: Sequence[Path]) -> Iterator[Example]:
    for path, split in zip(paths, ("train", "dev", "test"), strict=True):
        for row in _rows(path):
            emotion = _MELD.get(row["Emotion"], row["Emotion"])
            angry = float(emotion in ("anger", "disgust"))
            yield Example(
                row["Utterance"], "meld", split, angry, shares({_known(emotion): 1.0}), (emotion,)
            )  # fmt: skip


_EMPATHETIC: Final[dict[str, str]] = {
    **dict.fromkeys(("angry", "furious", "annoyed"), "anger"),
    **dict.fromkeys(("afraid", "terrified", "anxious", "apprehensive"), "fear"),
    **dict.fromkeys(("sad", "lonely", "devastated", "disappointed", "guilty", "ashamed",
                     "embarrassed", "nostalgic"), "sadness"),
    **dict.fromkeys(("prepared", "trusting", "faithful", "anticipating", "sentimental", "caring"),
                    "neutral"),
    **dict.fromkeys(("joyful", "excited", "proud", "grateful", "hopeful", "content", "impressed",
                     "confident"), "happiness"),
    "disgusted": "disgust",
    "surprised": "surprise",
    "jealous": "sadness",
}  # fmt: skip


def _empathetic(paths: Sequence[Path]) -> Iterator[Example]:
    for path, split in zip(paths, ("train", "dev", "test"), strict=True):
        for row in _rows(path, "\t"):
            emotion = _EMPATHETIC[row["label"]]
            angry = float(emotion in ("anger", "disgust"))
            yield Example(
                row["text"], "empatheticdialogues", split, angry, shares({emotion: 1.0}),
                (row["label"],),
            )  # fmt: skip


def _airline(paths: Sequence[Path]) -> Iterator[Example]:
    moods = {"positive": "happiness", "neutral": "neutral"}
    for row in _rows(paths[0]):
        negative = row["airline_sentiment"] == "negative"
        others = None if negative else shares({moods[row["airline_sentiment"]]: 1.0})
        yield Example(
            row["text"], "airline_tweets", split_of(row["tweet_id"]),
            DISSATISFIED if negative else 0.0, others,
            (row["airline_sentiment"], row.get("negativereason") or "no complaint"),
        )  # fmt: skip


# --------------------------------------------------------------------- Chinese

_SMP: Final = {"angry": "anger", "happy": "happiness", "sad": "sadness"}


def _smp(name: str, splits: Sequence[str]) -> Callable[[Sequence[Path]], Iterator[Example]]:
    def read(paths: Sequence[Path]) -> Iterator[Example]:
        for path, split in zip(paths, splits, strict=True):
            for row in json.loads(path.read_text(encoding="utf-8")):
                emotion = _SMP.get(row["label"], row["label"])
                # The first tenth of a file named for tuning is dev, the rest trains (usual has
                # no training file here).
                part = split_of(str(row["id"])) if split == "tune" else split
                part = "train" if split == "tune" and part == "test" else part
                yield Example(
                    row["content"].replace("//", " "), name, part, float(emotion == "anger"),
                    shares({_known(emotion): 1.0}), (row["label"],),
                )  # fmt: skip

    return read


_CPED: Final[dict[str, dict[str, float]]] = {
    "happy": {"happiness": 1.0}, "grateful": {"happiness": 1.0},
    "positive-other": {"happiness": 1.0}, "relaxed": {"happiness": 0.5, "neutral": 0.5},
    "neutral": {"neutral": 1.0}, "astonished": {"surprise": 1.0},
    "fear": {"fear": 1.0}, "worried": {"fear": 0.7, "sadness": 0.3},
    "sadness": {"sadness": 1.0}, "depress": {"sadness": 1.0},
    "disgust": {"disgust": 1.0}, "anger": {"anger": 1.0},
    "negative-other": {"sadness": 0.5, "disgust": 0.25, "neutral": 0.25},
}  # fmt: skip
_CPED_TEST_PROGRAMMES: Final = frozenset({"39", "44", "45"})


def _cped(paths: Sequence[Path]) -> Iterator[Example]:
    for path in paths:
        for row in _rows(path):
            emotion = row["Emotion"]
            held_out = row["TV_ID"] in _CPED_TEST_PROGRAMMES
            dev = split_of(row["Dialogue_ID"]) == "dev"
            angry = None if emotion == "negative-other" else float(emotion in ("anger", "disgust"))
            yield Example(
                row["Utterance"], "cped", "test" if held_out else "dev" if dev else "train",
                angry, shares(_CPED[emotion]), (emotion,),
            )  # fmt: skip


def _shopping(paths: Sequence[Path]) -> Iterator[Example]:
    for row in _rows(paths[0]):
        positive = row["label"] == "1"
        yield Example(
            row["review"], "online_shopping_10_cats", split_of(row["review"]),
            0.0 if positive else DISSATISFIED, shares({"happiness": 1.0}) if positive else None,
            ("positive" if positive else "negative", row.get("cat") or ""),
        )  # fmt: skip


# --------------------------------------------------------------------- Korean

_KO: Final = {
    "분노": "anger", "혐오": "disgust", "공포": "fear", "행복": "happiness", "중립": "neutral",
    "슬픔": "sadness", "놀람": "surprise",
}  # fmt: skip


def _ko_single(paths: Sequence[Path]) -> Iterator[Example]:
    for text, label, *_ in _tsv(paths[0], skip=1):
        emotion = _KO[label.strip()]
        angry = float(emotion in ("anger", "disgust"))
        yield Example(
            text,
            "ko_single_utterance",
            split_of(text.strip()),
            angry,
            shares({emotion: 1.0}),
            (emotion,),
        )


def _ko_dialogue(paths: Sequence[Path]) -> Iterator[Example]:
    dialogue = 0
    for start, text, label, *_ in _tsv(paths[0], skip=1):
        dialogue += start == "S"
        emotion = _KO.get(label.strip())
        if emotion is None:  # a handful of rows carry no or a mistyped label
            continue
        angry = float(emotion in ("anger", "disgust"))
        yield Example(
            text, "ko_continuous_dialogue", split_of(f"dialogue {dialogue}"), angry,
            shares({emotion: 1.0}), (emotion,),
        )  # fmt: skip


# Indices as in the corpus' README (searle-j/KOTE): 44 labels, five annotators a comment.
_KOTE_ANGRY: Final = frozenset({6, 22})  # anger, annoyance: the definition of the test
_KOTE: Final[dict[str, frozenset[int]]] = {
    "anger": frozenset({0, 3, 6, 9, 20, 22, 23}),
    "disgust": frozenset({21, 31}),
    "fear": frozenset({18, 41}),
    "happiness": frozenset({1, 2, 4, 7, 8, 13, 14, 16, 28, 32, 40, 42, 43}),
    "neutral": frozenset({11, 12, 15, 24, 29, 35, 37}),
    "sadness": frozenset({5, 10, 17, 19, 25, 26, 27, 30, 36, 38}),
    "surprise": frozenset({33, 34, 39}),
}


def _kote(paths: Sequence[Path]) -> Iterator[Example]:
    for path, split in zip(paths, ("tune", "test"), strict=True):
        for number, text, labels, *_ in _tsv(path):
            found = frozenset(int(i) for i in labels.split(","))
            counts = {name: float(len(found & of)) for name, of in _KOTE.items()}
            part = split if split == "test" else "dev" if split_of(number) == "dev" else "train"
            angry = float(not found.isdisjoint(_KOTE_ANGRY))
            names = tuple(str(i) for i in sorted(found))
            yield Example(text.strip('"'), "kote", part, angry, shares(counts), names)


# --------------------------------------------------------------------- reading


def _tsv(path: Path, skip: int = 0) -> Iterator[list[str]]:
    """Lines of a tab-separated file without quoting; blank ones are left out."""
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n")):
        if number >= skip and line.count("\t") and line.strip():
            yield [*line.rstrip("\r").split("\t"), "", ""]


def _rows(path: Path, delimiter: str = ",") -> Iterable[dict[str, str]]:
    """Rows of a CSV file with a header."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        if delimiter == ",":
            yield from csv.DictReader(file)
        else:
            yield from csv.DictReader(file, delimiter=delimiter, quoting=csv.QUOTE_NONE)


def _known(emotion: str) -> str:
    """Check that an emotion is one of ours."""
    if emotion not in EMOTIONS:
        raise ValueError(f"unknown emotion {emotion!r}")
    return emotion


def _in(folder: str, *names: str) -> tuple[str, ...]:
    """File names inside a folder."""
    return tuple(f"{folder}/{name}" for name in names)


CORPORA: Final = (
    Corpus(
        "goemotions", "en", _in("goemotions", "labels.txt", "train.tsv", "dev.tsv", "test.tsv"),
        "CC BY 4.0", _goemotions, 1.0, "anger, annoyance, disapproval, disgust",
    ),
    Corpus(
        "meld", "en",
        _in("meld", "train_sent_emo.csv", "dev_sent_emo.csv", "test_sent_emo.csv"),
        "GPL-3.0", _meld, 0.0, "anger, disgust",
    ),
    Corpus(
        "empatheticdialogues", "en", _in("empatheticdialogues", "train.tsv", "dev.tsv", "test.tsv"),
        "CC BY-NC 4.0", _empathetic, 0.5, "angry, furious, annoyed, disgusted",
    ),
    Corpus(
        "airline_tweets", "en", _in("airline_tweets", "Tweets.csv"),
        "CC BY-NC-SA 4.0", _airline, 2.0, "negative (in part)",
    ),
    Corpus(
        "smp_usual", "zh", _in("smp2020_ewect", "usual_eval_labeled.txt", "usual_test_labeled.txt"),
        "none stated", _smp("smp_usual", ("tune", "test")), 6.0, "angry",
    ),
    Corpus(
        "smp_virus", "zh",
        _in("smp2020_ewect", "virus_train.txt", "virus_eval_labeled.txt", "virus_test_labeled.txt"),
        "none stated", _smp("smp_virus", ("train", "dev", "test")), 1.0, "angry",
    ),
    Corpus(
        "cped", "zh", _in("cped", "valid_split.csv", "test_split.csv"),
        "Apache-2.0", _cped, 1.0, "anger, disgust",
    ),
    Corpus(
        "online_shopping_10_cats", "zh",
        _in("online_shopping_10_cats", "online_shopping_10_cats.csv"),
        "none stated", _shopping, 0.3, "negative (in part)",
    ),
    Corpus(
        "kote", "ko", _in("kote", "val.tsv", "test.tsv"),
        "MIT", _kote, 4.0, "anger, annoyance",
    ),
    Corpus(
        "ko_single_utterance", "ko", _in("ko_single_utterance", "ko_single_utterance.tsv"),
        "none stated", _ko_single, 1.0, "anger, disgust",
    ),
    Corpus(
        "ko_continuous_dialogue", "ko", _in("ko_continuous_dialogue", "ko_continuous_dialogue.tsv"),
        "none stated", _ko_dialogue, 0.7, "anger, disgust",
    ),
)  # fmt: skip
"""Every corpus, with its language, licence and part in training."""
