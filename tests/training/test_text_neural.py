"""Teaching: targets at one prior, a training that resumes to the same weights, learning."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voicebot.emotion.vocabulary import SPECIAL, Vocabulary
from voicebot.errors import ModelError, OutputError
from voicebot.training import text_neural
from voicebot.training.text_corpora import Example, shares
from voicebot.training.text_encoder import EncoderShape, build, weights_of
from voicebot.training.text_neural import Stage, Targets, predict, targets, train_stage

torch = pytest.importorskip("torch", reason="needs the extra train-text")

WORDS = [f"w{i}" for i in range(12)]
VOCABULARY = Vocabulary([*SPECIAL, *WORDS], max_tokens=12)
SHAPE = EncoderShape(len(VOCABULARY.pieces), 12, layers=1, width=16, heads=2, hidden=16)
STAGE = Stage("all", {"a": 2.5, "b": 1.0}, 3e-3, 3e-3, 8)


def examples() -> list[Example]:
    rng = np.random.default_rng(0)
    out = []
    for n in range(240):
        words = rng.choice(WORDS[2:], 5).tolist()
        angry = n % 4 == 0
        words[int(rng.integers(5))] = WORDS[0] if angry else WORDS[1]
        other = None if angry else shares({"sadness": 1.0})
        corpus = "b" if n % 3 == 0 else "a"
        out.append(Example(" ".join(words), corpus, "train", float(angry), other,
                           ("mad",) if angry else ("sad", "low")))  # fmt: skip
    return out


@pytest.fixture
def data() -> Targets:
    found = examples()
    return targets(found, [e.text for e in found])


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run(data: Targets, folder: Path, stage: Stage = STAGE, seed: int = 3, **how: Any) -> Any:
    torch.manual_seed(seed)
    net = build(SHAPE, data.labels.shape[1])
    options = {"history": "start", "progress": lambda share: None, **how}
    train_stage(
        net, stage, data, VOCABULARY, language="en", seed=seed, folder=folder, **options
    )  # fmt: skip
    return net


def test_every_corpus_is_weighted_to_one_prior(data: Targets) -> None:
    assert data.corpora == ("b", "a")
    for index in range(2):
        mine = data.corpus == index
        positive, negative = data.positive[mine].sum(), data.negative[mine].sum()
        assert positive / (positive + negative) == pytest.approx(text_neural.CORPUS_PRIOR)
    assert data.labels.shape == (240, 6)
    assert data.of_corpus.tolist() == [[0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0]]
    assert data.labels.sum(1).tolist() == [1.0 if n % 4 == 0 else 2.0 for n in range(240)]


@pytest.mark.parametrize(("anger", "what"), [(1.0, "angry"), (0.0, "calm")])
def test_a_corpus_of_one_label_is_refused(anger: float, what: str) -> None:
    with pytest.raises(ModelError, match=f"corpus toy: all its texts for training are {what}"):
        targets([Example("x", "toy", "train", anger, None)] * 3, ["x"] * 3)


def test_a_corpus_that_does_not_say_is_no_fault() -> None:
    found = targets([Example("x", "toy", "train", None, None)] * 3, ["x"] * 3)
    assert not found.positive.any() and not found.negative.any()


def test_it_learns_and_predicts_in_any_order(data: Targets, tmp_path: Path) -> None:
    net = run(data, tmp_path, Stage("long", {"a": 12.0, "b": 12.0}, 5e-3, 5e-3, 8))
    anger, others = predict(net, ["w0 w5 w6", "w1 w5 w6 w7 w8", "", "w0"], VOCABULARY, batch=2)
    assert anger[0] > 1 > -1 > anger[1]
    assert others.shape == (4, 6)
    one, _ = predict(net, ["w1 w5 w6 w7 w8"], VOCABULARY)
    assert one[0] == pytest.approx(anger[1], abs=1e-5)


def test_an_interrupted_training_ends_with_the_same_weights(
    data: Targets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_neural, "SAVE_EVERY", 5)
    whole = weights_of(run(data, tmp_path / "whole"))

    class Interrupted(Exception):
        pass

    def stop(share: float) -> None:
        if share > 0.5:
            raise Interrupted

    with pytest.raises(Interrupted):
        run(data, tmp_path / "parts", progress=stop)
    shares_seen: list[float] = []
    resumed = run(data, tmp_path / "parts", progress=shares_seen.append)
    assert shares_seen[0] > 0.4  # it did go on, not start again
    for name, value in weights_of(resumed).items():
        np.testing.assert_array_equal(value, whole[name])
    finished = run(data, tmp_path / "parts", progress=shares_seen.append)
    for name, value in weights_of(finished).items():
        np.testing.assert_array_equal(value, whole[name])


def test_a_checkpoint_of_other_data_seed_or_recipe_is_not_used(
    data: Targets, tmp_path: Path
) -> None:
    run(data, tmp_path)
    run(data, tmp_path, seed=4)
    run(data, tmp_path, history="other")
    run(data, tmp_path, Stage("all", {"a": 2.5, "b": 1.0}, 2e-3, 3e-3, 8))
    found = examples()
    found[0] = Example("w9", found[0].corpus, "train", 1.0, None)
    run(targets(found, [e.text for e in found]), tmp_path)
    assert len(list(tmp_path.glob("*.pt"))) == 5


def test_what_a_stage_does_not_read_does_not_make_it_start_again(
    data: Targets, tmp_path: Path
) -> None:
    alone = Stage("first", {"a": 1.0}, 2e-3, 3e-3, 8)
    run(data, tmp_path, alone)
    found = [*examples(), Example("w9", "b", "train", 0.0, None)]
    run(targets(found, [e.text for e in found]), tmp_path, alone)
    assert len(list(tmp_path.glob("*.pt"))) == 1


def test_a_broken_checkpoint_is_made_again(data: Targets, tmp_path: Path) -> None:
    first = weights_of(run(data, tmp_path))
    (path,) = tmp_path.glob("*.pt")
    path.write_bytes(path.read_bytes()[:100])
    again = weights_of(run(data, tmp_path))
    np.testing.assert_array_equal(first["anger.weight"], again["anger.weight"])


def test_a_cache_that_cannot_be_written_is_named(data: Targets, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="--cache"):
        run(data, tmp_path / "file" / "below")


def test_passes_say_how_often_an_example_is_seen(data: Targets) -> None:
    rows = np.concatenate(text_neural._plan(data, STAGE, 0))
    seen = np.bincount(rows, minlength=240)
    a, b = seen[data.corpus == 1], seen[data.corpus == 0]
    assert set(b) == {1} and set(a) == {2, 3}
    assert a.mean() == pytest.approx(2.5)


def test_every_round_has_its_share_of_every_corpus(data: Targets) -> None:
    rounds = text_neural._plan(data, Stage("s", {"a": 1.0, "b": 4.0}, 1e-3, 1e-3, 8), 0)
    assert len(rounds) == 4
    for rows in rounds:
        assert (data.corpus[rows] == 1).sum() == 40 and (data.corpus[rows] == 0).sum() == 80


def test_the_rate_rises_and_falls() -> None:
    rates = [text_neural._rate(s) for s in (0.0, text_neural.WARM_UP, 0.5, 1.0)]
    assert rates[0] == 0 and rates[1] == pytest.approx(1.0)
    assert rates[1] > rates[2] > rates[3] == pytest.approx(text_neural.LAST_RATE)
