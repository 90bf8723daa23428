"""Training from a seed: same bytes, and a graph that says what was fitted."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from voicebot.emotion.calibration import Calibration
from voicebot.emotion.onnx_model import load_model
from voicebot.emotion.text import TextModel
from voicebot.emotion.text_features import features, normalise
from voicebot.errors import ModelError
from voicebot.training import text as training
from voicebot.training.export import write_model
from voicebot.training.text_corpora import CORPORA, load
from voicebot.training.text_fit import fit, matrix, predict

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


@pytest.fixture(scope="module")
def trained(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models")
    seen: list[tuple[str, float]] = []
    report = training.train(
        corpora, out, seed=3, progress=lambda what, share: seen.append((what, share)),
        languages=("ko",),
    )  # fmt: skip
    assert report.folders == (out / "text-ko",)
    assert [share for _, share in seen] == sorted(share for _, share in seen)
    assert seen[-1] == ("text ko", 1.0)
    assert all(row["auc"] > 0.95 for row in report.figures.values())
    return out


def test_same_seed_same_bytes(corpora: Path, trained: Path, tmp_path: Path) -> None:
    training.train(corpora, tmp_path, seed=3, progress=lambda *_: None, languages=("ko",))
    for name in ("model.onnx", "calibration.json"):
        one, other = trained / "text-ko" / name, tmp_path / "text-ko" / name
        assert one.read_bytes() == other.read_bytes()


def test_what_was_learnt(trained: Path) -> None:
    model = TextModel.load(trained, "ko")
    assert model is not None
    angry, sad, glad = (model.score(texts[0]) for texts in (ANGRY, SAD, GLAD))
    assert angry is not None and sad is not None and glad is not None
    assert angry.anger > 0.6 > 0.3 > max(sad.anger, glad.anger)
    assert max(sad.probabilities, key=sad.probabilities.__getitem__) == "sadness"
    assert max(glad.probabilities, key=glad.probabilities.__getitem__) == "happiness"


def test_graph_says_what_was_fitted(corpora: Path, tmp_path: Path) -> None:
    mine = [c for c in CORPORA if c.language == "ko"]
    linear = fit({c.name: load(c, corpora) for c in mine}, mine, "ko")
    texts = [*ANGRY, *CALM, *SAD, "", "전혀 모르는 말"]
    anger, others = predict(linear, matrix(texts, "ko"))
    folder = tmp_path / "text-ko"
    write_model(folder, training.export(linear, "ko"), Calibration(), "card\n")
    model = load_model(folder, "text")
    for row, text in enumerate(texts):
        ids, weights = features(normalise(text, "ko"), "ko")
        output = model.run({"ids": ids, "weights": weights})
        assert output.anger_logit[0] == pytest.approx(anger[row], abs=1e-4)
        assert output.probabilities.sum() == pytest.approx(1.0, abs=1e-5)
        odds = output.probabilities[0, 0] / output.probabilities[0, 1:].sum()
        assert np.log(odds) == pytest.approx(anger[row], abs=1e-3)
        expected = np.exp(others[row]) / np.exp(others[row]).sum()
        rest = output.probabilities[0, 1:] / output.probabilities[0, 1:].sum()
        np.testing.assert_allclose(rest, expected, atol=1e-4)


def test_mishearing_loses_and_mistakes_words_as_told() -> None:
    texts = [" ".join(f"w{n}x{i}" for i in range(10)) for n in range(300)]
    heard = training.mishear(texts, "en", 5)
    assert heard == training.mishear(texts, "en", 5) != training.mishear(texts, "en", 6)
    kept = sum(word in b.split() for a, b in zip(texts, heard, strict=True) for word in a.split())
    lost = 1 - sum(len(t.split()) for t in heard) / 3000
    assert lost == pytest.approx(training.DROP, abs=0.02)
    assert 1 - kept / 3000 == pytest.approx(training.DROP + training.REPLACE, abs=0.02)


def test_evaluate_reads_the_models_on_disk(corpora: Path, trained: Path) -> None:
    rows = training.evaluate(corpora, trained, languages=("ko",))
    assert [r.corpus for r in rows] == ["kote", "ko_single_utterance", "ko_continuous_dialogue"]
    for row in rows:
        assert row.split == "test" and row.n > 50 and 0.1 < row.prevalence < 0.4
        assert row.auc > 0.95 and 0 <= row.ece <= 1 and row.ms_per_text > 0


def test_best_f1() -> None:
    assert training.best_f1([3, 2, 1, 0], [1, 1, 0, 0]) == 1.0
    assert training.best_f1([3, 2, 1, 0], [0, 1, 0, 1]) == pytest.approx(2 / 3)


def test_calibration_is_at_the_reference_prior(trained: Path) -> None:
    found = json.loads((trained / "text-ko" / "calibration.json").read_text(encoding="utf-8"))
    assert found["anger"]["prior"] == pytest.approx(0.2, abs=0.005)


def test_missing_corpus_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"goemotions/labels\.txt: missing"):
        training.train(tmp_path, tmp_path / "out", seed=0, progress=lambda *_: None)


def test_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ModelError, match="voicebot\\[train\\]"):
        training.train(tmp_path, tmp_path / "out", seed=0, progress=lambda *_: None)
