"""The graph says what the networks say, but for what eight bits cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from voicebot.emotion.calibration import Calibration
from voicebot.emotion.text import TextModel, folder_name
from voicebot.emotion.text_features import BUCKETS, features
from voicebot.emotion.vocabulary import (
    CHARACTERS,
    SPECIAL,
    VOCABULARY_FILE,
    WORDPIECE,
    Vocabulary,
    vocabulary_file,
)
from voicebot.errors import ModelError
from voicebot.training.export import write_model
from voicebot.training.text_encoder import ConvolutionShape, EncoderShape, build
from voicebot.training.text_fit import FOLD, Linear, matrix
from voicebot.training.text_fit import predict as predict_linear
from voicebot.training.text_graph import Mix, export, quantise
from voicebot.training.text_network import Network
from voicebot.training.text_neural import predict

torch = pytest.importorskip("torch", reason="needs the extra train-text")

LETTERS = [*SPECIAL, *"abcdefgh"]
TEXTS = ["a b c d", "h", "", "c c a b f f d e g a", "z"]
SHAPES: dict[str, EncoderShape | ConvolutionShape] = {
    WORDPIECE: EncoderShape(len(LETTERS), 10, layers=2, width=24, heads=3, hidden=32),
    CHARACTERS: ConvolutionShape(len(LETTERS), width=9, filters=5, spans=(1, 2, 3, 4), hidden=7),
}


def network(way: str, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    net = build(SHAPES[way], 3)
    with torch.no_grad():
        net.anger.weight *= 20  # so that what is lost in eight bits would be seen
    return Network(net.eval(), SHAPES[way], Vocabulary(LETTERS, way, 10))


def linear() -> Linear:
    rng = np.random.default_rng(0)
    return Linear(
        rng.normal(size=BUCKETS).astype(np.float16), 0.3,
        rng.normal(size=(BUCKETS // FOLD, 6)).astype(np.float16),
        rng.normal(size=6).astype(np.float32),
    )  # fmt: skip


def written(tmp_path: Path, networks: list[Network], mix: Mix) -> TextModel:
    folder = tmp_path / folder_name("en")
    folder.mkdir(parents=True)
    (folder / VOCABULARY_FILE).write_bytes(vocabulary_file(networks[0].vocabulary))
    write_model(folder, export(linear(), networks, mix, "en"), Calibration(), "card\n")
    model = TextModel.load(tmp_path, "en")
    assert model is not None
    return model


@pytest.mark.parametrize(("way", "tolerance"), [(WORDPIECE, 0.05), (CHARACTERS, 0.01)])
def test_the_graph_adds_up_what_the_parts_say(tmp_path: Path, way: str, tolerance: float) -> None:
    mix = Mix(0.7, 0.4, -0.2, 0.25)
    networks = [network(way, seed) for seed in (0, 1)]
    model = written(tmp_path, networks, mix)
    one, one_others = predict_linear(linear(), matrix(TEXTS, "en"))
    found = [predict(n.net, TEXTS, n.vocabulary) for n in networks]
    other = np.mean([anger for anger, _ in found], axis=0)
    others = np.mean([o for _, o in found], axis=0)
    for row, text in enumerate(TEXTS):
        ids, weights = features(text, "en")
        tokens = networks[0].vocabulary.ids(text)
        output = model.model.run({"ids": ids, "weights": weights, "tokens": tokens})
        expected = 0.7 * one[row] + 0.4 * other[row] - 0.2
        assert output.anger_logit[0] == pytest.approx(expected, abs=tolerance)
        odds = output.probabilities[0, 0] / output.probabilities[0, 1:].sum()
        assert np.log(odds) == pytest.approx(output.anger_logit[0], abs=1e-3)
        rest = np.exp(0.25 * one_others[row] + 0.75 * others[row])
        np.testing.assert_allclose(
            output.probabilities[0, 1:] / output.probabilities[0, 1:].sum(), rest / rest.sum(),
            atol=tolerance,
        )  # fmt: skip


def test_a_model_without_its_vocabulary_is_refused(tmp_path: Path) -> None:
    written(tmp_path, [network(WORDPIECE)], Mix(1.0, 1.0, 0.0))
    (tmp_path / "text-en" / VOCABULARY_FILE).unlink()
    with pytest.raises(ModelError, match=r"vocab\.txt is missing.*voicebot train text"):
        TextModel.load(tmp_path, "en")


def test_seven_bits_a_column_of_its_own() -> None:
    matrix = np.array([[1.0, -0.001], [0.5, 0.0005], [0.0, 0.0]], dtype=np.float32)
    table, scale = quantise(matrix, axis=0)
    assert table.dtype == np.int8 and np.abs(table).max() == 63
    np.testing.assert_allclose(table * scale, matrix, atol=float(scale.max()) / 2)
    zeros, scale = quantise(np.zeros((2, 2), dtype=np.float32), axis=0)
    assert not zeros.any() and (scale > 0).all()
