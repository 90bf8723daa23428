"""Training from a seed: same bytes, and a graph that says what was fitted."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from voicebot.emotion.calibration import Calibration
from voicebot.emotion.text import TextModel
from voicebot.emotion.text_features import normalise
from voicebot.emotion.vocabulary import SPECIAL, Vocabulary
from voicebot.errors import ModelError
from voicebot.training import text as training
from voicebot.training import text_network
from voicebot.training.report import TrainReport
from voicebot.training.text_augmentation import augment
from voicebot.training.text_card import CardParts
from voicebot.training.text_corpora import CORPORA, load
from voicebot.training.text_encoder import ConvolutionShape, build
from voicebot.training.text_network import RECIPES, Network
from voicebot.training.text_neural import Stage
from voicebot.training.text_rows import Row

pytest.importorskip("torch", reason="needs the extra train-text")

ANGRY = ["진짜 짜증나", "왜 이렇게 늦어", "당장 환불해", "장난하냐 지금", "너무 화가 난다"]
CALM = ["고마워", "주소를 바꾸고 싶어", "잘 지냈어", "내일 만나자", "전화번호 알려 줘"]
SAD = ["너무 슬퍼", "눈물이 난다", "외로워 죽겠어"]
GLAD = ["정말 기뻐", "최고로 행복해", "신난다"]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three Korean corpora, a few hundred lines each."""
    data = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(1)
    labelled = [
        (f"{rng.choice(texts)} {rng.choice(CALM)} {n}", label, index)
        for n in range(250)
        for texts, label, index in [
            (ANGRY, "분노", 6), (CALM, "중립", 24), (SAD, "슬픔", 5), (GLAD, "행복", 40),
        ]
    ]  # fmt: skip
    kote = [f"{n}\t{text}\t{index}" for n, (text, _, index) in enumerate(labelled)]
    files = {
        "kote/val.tsv": "\n".join(kote[:600]),
        "kote/test.tsv": "\n".join(kote[600:]),
        "ko_single_utterance/ko_single_utterance.tsv": "Sentence\tEmotion\n"
        + "\n".join(f"{text}\t{label}" for text, label, _ in labelled),
        "ko_continuous_dialogue/ko_continuous_dialogue.tsv": "dialog #\t발화\t감정\n"
        + "\n".join(f"S\t{text}\t{label}" for text, label, _ in labelled),
    }
    for name, content in files.items():
        path = data / "text" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return data


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """A network that is taught in a second."""
    passes = {"kote": 2.0, "ko_single_utterance": 2.0, "ko_continuous_dialogue": 1.0}
    recipe = replace(
        RECIPES["ko"], stages=(Stage("all", passes, 5e-3, 5e-3, 32),),
        shape=ConvolutionShape(0, width=16, filters=12, spans=(1, 2, 3), hidden=16),
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for module in (text_network, training):
            patch.setattr(module, "RECIPES", {**RECIPES, "ko": recipe})
        yield


def train(corpora: Path, out: Path, cache: Path, seen: list[tuple[str, float]]) -> TrainReport:
    return training.train(
        corpora, out, seed=3, progress=lambda what, share: seen.append((what, share)),
        languages=("ko",), cache=cache,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models")
    seen: list[tuple[str, float]] = []
    report = train(corpora, out, tmp_path_factory.mktemp("cache"), seen)
    assert report.folders == (out / "text-ko",)
    for what in dict(seen):
        mine = [share for name, share in seen if name == what]
        assert mine == sorted(mine) and mine[-1] == 1.0
    assert {"text ko: n-grams", "text ko: network, all", "text ko: evaluation"} <= set(dict(seen))
    assert all(row["auc"] > 0.95 and row["ms"] > 0 for row in report.figures.values())
    assert len(report.figures) == 3
    return out


def test_same_seed_same_bytes(corpora: Path, trained: Path, tmp_path: Path) -> None:
    train(corpora, tmp_path / "out", tmp_path / "cache", [])
    for name in ("model.onnx", "calibration.json", "vocab.txt"):
        one, other = trained / "text-ko" / name, tmp_path / "out" / "text-ko" / name
        assert one.read_bytes() == other.read_bytes()


def test_what_was_learnt(trained: Path) -> None:
    model = TextModel.load(trained, "ko")
    assert model is not None
    angry, sad, glad = (model.score(texts[0]) for texts in (ANGRY, SAD, GLAD))
    assert angry is not None and sad is not None and glad is not None
    assert angry.anger > 0.6 > 0.3 > max(sad.anger, glad.anger)
    assert max(sad.probabilities, key=sad.probabilities.__getitem__) == "sadness"
    assert max(glad.probabilities, key=glad.probabilities.__getitem__) == "happiness"


def test_the_card_compares_the_kinds_of_models(trained: Path) -> None:
    card = (trained / "text-ko" / "card.md").read_text(encoding="utf-8")
    for line in ("| n-grams alone | kote |", "| network alone | kote |", "| both | kote |"):
        assert line in card


def test_calibration_is_at_the_reference_prior(trained: Path) -> None:
    found = json.loads((trained / "text-ko" / "calibration.json").read_text(encoding="utf-8"))
    assert found["anger"]["prior"] == pytest.approx(0.2, abs=0.005)


def test_figures_on_a_corpus_that_was_left_out(corpora: Path) -> None:
    mine = [c for c in CORPORA if c.language == "ko"]
    examples = {c.name: load(c, corpora) for c in mine}
    own = [e for of in examples.values() for e in of if e.split == "train"]
    shape = ConvolutionShape(len(SPECIAL) + 1, width=4, filters=4, spans=(1,), hidden=4)
    network = Network(build(shape, 2), shape, Vocabulary([*SPECIAL, "a"], "characters"))
    dev = training.Dev.of([e for of in examples.values() for e in of if e.split == "dev"], "ko", 0)
    assert {e.corpus for e in dev.without("kote").examples} == {
        "ko_single_utterance", "ko_continuous_dialogue"
    }  # fmt: skip
    test = [e for e in examples["kote"] if e.split == "test"]
    row = training._unseen(
        [*own, *augment(own, "ko")], mine[1:], network, dev, test, "ko", lambda share: None
    )
    assert isinstance(row, Row) and CardParts([row], [row], {}, Calibration(), 0)
    assert row.corpus == "kote" and row.n == len(test)
    assert row.auc > 0.9  # an untaught network does no harm


def test_calm_service_goes_to_the_corpus_of_customer_service() -> None:
    english = [c for c in CORPORA if c.language == "en"]
    found = training.calm_service(english, "en", 0)
    assert len(found) > 1000
    assert {(e.corpus, e.split, e.anger) for e in found} == {("airline_tweets", "train", 0.0)}
    assert all(normalise(e.text, "en") for e in found)
    assert training.calm_service([c for c in CORPORA if c.language == "ko"], "ko", 0) == []


def test_missing_corpus_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"goemotions/labels\.txt: missing"):
        training.train(tmp_path, tmp_path / "out", seed=0, progress=lambda *_: None)


def test_unknown_language_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no text model for 'xx'.*en, zh, ko"):
        training.train(tmp_path, tmp_path, seed=0, progress=lambda *_: None, languages=("ko", "xx"))


@pytest.mark.parametrize("package", ["sklearn", "torch"])
def test_missing_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModelError, match=r"voicebot\[train(-text)?\]"):
        training.train(tmp_path, tmp_path / "out", seed=0, progress=lambda *_: None)
